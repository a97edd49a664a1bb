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
from annotator.types import TrackEvidence, TrackLabel

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


def test_scores_are_those_of_the_formula(bundle: ModelBundle) -> None:
    gallery = Gallery.from_bundle(bundle)
    probe = np.random.default_rng(4).normal(0, 1, 32)
    scores = Scorer(gallery, cohort=10).scores(probe[None])[0]
    unit = lambda vector: vector / np.linalg.norm(vector)  # noqa: E731 - a formula
    centred = np.stack([unit(row.astype(np.float64) - bundle.mean) for row in bundle.prototypes])
    near = centred @ unit(unit(probe) - bundle.mean)
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
