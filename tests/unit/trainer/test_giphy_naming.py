import numpy as np
import pytest

from annotator.types import Identity
from trainer.giphy.mapping import ClassHead
from trainer.giphy.naming import FaceName, known_score, names_of

PEOPLE = tuple(Identity(f"Person {number}") for number in range(7))


def head(*, seed: int = 0) -> ClassHead:
    random = np.random.default_rng(seed)
    return ClassHead(
        kernel=random.standard_normal((256, 7)).astype(np.float32) / 4,
        bias=random.standard_normal(7).astype(np.float32),
        centres=random.standard_normal((7, 256)).astype(np.float32),
    )


def test_names_and_known_score_follow_the_releases_formulas() -> None:
    given, embeddings = head(), np.random.default_rng(1).standard_normal((20, 256)).astype(np.float32)
    for embedding, found in zip(embeddings, names_of(embeddings, given, PEOPLE), strict=True):
        logits = [float(sum(embedding * given.kernel[:, column]) + given.bias[column]) for column in range(7)]
        softmax = np.exp(logits) / np.exp(logits).sum()
        order = sorted(range(7), key=lambda column: -softmax[column])
        assert found.people == tuple(PEOPLE[column] for column in order[:5])
        np.testing.assert_allclose(found.probabilities, softmax[order[:5]], atol=1e-6)
        centre = given.centres[order[0]]
        cosine = float(centre @ embedding / np.linalg.norm(centre) / np.linalg.norm(embedding))
        assert found.known_score == pytest.approx(softmax[order[0]] * cosine, abs=1e-6)


def test_large_outputs_do_not_overflow_and_a_face_of_nothing_is_no_error() -> None:
    given = head()
    (large, nothing) = names_of(np.stack([np.full(256, 1e6), np.zeros(256)]).astype(np.float32), given, PEOPLE)
    assert large.probabilities[0] == pytest.approx(1)
    assert nothing.known_score == 0
    assert names_of(np.zeros((0, 256), np.float32), given, PEOPLE) == []


def test_few_people_are_all_named() -> None:
    given = head()
    two = ClassHead(given.kernel[:, :2], given.bias[:2], given.centres[:2])
    assert len(names_of(np.ones((1, 256), np.float32), two, PEOPLE[:2])[0].people) == 2


def test_the_known_score_of_several_faces_is_their_mean() -> None:
    faces = [FaceName((PEOPLE[0],), (0.9,), score) for score in (0.8, 0.1, -0.3)]
    assert known_score(faces) == pytest.approx(0.2)
    with pytest.raises(ValueError, match="at least one face"):
        known_score([])
