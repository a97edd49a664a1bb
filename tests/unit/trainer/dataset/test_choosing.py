import numpy as np

from annotator.types import F32
from trainer.dataset.choosing import choose_person
from trainer.dataset.findings import FoundFace


def direction(seed: int) -> F32:
    vector = np.random.default_rng(seed).normal(size=128)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def face(person: int, picture: int, *, number: int = 0, face_px: float = 100.0) -> FoundFace:
    """Return a face of a person as one picture shows it: cosines of about 0.7 within a person, 0 between two."""
    mixed = direction(person) + 0.65 * direction(1000 + picture)
    embedding = (mixed / np.linalg.norm(mixed)).astype(np.float32)
    return FoundFace(number, 0.99, face_px, np.zeros(4, np.float32), np.zeros((5, 2), np.float32), embedding)


def test_the_face_that_agrees_with_the_other_photographs_is_taken_and_not_the_largest() -> None:
    couple = [face(2, 1, face_px=200.0), face(1, 1, number=1, face_px=60.0)]
    choices = choose_person([[face(1, 2)], couple, [face(1, 3)]])
    assert [choice.face for choice in choices] == [0, 1, 0]
    assert all(choice.is_sure for choice in choices)


def test_without_any_photograph_of_one_face_the_one_who_is_on_most_is_taken() -> None:
    photographs = [[face(10 + number, number), face(1, 100 + number, number=1)] for number in range(4)]
    assert [choice.face for choice in choose_person(photographs)] == [1, 1, 1, 1]


def test_a_photograph_of_several_strangers_is_not_sure_and_does_not_sway_the_others() -> None:
    strangers = [face(7, 5), face(8, 5, number=1)]
    choices = choose_person([[face(1, 2)], strangers, [face(1, 3)], [face(1, 4)]])
    assert [choice.is_sure for choice in choices] == [True, False, True, True]


def test_a_single_face_is_taken_whatever_it_is_and_its_agreement_says_what_it_is_worth() -> None:
    choices = choose_person([[face(1, 2)], [face(9, 5)], [face(1, 3)]])
    assert choices[1].face == 0
    assert choices[1].is_sure
    assert choices[1].agreement is not None
    assert choices[1].agreement < 0.3


def test_photographs_without_a_face_keep_their_place_and_a_lone_one_agrees_with_nobody() -> None:
    choices = choose_person([[], [face(1, 2)], []])
    assert [choice.face for choice in choices] == [None, 0, None]
    assert choices[1].agreement is None
    assert choose_person([]) == []
