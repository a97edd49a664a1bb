from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest

from annotator.recognition.crops import ALIGNED, FaceCrop
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.types import F32, U8, TrackEvidence
from tests.made_up_faces import PatternEmbedder, face_of
from trainer.evaluation.probes import Probe
from trainer.evaluation.recognisers import Faces, GalleryRecogniser, HeadRecogniser, gallery_of
from trainer.evaluation.trial import folds_of, run_trial

PEOPLE = tuple(f"Person {number}" for number in range(12))
EMBEDDER = PatternEmbedder()


def gallery_recogniser() -> GalleryRecogniser:
    crops = np.stack([face_of(person, take=take) for person in range(12) for take in range(3)])
    bundle = gallery_of(EMBEDDER.embed(crops), np.repeat(np.arange(12), 3), PEOPLE, network=EMBEDDER.network_id)
    return GalleryRecogniser("made up", "prototypes", bundle, EMBEDDER.embed)


def write_probe(folder: Path, person: int, take: int, *, name: str | None) -> Probe:
    path = folder / f"{person}-{take}.png"
    cv2.imwrite(str(path), np.ascontiguousarray(face_of(person, take=take)[:, :, ::-1]))
    return Probe(path.name, name, path.name, 112.0, path)


def faces_of(embeddings: F32) -> Faces:
    ones = np.ones(len(embeddings), np.float32)
    return Faces(embeddings, ones * 112, ones)


@pytest.fixture
def probes(tmp_path: Path) -> list[Probe]:
    return [write_probe(tmp_path, person, take, name=PEOPLE[person]) for person in range(10) for take in (7, 8)]


def test_a_gallery_answers_as_the_annotator_would_name_a_track_of_one_face() -> None:
    recogniser = gallery_recogniser()
    embeddings = EMBEDDER.embed(np.stack([face_of(3, take=7), face_of(99)]))
    answers = recogniser.recognise(faces_of(embeddings))
    one = np.ones(1, np.float16)
    tracks = [TrackEvidence(row[None].astype(np.float16), one * 112, one) for row in embeddings]
    labels = Identifier(Gallery.from_bundle(recogniser.bundle)).identify(tracks)
    assert [answer.scores for answer in answers] == [tuple(c.score for c in label.candidates) for label in labels]
    assert answers[0].names[0] == "Person 3"
    assert answers[0].is_named is None  # no threshold was ever set


def test_who_is_left_out_is_neither_in_the_gallery_nor_in_the_mean() -> None:
    whole = gallery_recogniser()
    reduced = whole.without({"Person 2", "Person 5"})
    stay = [number for number in range(12) if number not in (2, 5)]
    again = gallery_of(
        EMBEDDER.embed(np.stack([face_of(person, take=take) for person in stay for take in range(3)])),
        np.repeat(np.arange(10), 3),
        [PEOPLE[number] for number in stay],
        network=EMBEDDER.network_id,
    )
    # As if they had never been there: everything that decides a score is equal.
    assert reduced.people == tuple(PEOPLE[number] for number in stay)
    assert np.array_equal(reduced.bundle.prototypes, again.prototypes)
    assert np.array_equal(reduced.bundle.mean, again.mean)
    assert not np.array_equal(reduced.bundle.mean, whole.bundle.mean)


@dataclass
class Spy:
    """Notes who was asked about whom."""

    name: str = "spy"
    kind: str = "head"
    crop: FaceCrop = ALIGNED
    people: tuple[str, ...] = PEOPLE
    asked: list[tuple[frozenset[str], list[int]]] = field(default_factory=list)

    def features(self, crops: U8) -> F32:
        return np.zeros((len(crops), 1), np.float32)

    def recognise(self, faces: Faces) -> list[object]:
        self.asked.append((frozenset(PEOPLE) - frozenset(self.people), list(range(len(faces)))))
        from trainer.evaluation.recognisers import Answer  # noqa: PLC0415 - here only

        return [Answer(self.people[:1], (float(len(self.people)),), None) for _ in range(len(faces))]

    def without(self, people: Collection[str]) -> "Spy":
        return Spy(people=tuple(name for name in PEOPLE if name not in people), asked=self.asked)


