"""The open-set decision."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.recognition.bundle import ModelBundle
from annotator.recognition.decision import MAX_CANDIDATES, Identifier
from annotator.recognition.gallery import Gallery
from annotator.recognition.scoring import Scorer
from annotator.types import Identity, TrackEvidence, TrackLabel
from tests.made_up_bundles import CALIBRATION

Make = Callable[..., TrackEvidence]


def test_a_person_of_the_gallery_is_named(bundle: ModelBundle, make_track: Make) -> None:
    identifier = Identifier(Gallery.from_bundle(bundle))
    (label,) = identifier.identify([make_track(bundle.prototypes[7])])
    assert label.verdict == "known"
    assert label.identity == bundle.identities[7]
    assert label.confidence is not None
    assert label.confidence > 0.5
    assert label.margin is not None
    assert label.margin > 0


def test_a_stranger_is_unknown_with_candidates(bundle: ModelBundle, make_track: Make) -> None:
    stranger = np.random.default_rng(99).normal(0, 1, 32).astype(np.float32)
    (label,) = Identifier(Gallery.from_bundle(bundle)).identify([make_track(stranger / np.linalg.norm(stranger))])
    assert label.verdict == "unknown"
    assert label.identity is None
    assert len(label.candidates) == MAX_CANDIDATES
    assert list(label.candidates) == sorted(label.candidates, key=lambda candidate: -candidate.score)


@pytest.mark.parametrize(("face_px", "quality"), [(31, 1.0), (40, 0.3)])
def test_poor_faces_are_unknown_however_alike(
    bundle: ModelBundle, make_track: Make, face_px: float, quality: float
) -> None:
    track = make_track(bundle.prototypes[7], face_px=face_px, quality=quality)
    (label,) = Identifier(Gallery.from_bundle(bundle)).identify([track])
    assert label.verdict == "too_poor"
    assert label.identity is None
    assert label.candidates[0].identity == bundle.identities[7]


def test_one_good_face_counts_and_the_poor_ones_do_not(bundle: ModelBundle, make_track: Make) -> None:
    good, poor = make_track(bundle.prototypes[7], faces=1), make_track(bundle.prototypes[8], faces=4, face_px=20)
    mixed = TrackEvidence(
        np.concatenate([poor.embeddings, good.embeddings]),
        np.concatenate([poor.face_px, good.face_px]),
        np.concatenate([poor.quality, good.quality]),
    )
    identifier = Identifier(Gallery.from_bundle(bundle))
    assert identifier.identify([mixed]) == identifier.identify([good])


def test_a_track_without_an_embedded_face_is_too_poor(bundle: ModelBundle) -> None:
    empty = TrackEvidence(np.zeros((0, 32), np.float16), np.zeros(0, np.float16), np.zeros(0, np.float16))
    (label,) = Identifier(Gallery.from_bundle(bundle)).identify([empty])
    assert label.verdict == "too_poor"
    assert label.candidates == ()


def test_a_track_that_is_not_a_number_is_unknown_and_harms_none_beside_it(
    bundle: ModelBundle, make_track: Make
) -> None:
    identifier = Identifier(Gallery.from_bundle(bundle))
    tracks = [make_track(bundle.prototypes[index], faces=3) for index in (7, 8, 9)]
    first, _, last = identifier.identify(tracks)
    embeddings = tracks[1].embeddings.copy()
    embeddings[1, 5] = np.nan
    tracks[1] = replace(tracks[1], embeddings=embeddings)
    assert identifier.identify(tracks) == [first, TrackLabel("unknown", ()), last]


def test_no_tracks_in_no_labels_out(bundle: ModelBundle) -> None:
    assert Identifier(Gallery.from_bundle(bundle)).identify([]) == []


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(25)), st.integers(1, 25))
def test_a_label_does_not_depend_on_the_tracks_beside_it(order: list[int], count: int) -> None:
    random = np.random.default_rng(0)
    prototypes = random.normal(0, 1, (60, 128)).astype(np.float32)
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    identifier = Identifier(Gallery.from_bundle(_bundle_of(prototypes)))
    tracks = [
        TrackEvidence(
            (prototypes[index] + random.normal(0, 0.08, (3, 128))).astype(np.float16),
            np.full(3, 90, np.float16),
            random.uniform(0.5, 1, 3).astype(np.float16),
        )
        for index in range(25)
    ]
    alone = [identifier.identify([track])[0] for track in tracks]
    together = identifier.identify([tracks[index] for index in order[:count]])
    assert together == [alone[index] for index in order[:count]]


def _bundle_of(prototypes: np.ndarray) -> ModelBundle:
    from annotator.recognition.calibration import Calibration, SizePoint  # noqa: PLC0415 - only here
    from annotator.types import Identity  # noqa: PLC0415 - only here

    return ModelBundle(
        "made-up",
        1,
        "sface-2021dec",
        tuple(Identity(f"P{index}") for index in range(len(prototypes))),
        prototypes,
        np.ones(len(prototypes), np.int32),
        prototypes.mean(axis=0),
        Calibration((SizePoint(64.0, (0.3,), 10.0, -3.0),), (0.01,), 0.01, 0.1, 32.0, 48.0, 0.5, 20),
    )


@pytest.mark.parametrize("is_shifted", [False, True])
def test_scores_are_those_of_the_formula(bundle: ModelBundle, *, is_shifted: bool) -> None:
    gallery = Gallery.from_bundle(bundle)
    random = np.random.default_rng(4)
    probe = random.normal(0, 1, 32)
    clip_centre = random.normal(0, 0.1, 32) if is_shifted else bundle.mean
    scores = Scorer(gallery, cohort=10, clip_centre=clip_centre.tolist() if is_shifted else ()).scores(probe[None])[0]
    unit = lambda vector: vector / np.linalg.norm(vector)  # noqa: E731 - a formula
    centred = np.stack([unit(row.astype(np.float64) - bundle.mean) for row in bundle.prototypes])
    near = centred @ unit(unit(probe) - clip_centre)
    for person in (0, 13, 39, int(near.argmax())):
        others = np.delete(np.arange(40), person)
        probe_level = np.sort(near[others])[-10:].mean()
        own_level = np.sort(centred[others] @ centred[person])[-10:].mean()
        assert scores[person] == pytest.approx(near[person] - (probe_level + own_level) / 2, abs=1e-6)


def test_a_gallery_smaller_than_the_cohort_uses_all_of_it(bundle: ModelBundle, make_track: Make) -> None:
    few = replace(
        bundle,
        identities=bundle.identities[:4],
        prototypes=bundle.prototypes[:4],
        photo_counts=bundle.photo_counts[:4],
    )
    (label,) = Identifier(Gallery.from_bundle(few)).identify([make_track(bundle.prototypes[2])])
    assert label.identity == bundle.identities[2]
    assert len(label.candidates) == 4


def test_a_gallery_of_nobody_knows_nobody(bundle: ModelBundle, make_track: Make) -> None:
    nobody = replace(bundle, identities=(), prototypes=bundle.prototypes[:0], photo_counts=bundle.photo_counts[:0])
    (label,) = Identifier(Gallery.from_bundle(nobody)).identify([make_track(bundle.prototypes[2])])
    assert label.verdict == "unknown"
    assert label.candidates == ()


def test_better_faces_weigh_more(bundle: ModelBundle, make_track: Make) -> None:
    sharp, blurred = make_track(bundle.prototypes[1], faces=1), make_track(bundle.prototypes[2], faces=1, quality=0.5)
    mixed = TrackEvidence(
        np.concatenate([sharp.embeddings, blurred.embeddings]),
        np.concatenate([sharp.face_px, blurred.face_px]),
        np.concatenate([sharp.quality, blurred.quality]),
    )
    (label,) = Identifier(Gallery.from_bundle(bundle)).identify([mixed])
    assert label.candidates[0].identity == bundle.identities[1]


def test_the_digest_tells_galleries_and_thresholds_apart(bundle: ModelBundle) -> None:
    gallery = Gallery.from_bundle(bundle)
    digests = {
        Identifier(gallery).digest,
        Identifier(gallery, calibration=bundle.calibration.at_rate(0.001)).digest,
        Identifier(Gallery.from_bundle(bundle, removed=["Person 03"])).digest,
    }
    assert len(digests) == 3
    assert Identifier(Gallery.from_bundle(bundle)).digest in digests
    renamed = Gallery.from_bundle(bundle, renames={"Person 03": "Somebody"})
    assert Identifier(renamed).digest == Identifier(gallery).digest


def test_prior_and_least_confidence_are_in_the_digest_and_in_the_model(bundle: ModelBundle) -> None:
    gallery = Gallery.from_bundle(bundle, removed=["Person 03"])
    own = bundle.calibration
    wishes = [own, replace(own, prior=0.03), replace(own, min_confidence=0.9)]
    told = [Identifier(gallery, calibration=one) for one in wishes]
    assert len({one.digest for one in told}) == 3
    marks = ["", "+prior=0.03", "+min-precision=0.9"]
    assert [one.model for one in told] == [gallery.model + mark for mark in marks]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([20.0, 40.0, 70.0]), st.integers(1, 5))
def test_the_reasons_have_the_numbers_of_the_label(seed: int, face_px: float, faces: int) -> None:
    random = np.random.default_rng(seed)
    bundle = bundle_of(random)
    track = TrackEvidence(
        (bundle.prototypes[3] + random.normal(0, 0.3, (faces, 32))).astype(np.float16),
        (face_px + random.uniform(-15, 15, faces)).astype(np.float16),
        random.uniform(0.3, 1.0, faces).astype(np.float16),
    )
    identifier = Identifier(Gallery.from_bundle(bundle))
    (label,) = identifier.identify([track])
    reasons = identifier.reasons(track, most=8)
    told = list(zip(reasons.columns.tolist(), reasons.scores.tolist(), reasons.confidences.tolist(), strict=True))
    assert len(told) == 8
    assert told[:MAX_CANDIDATES] == [
        (bundle.identities.index(one.identity), one.score, one.confidence) for one in label.candidates
    ]
    levels = reasons.terms.probe_levels + reasons.terms.prototype_levels
    np.testing.assert_array_equal(np.round(reasons.terms.cosines - 0.5 * levels, 6)[0], reasons.scores)
    assert reasons.weights.sum() == pytest.approx(1)
    if label.verdict == "too_poor":
        assert not reasons.is_usable.any()
        assert (reasons.weights > 0).all()
    else:
        assert ((reasons.weights > 0) == reasons.is_usable).all()
        assert (label.verdict == "known") == (reasons.scores[0] >= reasons.min_score)


def bundle_of(random: np.random.Generator) -> ModelBundle:
    """Return a bundle of forty people who are alike."""
    vectors = random.normal(0, 1, (40, 32)) + 0.3
    prototypes = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return ModelBundle(
        name="small",
        version=1,
        embedder="sface-2021dec",
        identities=tuple(Identity(f"Person {index:02}") for index in range(40)),
        prototypes=prototypes,
        photo_counts=np.full(40, 5, np.int32),
        mean=prototypes.mean(axis=0),
        calibration=CALIBRATION,
    )


def test_the_nearest_of_a_small_gallery_are_all_that_there_are(bundle: ModelBundle, make_track: Make) -> None:
    two = Gallery.from_bundle(bundle.with_only(np.array([4, 9])))
    assert Identifier(two).reasons(make_track(bundle.prototypes[4]), most=10).columns.tolist() == [0, 1]
    alone = Identifier(Gallery.from_bundle(bundle.with_only(np.array([4]))))  # nobody to be a cohort
    reasons = alone.reasons(make_track(bundle.prototypes[4]), most=10)
    assert reasons.terms.probe_levels.tolist() == reasons.terms.prototype_levels.tolist() == [[0.0]]
    nobody = Gallery.from_bundle(bundle, removed=[person.name for person in bundle.identities])
    assert len(Identifier(nobody).reasons(make_track(bundle.prototypes[4]), most=10).columns) == 0


def test_an_embedding_that_is_not_finite_is_near_to_nobody(bundle: ModelBundle, make_track: Make) -> None:
    track = make_track(bundle.prototypes[4])
    broken = TrackEvidence(np.full_like(track.embeddings, np.nan), track.face_px, track.quality)
    reasons = Identifier(Gallery.from_bundle(bundle)).reasons(broken, most=10)
    assert len(reasons.columns) == len(reasons.scores) == len(reasons.confidences) == 0
    assert reasons.terms.cosines.shape == (1, 0)
