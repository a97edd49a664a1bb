"""Tracks of drawn clips, named and held against who was drawn."""

from typing import Any

import numpy as np
import pytest

from annotator.accuracy.judging import fold_of, judge, judge_in_folds
from annotator.accuracy.subjects import Subject
from annotator.accuracy.tracks import SeenTrack
from annotator.errors import ConfigError
from annotator.recognition.bundle import ModelBundle
from annotator.recognition.calibration import Calibration, SizePoint
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.types import Identity, TrackEvidence
from tests.made_up_bundles import unit

SIZE, PEOPLE, STRANGERS = 64, 60, 20


DIRECTIONS = unit(np.random.default_rng(3).normal(0, 1, (PEOPLE + STRANGERS, SIZE)))
SUBJECTS = {
    number: Subject(f"subject {number}", f"Person {number}" if number < PEOPLE else None)
    for number in range(PEOPLE + STRANGERS)
}


@pytest.fixture(scope="module")
def bundle() -> ModelBundle:
    calibration = Calibration(
        points=(SizePoint(64.0, (0.4,), 20.0, -8.0),),
        rates=(0.01,),
        max_false_positive_rate=0.01,
        prior=0.2,
        min_face_px=32.0,
        sharp_below_px=48.0,
        min_quality=0.5,
        cohort=10,
    )
    return ModelBundle(
        name="small",
        version=1,
        embedder="sface-2021dec",
        identities=tuple(Identity(f"Person {number}") for number in range(PEOPLE)),
        prototypes=DIRECTIONS[:PEOPLE],
        photo_counts=np.full(PEOPLE, 5, np.int32),
        mean=DIRECTIONS[:PEOPLE].mean(axis=0),
        calibration=calibration,
        digest="d" * 64,
    )


def track(number: int | None, *, kind: Any = "live", face_px: float = 100, like: int | None = None) -> SeenTrack:
    direction = DIRECTIONS[number or 0 if like is None else like]
    embeddings = unit(direction + np.random.default_rng(number or 0).normal(0, 0.03, (2, SIZE))).astype(np.float16)
    evidence = TrackEvidence(embeddings, np.full(2, face_px, np.float16), np.full(2, 0.9, np.float16))
    return SeenTrack("clip", 0, number, kind if number is not None else None, evidence, ((0, 100),))


EVERYBODY = [track(number) for number in SUBJECTS]


def test_known_people_are_right_and_strangers_never(bundle: ModelBundle) -> None:
    told = judge(EVERYBODY, SUBJECTS, Identifier(Gallery.from_bundle(bundle)))
    assert told.is_known.tolist() == [True] * PEOPLE + [False] * STRANGERS
    assert told.is_right.tolist() == told.is_known.tolist()
    assert told.subjects == tuple(f"subject {number}" for number in SUBJECTS)
    assert told.scores[:PEOPLE].min() > told.scores[PEOPLE:].max()


def test_a_name_of_somebody_else_is_wrong(bundle: ModelBundle) -> None:
    told = judge([track(3, like=4)], SUBJECTS, Identifier(Gallery.from_bundle(bundle)))
    assert (told.is_known.tolist(), told.is_right.tolist()) == ([True], [False])


def test_confidences_at_the_models_prior_are_those_that_it_tells(bundle: ModelBundle) -> None:
    identifier = Identifier(Gallery.from_bundle(bundle))
    told = judge(EVERYBODY, SUBJECTS, identifier)
    labels = identifier.identify([one.evidence for one in EVERYBODY])
    expected = [label.candidates[0].confidence for label in labels]
    np.testing.assert_allclose(told.confidences(bundle.calibration.prior), expected, atol=1e-6)


def test_what_is_too_poor_has_no_score_and_no_name(bundle: ModelBundle) -> None:
    told = judge([track(3, face_px=20)], SUBJECTS, Identifier(Gallery.from_bundle(bundle)))
    assert told.scores.tolist() == told.log_ratios.tolist() == [-np.inf]
    assert told.confidences(0.5).tolist() == [0.0]
    assert not told.is_right.any()


def test_posters_cartoons_and_what_was_not_drawn_are_left_out(bundle: ModelBundle) -> None:
    tracks = [track(3, kind="poster"), track(3, kind="cartoon"), track(None), track(3)]
    assert len(judge(tracks, SUBJECTS, Identifier(Gallery.from_bundle(bundle)))) == 1


def test_everybody_is_a_stranger_once_and_known_people_are_known_once(bundle: ModelBundle) -> None:
    told = judge_in_folds(EVERYBODY, SUBJECTS, bundle)
    assert len(told) == 2 * PEOPLE + STRANGERS
    for number in SUBJECTS:
        mine = [n for n, subject in enumerate(told.subjects) if subject == f"subject {number}"]
        assert sorted(told.is_known[mine].tolist()) == ([False, True] if number < PEOPLE else [False])
    assert told.is_right.sum() == PEOPLE


def test_of_two_people_nobody_can_be_left_out(bundle: ModelBundle) -> None:
    folds = [fold_of(identity.name) for identity in bundle.identities]
    alike = np.flatnonzero(np.array(folds) == folds[0])[:2]
    with pytest.raises(ConfigError, match="too few people"):
        judge_in_folds(EVERYBODY, SUBJECTS, bundle.as_if_only(alike))


def test_a_bundle_without_people_is_as_if_they_had_never_been_there(bundle: ModelBundle) -> None:
    less = bundle.as_if_only(np.arange(1, 59))
    assert [one.name for one in less.identities] == [f"Person {number}" for number in range(1, 59)]
    np.testing.assert_array_equal(less.prototypes, bundle.prototypes[1:59])
    np.testing.assert_allclose(less.mean, bundle.prototypes[1:59].mean(axis=0), atol=1e-6)