def test_every_face_is_a_stranger_once_and_known_once_before_galleries_of_like_size(probes: list[Probe]) -> None:
    trial = run_trial(Spy(), probes)
    folds = folds_of([one.person or "" for one in trial.known])
    for one in trial.known:
        assert one.as_stranger is not None
        assert one.as_known is not None
        # The name that comes first shows who was left out: nobody of the face's own fold, as a stranger …
        gone = {name for name, fold in folds.items() if fold == folds[one.person or ""]}
        assert one.as_stranger.names[0] not in gone
        assert one.as_stranger.scores[0] == 12 - len(gone)
        # … and as a known face people of one other fold.
        assert one.as_known.scores[0] < 12
    assert sorted(set(folds.values())) == [0, 1, 2, 3, 4]


def test_with_one_person_shown_nobody_is_left_out(probes: list[Probe]) -> None:
    trial = run_trial(gallery_recogniser(), probes[:2])
    assert [one.as_stranger for one in trial.known] == [None, None]


def test_the_split_into_folds_does_not_depend_on_the_order_of_photographs() -> None:
    assert folds_of(PEOPLE) == folds_of(PEOPLE[::-1])


def test_people_whom_the_recogniser_does_not_know_are_strangers(tmp_path: Path, probes: list[Probe]) -> None:
    other = write_probe(tmp_path, 50, 0, name="Somebody Else")
    trial = run_trial(gallery_recogniser(), [other, *probes], [write_probe(tmp_path, 60, 0, name=None)])
    assert [one.key for one in trial.unknown] == [other.path.name, "60-0.png"]
    assert [one.key for one in trial.outcomes] == [probe.key for probe in [other, *probes]]
    assert all(one.is_right for one in trial.known)


def test_faces_made_small_are_shown_again_and_told_apart(probes: list[Probe]) -> None:
    trial = run_trial(gallery_recogniser(), probes[:4], sizes_px=(32,))
    assert [one.face_px for one in trial.by_size[32]] == [32.0] * 4
    scores = [one.answer.scores for one in trial.by_size[32]]
    assert scores != [one.answer.scores for one in trial.outcomes]


def test_a_head_ranks_by_log_odds_even_where_the_probability_rounds_to_one() -> None:
    logits = np.array([[60.0, 0.0, 1.0], [90.0, 0.0, 1.0]], np.float32)
    head = HeadRecogniser("head", PEOPLE[:3], lambda crops: crops)
    first, second = head.recognise(faces_of(logits))
    assert first.names == ("Person 0", "Person 2", "Person 1")
    assert second.scores[0] > first.scores[0] > 50
    probability = np.exp(1.0) / (np.exp(60.0) + 1 + np.exp(1.0))
    assert first.scores[1] == pytest.approx(np.log(probability / (1 - probability)))


def test_a_head_without_some_people_is_the_softmax_over_the_others() -> None:
    logits = np.array([[5.0, 3.0, 1.0, 2.0]], np.float32)
    head = HeadRecogniser("head", PEOPLE[:4], lambda crops: crops)
    (reduced,) = head.without({"Person 0"}).without({"Person 3"}).recognise(faces_of(logits))
    assert reduced.names == ("Person 1", "Person 2")
    assert reduced.scores[0] == pytest.approx(2.0)


def test_a_cosine_head_answers_with_the_cosine() -> None:
    head = HeadRecogniser("head", PEOPLE[:2], lambda crops: crops, is_cosine=True)
    (answer,) = head.recognise(faces_of(np.array([[0.25, 0.75]], np.float32)))
    assert answer.scores == (0.75, 0.25)
