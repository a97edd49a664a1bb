"""Which face is the person: made-up embeddings whose cosines are known."""

from typing import TYPE_CHECKING

import numpy as np

from trainer.collect.faces import MAX_FACES, FoundFace, choose

if TYPE_CHECKING:
    from annotator.types import F32

SIZE = 128


def person(number: int, likeness: float = 0.8, *, seed: int = 0) -> FoundFace:
    """Return a face of a person; two of one person have a cosine of about likeness squared."""
    random = np.random.default_rng(1000 * number + seed)
    noise = random.normal(size=SIZE)
    own = np.zeros(SIZE)
    own[number] = 1.0
    noise[:20] = 0.0
    mixed = likeness * own + np.sqrt(1 - likeness**2) * noise / np.linalg.norm(noise)
    embedding: F32 = mixed.astype(np.float32)
    return FoundFace((0, 0, 10, 10), 100.0, embedding)


def test_the_faces_that_agree_are_the_person_and_a_stranger_is_refused() -> None:
    pictures = {f"{seed}": [person(1, seed=seed)] for seed in range(5)} | {"stranger": [person(2)]}
    choices = choose(pictures)
    assert choices["stranger"].why == "unlike the person's other pictures"
    assert all(choices[f"{seed}"].face is pictures[f"{seed}"][0] for seed in range(5))
    assert all((choices[f"{seed}"].agreement or 0) > 0.4 for seed in range(5))


def test_of_several_faces_the_one_that_agrees_is_taken_though_it_is_the_smallest() -> None:
    group = [person(3), person(4), person(1, seed=9)]
    choices = choose({"a": [person(1, seed=1)], "b": [person(1, seed=2)], "group": group})
    assert choices["group"].face is group[2]


def test_a_group_without_the_person_is_refused() -> None:
    choices = choose({"a": [person(1, seed=1)], "b": [person(1, seed=2)], "group": [person(3), person(4)]})
    assert choices["group"].face is None


def test_two_faces_that_are_both_alike_are_refused() -> None:
    twins = [person(1, seed=5), person(1, seed=6)]
    choices = choose({"a": [person(1, seed=1)], "b": [person(1, seed=2)], "twins": twins})
    assert choices["twins"].why == "two faces are alike the person's other pictures"


def test_groups_alone_tell_nothing() -> None:
    pictures = {name: [person(1, seed=number), person(2, seed=number)] for number, name in enumerate("abc")}
    assert {choice.why for choice in choose(pictures).values()} == {"several faces, and no picture of the person alone"}


def test_one_picture_tells_nothing_unless_wikidata_shows_it() -> None:
    picture = {"a": [person(1)]}
    assert choose(picture)["a"].why == "too few pictures agree on who it is"
    assert choose(picture, first="a")["a"].face is picture["a"][0]


def test_the_picture_of_wikidata_outweighs_more_pictures_of_somebody_else() -> None:
    pictures = {f"other {seed}": [person(2, seed=seed)] for seed in range(4)}
    pictures |= {"first": [person(1, seed=1)], "second": [person(1, seed=2)]}
    kept = {name for name, choice in choose(pictures, first="first").items() if choice.face}
    assert kept == {"first", "second"}


def test_two_that_disagree_are_both_refused() -> None:
    choices = choose({"a": [person(1)], "b": [person(2)]})
    assert all(choice.why == "too few pictures agree on who it is" for choice in choices.values())


def test_the_same_picture_counts_once() -> None:
    face = person(1, seed=1)
    choices = choose({"a": [face], "again": [face], "b": [person(1, seed=2)]})
    assert [choices[name].why for name in ("a", "again", "b")] == [None, "the same picture again", None]


def test_no_face_and_a_crowd_are_refused() -> None:
    crowd = [person(number) for number in range(MAX_FACES + 1)]
    choices = choose({"none": [], "crowd": crowd})
    assert choices["none"].why == "no clear face"
    assert "crowd" in str(choices["crowd"].why)


def test_no_pictures_give_no_choices() -> None:
    assert choose({}) == {}
