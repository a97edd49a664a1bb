"""Wrong and repeated pictures are dropped, the others averaged."""

import numpy as np

from annotator.recognition.prototypes import choose_pictures, leave_one_out, mean_prototypes
from annotator.types import F32, I64


def pictures(*, people: int = 5, each: int = 6, noise: float = 0.1) -> tuple[F32, I64]:
    random = np.random.default_rng(8)
    directions = random.normal(0, 1, (people, 64))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    person = np.repeat(np.arange(people), each)
    vectors = directions[person] + random.normal(0, noise, (people * each, 64))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), person.astype(np.int64)


def test_good_pictures_all_stay() -> None:
    embeddings, person = pictures()
    kept, dropped = choose_pictures(embeddings, person)
    assert kept.tolist() == list(range(30))
    assert dropped == []


def test_a_picture_of_somebody_else_goes() -> None:
    embeddings, person = pictures()
    embeddings[8] = embeddings[20]
    kept, dropped = choose_pictures(embeddings, person)
    assert 8 not in kept
    assert [(item.picture, item.why) for item in dropped] == [(8, "unlike the others")]


def test_a_repeated_picture_counts_once() -> None:
    embeddings, person = pictures()
    embeddings[9] = embeddings[7]
    kept, dropped = choose_pictures(embeddings, person)
    assert 7 in kept
    assert [(item.picture, item.why) for item in dropped] == [(9, "repeated")]


def test_of_two_that_disagree_neither_stays() -> None:
    embeddings, person = pictures(each=2)
    embeddings[5] = embeddings[0]
    kept, dropped = choose_pictures(embeddings, person)
    assert {item.picture for item in dropped} == {4, 5}
    assert {item.why for item in dropped} == {"two that disagree"}
    assert 2 not in person[kept]


def test_a_single_picture_stays() -> None:
    embeddings, person = pictures(each=1)
    kept, dropped = choose_pictures(embeddings, person)
    assert len(kept) == 5
    assert dropped == []


def test_prototypes_are_unit_means_with_counts() -> None:
    embeddings, person = pictures()
    prototypes, counts = mean_prototypes(embeddings, person, 5)
    expected = embeddings[:6].mean(axis=0)
    np.testing.assert_allclose(prototypes[0], expected / np.linalg.norm(expected), atol=1e-6)
    assert prototypes.dtype == np.float32
    assert counts.tolist() == [6] * 5


def test_the_picture_left_out_is_not_in_the_prototype_it_is_compared_with() -> None:
    embeddings, person = pictures(people=3, each=2)
    left, people = leave_one_out(embeddings, person, 3)
    assert left.tolist() == [1, 3, 5]
    np.testing.assert_allclose(people.prototypes, embeddings[[0, 2, 4]], atol=1e-6)
    assert people.photographs.tolist() == [1, 1, 1]
    assert people.has_few.all()


def test_who_has_one_picture_is_not_left_out() -> None:
    embeddings, person = pictures(people=3, each=1)
    left, people = leave_one_out(embeddings, person, 3)
    assert len(left) == 0
    assert len(people.person) == 0
