"""Naming many tracks at once: the same labels, bit for bit, as the rule taken word by word."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.recognition.bundle import ModelBundle
from annotator.recognition.calibration import Calibration, SizePoint
from annotator.recognition.decision import Identifier, NamedTracks
from annotator.recognition.evidence import EvidenceStack, pool_track, stack_tracks
from annotator.recognition.gallery import EnrolledPerson, Gallery
from annotator.types import Identity, TrackEvidence, TrackLabel
from tests.unit.recognition.slow_decision import slow_identify

SIZE = 24


def _unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def _gallery(
    random: np.random.Generator, *, people: int, cohort: int, prior: float = 0.1, min_confidence: float = 0.0
) -> Gallery:
    prototypes = _unit(random.normal(0, 1, (people, SIZE)) + 0.2)
    if people > 3:
        prototypes[3] = prototypes[1]  # equal scores: the first column is named
    points = (SizePoint(32.0, (0.35,), 10.0, -5.0), SizePoint(128.0, (0.25,), 20.0, -7.0))
    bundle = ModelBundle(
        name="made-up",
        version=1,
        embedder="sface-2021dec",
        identities=tuple(Identity(f"P{index}") for index in range(people)),
        prototypes=prototypes,
        photo_counts=random.integers(1, 9, people).astype(np.int32),
        mean=prototypes.mean(axis=0),
        calibration=Calibration(points, (0.01,), 0.01, prior, 32.0, 48.0, 0.5, cohort, min_confidence),
    )
    if people < 8:
        return Gallery.from_bundle(bundle)
    changed = _unit(prototypes[5] + random.normal(0, 0.3, (2, SIZE)).astype(np.float32))
    enrolled = [
        EnrolledPerson(Identity("P5"), changed, bundle.embedder),
        EnrolledPerson(Identity("New"), _unit(random.normal(0, 1, (1, SIZE))), bundle.embedder),
    ]
    return Gallery.from_bundle(bundle, enrolled=enrolled, merges={"P6": "P7"}, removed=["P2"])


def _tracks(random: np.random.Generator, gallery: Gallery, count: int) -> list[TrackEvidence]:
    """Return tracks of people and of strangers, near the threshold, of all sizes and numbers of faces."""
    tracks = []
    for _ in range(count):
        faces = int(random.integers(0, 7))
        shown = gallery.prototypes[random.integers(len(gallery))] + random.normal(0, 0.14, SIZE)
        centre = shown if random.random() < 0.6 else random.normal(0, 0.2, SIZE)
        embeddings = _unit(centre + random.normal(0, 0.05, (faces, SIZE))) if faces else np.zeros((0, SIZE))
        tracks.append(
            TrackEvidence(
                embeddings.astype(np.float16),
                random.uniform(20, 140, faces).astype(np.float16),
                random.uniform(0, 1, faces).astype(np.float16),
            )
        )
    return tracks


def _by_place(named: NamedTracks, gallery: Gallery) -> dict[int, list[tuple[str, float, float]]]:
    rows = zip(
        named.place.tolist(), named.columns.tolist(), named.scores.tolist(), named.confidences.tolist(), strict=True
    )
    return {
        place: [
            (gallery.identities[column].name, score, confidence)
            for column, score, confidence in zip(columns, scores, confidences, strict=True)
        ]
        for place, columns, scores, confidences in rows
    }


def _known(labels: list[TrackLabel]) -> dict[int, list[tuple[str, float, float]]]:
    return {
        place: [(one.identity.name, one.score, one.confidence) for one in label.candidates]
        for place, label in enumerate(labels)
        if label.verdict == "known"
    }


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 2, 5, 40, 90]), st.sampled_from([1, 7, 20, 60]), st.integers(0, 40))
def test_labels_are_bit_for_bit_those_of_the_slow_rule(seed: int, people: int, cohort: int, count: int) -> None:
    random = np.random.default_rng(seed)
    gallery = _gallery(random, people=people, cohort=cohort)
    tracks = _tracks(random, gallery, count)
    slow = slow_identify(gallery, tracks)
    assert Identifier(gallery).identify(tracks) == slow
    assert _by_place(Identifier(gallery).named(stack_tracks(tracks)), gallery) == _known(slow)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.002, 0.1, 0.6]), st.floats(0.01, 0.999))
def test_only_names_that_are_sure_enough_are_given_one_by_one_and_in_bulk(
    seed: int, prior: float, min_confidence: float
) -> None:
    random = np.random.default_rng(seed)
    gallery = _gallery(random, people=40, cohort=20, prior=prior, min_confidence=min_confidence)
    tracks = _tracks(random, gallery, 40)
    slow = slow_identify(gallery, tracks)
    assert Identifier(gallery).identify(tracks) == slow
    assert _by_place(Identifier(gallery).named(stack_tracks(tracks)), gallery) == _known(slow)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 5, 90]), st.sampled_from([0.0, 0.9]))
def test_the_ratios_of_all_usable_tracks_are_those_that_their_labels_rest_on(
    seed: int, people: int, min_confidence: float
) -> None:
    random = np.random.default_rng(seed)
    gallery = _gallery(random, people=people, cohort=20, prior=0.3, min_confidence=min_confidence)
    tracks = _tracks(random, gallery, 40)
    ratios = Identifier(gallery).ratios(stack_tracks(tracks))
    labels = {place: one for place, one in enumerate(slow_identify(gallery, tracks)) if one.verdict != "too_poor"}
    assert ratios.place.tolist() == list(labels)
    assert ratios.is_named.tolist() == [one.verdict == "known" for one in labels.values()]
    assert ratios.of_gallery.tolist() == ratios.log_ratios.tolist()  # nothing is known of known people's tracks
    confidences = 1 / (1 + np.exp(-ratios.log_ratios) * 0.7 / 0.3)
    assert confidences == pytest.approx([one.candidates[0].confidence for one in labels.values()], abs=1e-6)


def test_a_gallery_of_nobody_and_a_track_that_is_not_a_number_have_no_ratio() -> None:
    gallery = _gallery(np.random.default_rng(1), people=4, cohort=2)
    good = TrackEvidence(gallery.prototypes[:1].astype(np.float16), *[np.ones(1, np.float16) * 100] * 2)
    broken = TrackEvidence(np.full((1, SIZE), np.nan, np.float16), good.face_px, good.quality)
    stacks = stack_tracks([broken, good])
    assert Identifier(gallery).ratios(stacks).place.tolist() == [1]
    nobody = Gallery.from_bundle(gallery.bundle, removed=[one.name for one in gallery.identities])
    assert len(Identifier(nobody).ratios(stacks)) == 0


def test_the_bound_spares_strangers_their_scores_and_loses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    gallery = _gallery(random, people=200, cohort=25)
    identifier = Identifier(gallery)
    strangers = [
        TrackEvidence(_unit(random.normal(0, 1, (2, SIZE))).astype(np.float16), *[np.ones(2, np.float16) * 100] * 2)
        for _ in range(200)
    ]
    scored = []
    best = identifier._scorer._best
    monkeypatch.setattr(
        identifier._scorer,
        "_best",
        lambda probes, *rest, **named: scored.append(len(probes)) or best(probes, *rest, **named),
    )
    named = identifier.named(stack_tracks(strangers))
    assert 0 < sum(scored) < 200
    assert _by_place(named, gallery) == _known(identifier.identify(strangers))


def test_a_gallery_of_nobody_names_nobody() -> None:
    gallery = _gallery(np.random.default_rng(1), people=4, cohort=2)
    nobody = replace(
        gallery.bundle, identities=(), prototypes=np.zeros((0, SIZE), np.float32), photo_counts=np.zeros(0, np.int32)
    )
    tracks = _tracks(np.random.default_rng(2), gallery, 5)
    assert len(Identifier(Gallery.from_bundle(nobody)).named(stack_tracks(tracks))) == 0


def test_stacks_hold_every_track_with_a_face_once() -> None:
    gallery = _gallery(np.random.default_rng(1), people=10, cohort=2)
    tracks = _tracks(np.random.default_rng(3), gallery, 50)
    stacks = stack_tracks(tracks)
    assert sorted(place for stack in stacks for place in stack.place.tolist()) == [
        place for place, track in enumerate(tracks) if len(track)
    ]
    parts = [part for stack in stacks for part in stack.parts(4)]
    assert max(len(part) for part in parts) <= 4
    for part in parts:
        for row, place in enumerate(part.place.tolist()):
            assert np.array_equal(part.embeddings[row], tracks[place].embeddings)
            assert np.array_equal(part.quality[row], tracks[place].quality)


def test_a_stack_without_faces_or_of_unequal_arrays_is_refused() -> None:
    with pytest.raises(ValueError, match="with faces"):
        EvidenceStack(np.zeros(1, np.int64), *[np.zeros((1, 0, 4), np.float16), *[np.zeros((1, 0), np.float16)] * 2])
    with pytest.raises(TypeError, match="quality must be float16"):
        EvidenceStack(
            np.zeros(1, np.int64), np.zeros((1, 2, 4), np.float16), np.zeros((1, 2), np.float16), np.zeros((1, 3))
        )


def test_one_track_is_pooled_as_many_are() -> None:
    tracks = _tracks(np.random.default_rng(5), _gallery(np.random.default_rng(1), people=4, cohort=2), 9)
    track = max(tracks, key=len)
    embedding, face_px = pool_track(track, np.ones(len(track), np.bool_))
    assert embedding.shape == (SIZE,)
    assert float(track.face_px.min()) <= face_px <= float(track.face_px.max())
