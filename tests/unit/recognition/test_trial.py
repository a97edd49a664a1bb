"""Open-set trials count what they say."""

import numpy as np
import pytest

from annotator.recognition.bundle import ModelBundle
from annotator.recognition.trial import LeftOut, TrialScores, probe_tracks, run_trial, share, size_points
from tests.made_up_faces import PatternEmbedder, face_of


def unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


@pytest.mark.parametrize("is_plain", [True, False])
def test_a_picture_is_compared_with_the_prototype_without_it(bundle: ModelBundle, *, is_plain: bool) -> None:
    random = np.random.default_rng(6)
    elsewhere = unit(random.normal(0, 1, (3, 32)))
    people = LeftOut(np.array([2, 5, 9]), elsewhere, np.array([1, 3, 8]))
    near_the_old = bundle.prototypes[[2, 5, 9]].astype(np.float64)
    strangers = random.normal(0, 1, (4, 32))
    old = run_trial(bundle, people, probes=near_the_old, strangers=strangers, is_plain=is_plain)
    new = run_trial(bundle, people, probes=elsewhere.astype(np.float64), strangers=strangers, is_plain=is_plain)
    assert not old.found(0.6).any(), "the picture itself must not be in the prototype"
    assert new.found(0.3).all()
    np.testing.assert_array_equal(old.stranger, new.stranger)
    assert old.impostor.shape == (7,)


def test_found_means_over_the_threshold_and_nearer_than_anybody_else() -> None:
    trial = TrialScores(np.array([0.5, 0.5, 0.2]), np.array([0.4, 0.6, 0.1]), np.zeros(1))
    assert trial.found(0.3).tolist() == [True, False, False]


def test_few_photographs_are_three_at_most() -> None:
    people = LeftOut(np.arange(3), np.eye(3, dtype=np.float32), np.array([1, 3, 4]))
    assert people.has_few.tolist() == [True, True, False]


def test_thresholds_are_taken_over_the_neighbouring_sizes() -> None:
    def trial(highest: float) -> TrialScores:
        ramp = np.linspace(0, highest, 100)
        return TrialScores(ramp + 0.5, ramp, ramp)

    points = size_points({64: trial(0.2), 32: trial(0.1), 128: trial(0.9)}, [0.1, 0.01])
    assert [point.face_px for point in points] == [32.0, 64.0, 128.0]
    assert all(point.min_scores[0] < point.min_scores[1] for point in points)
    assert points[0].min_scores[1] < 0.21, "128 pixels are no neighbour of 32"
    assert points[1].min_scores[1] > 0.8


def test_probe_tracks_are_like_the_face_they_were_made_of() -> None:
    faces = np.stack([face_of(person) for person in range(4)])
    tracks = probe_tracks(faces, face_px=48, variants=2, embedder=PatternEmbedder())
    likeness = tracks @ PatternEmbedder().embed(faces).T
    assert (likeness.argmax(axis=1) == np.arange(4)).all()
    np.testing.assert_array_equal(
        tracks[:2], probe_tracks(faces[:2], face_px=48, variants=2, embedder=PatternEmbedder())
    )


def test_a_share_of_nothing_is_none() -> None:
    assert share(np.zeros(0, np.bool_)) is None
    assert share(np.array([True, False, False])) == pytest.approx(0.3333)
