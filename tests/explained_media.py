"""A made-up media with faces of known people, sizes and qualities, and all that explains it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np

from annotator.decoding import PipelineParams
from annotator.explaining.explanation import Explanation, MadeWith
from annotator.explaining.reasoning import explain
from annotator.explaining.watching import SeenFaces
from annotator.pipeline import Annotator
from annotator.recognition.alignment import ARCFACE_TEMPLATE_XY
from annotator.recognition.bundle import ModelBundle
from annotator.recognition.calibration import Calibration, SizePoint
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.types import U8, ClipReport, FaceDetections, FrameBatch, Identity, MediaAnnotation, MediaRef
from tests.made_up_faces import PatternEmbedder, face_of

KNOWN_PEOPLE = 12
STRANGER = 70
WIDTH, HEIGHT = 560, 160
CALIBRATION = Calibration(
    points=(SizePoint(32.0, (0.45, 0.5, 0.95), 10.0, -5.0), SizePoint(112.0, (0.4, 0.45, 0.9), 14.0, -7.0)),
    rates=(0.01, 0.003, 0.001),
    max_false_positive_rate=0.003,
    prior=0.1,
    min_face_px=32.0,
    sharp_below_px=48.0,
    min_quality=0.5,
    cohort=5,
)


@dataclass(frozen=True, slots=True)
class Placed:
    """A face that is drawn into some frames."""

    person: int
    left: int
    frames: Sequence[int]
    sides: Sequence[int]
    scores: Sequence[float]

    @classmethod
    def steady(cls, person: int, left: int, frames: Sequence[int], *, side: int, score: float = 1.0) -> "Placed":
        return cls(person, left, frames, [side] * len(frames), [score] * len(frames))


MEDIA = (
    Placed.steady(3, 0, range(8), side=100),  # known, eight faces, of which five are embedded
    Placed(5, 140, [0, 1, 2], [60, 30, 44], [1.0, 1.0, 0.1]),  # known by one face: too small, too poor for its size
    Placed.steady(STRANGER, 280, range(3), side=90),
    Placed(7, 420, [0, 1], [40, 28], [0.1, 1.0]),  # too poor
)


def _drawn(placed: Sequence[Placed]) -> tuple[U8, list[FaceDetections]]:
    """Return the frames, and the faces of each in the order of time."""
    count = 1 + max((frame for one in placed for frame in one.frames), default=0)
    images = np.full((count, HEIGHT, WIDTH, 3), 90, np.uint8)
    found: list[list[tuple[np.ndarray, float, np.ndarray]]] = [[] for _ in range(count)]
    for one in placed:
        for frame, side, score in zip(one.frames, one.sides, one.scores, strict=True):
            face = cv2.resize(face_of(one.person, take=frame), (side, side), interpolation=cv2.INTER_AREA)
            images[frame, 20 : 20 + side, one.left : one.left + side] = face
            box = np.array([one.left, 20, one.left + side, 20 + side], np.float32)
            landmarks = ARCFACE_TEMPLATE_XY * (side / 112) + np.array([one.left, 20], np.float32)
            found[frame].append((box, score, landmarks.astype(np.float32)))
    images[:, 0, 0, 0] = np.arange(count)  # what the detector knows the frames by
    return images, [_detections(faces) for faces in found]


def _detections(faces: Sequence[tuple[np.ndarray, float, np.ndarray]]) -> FaceDetections:
    if not faces:
        return FaceDetections.empty()
    boxes, scores, landmarks = zip(*faces, strict=True)
    return FaceDetections(np.stack(boxes), np.array(scores, np.float32), np.stack(landmarks))


class PlacedMedia:
    """The source of one made-up media and the detector of its faces."""

    content_sha256 = "ab" * 32

    def __init__(self, placed: Sequence[Placed]) -> None:
        self._images, self._faces = _drawn(placed)

    @property
    def report(self) -> ClipReport:
        count = len(self._images)
        return ClipReport(WIDTH, HEIGHT, 100 * count, count, count, None)

    def spec(self) -> dict[str, object]:
        return {"made_up": {"frames": len(self._images)}}

    @contextmanager
    def open(self, media: MediaRef) -> Iterator["PlacedMedia"]:  # noqa: ARG002
        yield self

    def __iter__(self) -> Iterator[FrameBatch]:
        for start in range(0, len(self._images), 3):
            index = np.arange(start, min(start + 3, len(self._images)), dtype=np.int64)
            times = index * 100
            yield FrameBatch(self._images[index], index, times, times, np.full(len(index), 100, np.int64))

    def detect(self, frames: Sequence[U8]) -> list[FaceDetections]:
        return [self._faces[int(frame[0, 0, 0])] for frame in frames]

    def detect_clips(self, clips: Sequence[Sequence[U8]]) -> list[list[FaceDetections]]:
        return [self.detect(clip) for clip in clips]


def identifier(names: Sequence[str] | None = None) -> Identifier:
    """Return what knows the first twelve made-up people, by other names if these are given."""
    names = names or [f"Person {number}" for number in range(KNOWN_PEOPLE)]
    photographs = np.stack([[face_of(person, take=take) for take in (90, 91, 92)] for person in range(KNOWN_PEOPLE)])
    sums = np.stack([PatternEmbedder().embed(three).sum(axis=0) for three in photographs])
    prototypes = (sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32)
    bundle = ModelBundle(
        name="made-up",
        version=1,
        embedder=PatternEmbedder.network_id,
        identities=tuple(Identity(name, f"/m/{number}") for number, name in enumerate(names)),
        prototypes=prototypes,
        photo_counts=np.arange(1, KNOWN_PEOPLE + 1, dtype=np.int32),
        mean=prototypes.mean(axis=0),
        calibration=CALIBRATION,
    )
    return Identifier(Gallery.from_bundle(bundle))


def annotated(
    placed: Sequence[Placed] = MEDIA,
    *,
    media: MediaRef | None = None,
    named_by: Identifier | None = None,
    seen: SeenFaces | None = None,
    keep_faces: bool = True,
) -> MediaAnnotation:
    """Annotate a made-up media, watched by ``seen``."""
    source = PlacedMedia(placed)
    annotator = Annotator(
        source=source,
        detector=source,
        embedder=PatternEmbedder(),
        identifier=named_by or identifier(),
        params=PipelineParams(keep_faces=keep_faces),
        watch=seen,
    )
    (outcome,) = annotator.annotate([media or MediaRef("clip.gif", "file:///clips/clip.gif")])
    assert isinstance(outcome, MediaAnnotation)
    return outcome


def made_with(named_by: Identifier, *, database: str | None = None) -> MadeWith:
    return MadeWith(
        model=named_by.model,
        labelling_digest=named_by.digest,
        network_digest="cd" * 32,
        network={"decoder": {"sampling": {"frames": 20}}, "embedder": PatternEmbedder.network_id},
        calibration=named_by.calibration,
        people=len(named_by.identities),
        database=database,
    )


def explained(
    placed: Sequence[Placed] = MEDIA,
    *,
    track_no: int | None = None,
    media: MediaRef | None = None,
    names: Sequence[str] | None = None,
    most_crops: int = 4096,
) -> Explanation:
    """Annotate and explain a made-up media."""
    named_by, seen = identifier(names), SeenFaces(most_crops=most_crops)
    annotation = annotated(placed, media=media, named_by=named_by, seen=seen)
    return explain(annotation, seen, named_by, made_with=made_with(named_by), track_no=track_no)
