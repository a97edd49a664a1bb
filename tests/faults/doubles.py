"""Doubles of the networks for the fault tests: cheap, exact, and dependent on every decoded pixel.

The rest of the pipeline is the real one: fetching, decoder children, sampling, alignment, linking, quality, rows. All
sums are of integers, so that a result depends neither on what shares its batch nor on how an array lies in memory.
"""

import hashlib
import os
import signal
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from annotator.build import build_source
from annotator.errors import ConfigError
from annotator.pipeline import Annotator
from annotator.recognition.alignment import ARCFACE_TEMPLATE_XY, FACE_SIDE_PX, align_faces
from annotator.recognition.calibration import Calibration
from annotator.recognition.crops import ALIGNED
from annotator.recognition.decision import NamedTracks
from annotator.recognition.evidence import EvidenceStack
from annotator.settings import Settings
from annotator.types import F32, U8, Candidate, FaceDetections, Identity, TrackEvidence, TrackLabel
from tests.faults.faces import MIN_SATURATION, PEOPLE, SIDE_PX, portrait
from tests.made_up_bundles import CALIBRATION

# What ANNOTATOR_MODEL may name: (version of the network, how many people it knows).
MODELS: Final = {"doubles@1": (1, 3), "doubles@2": (1, 4), "doubles@3": (2, 4)}
_MIN_SIDE_PX: Final = 16
_DIMENSIONS: Final = 32
_BLOCKS: Final = 7
_PROJECTION: Final = np.random.default_rng(7).integers(-8, 9, (_BLOCKS * _BLOCKS * 3, _DIMENSIONS))
_MIN_COSINE: Final = 0.8
_POLL_S: Final = 0.02
NetworkDeed = Literal["die", "raise", "hang"]


class Halts:
    """Points at which this process waits as long as a file of the point's name lies in a folder."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def pass_by(self, point: str) -> None:
        if self._folder is None or not (self._folder / point).exists():
            return
        (self._folder / f"{point}.reached").touch()
        while (self._folder / point).exists():
            time.sleep(_POLL_S)

    def meet(self, frames: Sequence[U8]) -> None:
        """Do what a file ``network-…`` says, where it names one of the frames."""
        for deed in get_args(NetworkDeed):
            path = None if self._folder is None else self._folder / f"network-{deed}"
            if path is not None and path.exists():
                guilty = path.read_text().split()
                if any(digest_of(frame) in guilty for frame in frames):
                    path.with_name(f"{path.name}.reached").touch()
                    _do(deed)


def digest_of(frame: U8) -> str:
    """Return by what a frame is known."""
    return hashlib.sha256(frame.tobytes()).hexdigest()


def _do(deed: str) -> None:
    if deed == "raise":
        msg = "these frames break the network"
        raise RuntimeError(msg)
    if deed == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Event().wait()


class SquareDetector:
    """Finds coloured squares."""

    def __init__(self, *, version: int, halts: Halts) -> None:
        self._version = version
        self._halts = halts

    def detect(self, frames: Sequence[U8]) -> list[FaceDetections]:
        if any(frame.any() for frame in frames):  # a black one warms up
            self._halts.pass_by("network")
            self._halts.meet(frames)
        return [_squares(frame) for frame in frames]

    def detect_clips(self, clips: Sequence[Sequence[U8]]) -> list[list[FaceDetections]]:
        return [self.detect(frames) for frames in clips]

    def spec(self) -> dict[str, object]:
        return {"detector": "squares", "version": self._version}


class SquareEmbedder:
    """Projects a coarse picture of the crop."""

    network_id = "squares-32"
    crop = ALIGNED

    def embed(self, faces: U8) -> F32:
        return np.array([_embedding(face) for face in faces], np.float32).reshape(len(faces), _DIMENSIONS)


class SquareIdentifier:
    """Names a track after the nearest of the first so many people."""

    def __init__(self, model: str, *, people: int) -> None:
        self.model = model
        self._people = PEOPLE[:people]
        self._prototypes = [_embedding(_face_of(portrait(person))) for person in range(people)]

    @property
    def digest(self) -> str:
        return f"squares of {len(self._people)} people"

    @property
    def photographs(self) -> Mapping[Identity, int]:
        return dict.fromkeys(self._people, 1)

    @property
    def identities(self) -> Sequence[Identity]:
        return self._people

    @property
    def calibration(self) -> Calibration:
        return CALIBRATION  # is only written down: how sure it is comes from the squares

    def identify(self, tracks: Sequence[TrackEvidence]) -> list[TrackLabel]:
        return [self._label(track) for track in tracks]

    def named(self, stacks: Iterable[EvidenceStack]) -> NamedTracks:
        labels = {
            int(place): self._label(TrackEvidence(*evidence))
            for stack in stacks
            for place, *evidence in zip(stack.place, stack.embeddings, stack.face_px, stack.quality, strict=True)
        }
        known = {place: labels[place].candidates for place in sorted(labels) if labels[place].identity is not None}
        shape = len(known), len(self._people)
        column = {person: number for number, person in enumerate(self._people)}
        return NamedTracks(
            np.array(list(known), np.int64),
            np.array([[column[one.identity] for one in of_track] for of_track in known.values()], np.int64).reshape(
                shape
            ),
            np.array([[one.score for one in of_track] for of_track in known.values()], np.float64).reshape(shape),
            np.array([[one.confidence for one in of_track] for of_track in known.values()], np.float64).reshape(shape),
        )

    def _label(self, track: TrackEvidence) -> TrackLabel:
        if not len(track):
            return TrackLabel("too_poor", ())
        # In units of 2^-14 the stored half floats are whole numbers.
        mean = np.round(track.embeddings.astype(np.float64) * 2**14).astype(np.int64).sum(axis=0)
        length = float((mean * mean).sum()) ** 0.5
        scores = [round(float(np.round(one * 2**14) @ mean) / 2**14 / length, 6) for one in self._prototypes]
        ranked = sorted(range(len(scores)), key=lambda person: -scores[person])
        candidates = tuple(
            Candidate(self._people[person], scores[person], round((1 + scores[person]) / 2, 6)) for person in ranked
        )
        return TrackLabel("known" if candidates[0].score >= _MIN_COSINE else "unknown", candidates)


def build_annotator(settings: Settings, *, halts: Halts | None = None, **_: object) -> Annotator:
    """Stand in for ``annotator.build.build_annotator``: the real way of a clip, with doubles of the networks."""
    if settings.model not in MODELS:
        raise ConfigError(f"There is no model {settings.model!r} of the fault tests: give one of {', '.join(MODELS)}.")
    version, people = MODELS[settings.model]
    return Annotator(
        source=build_source(settings),
        detector=SquareDetector(version=version, halts=halts or Halts(None)),
        embedder=SquareEmbedder(),
        identifier=SquareIdentifier(settings.model, people=people),
    )


def _squares(frame: U8) -> FaceDetections:
    has_colour = np.ptp(frame.astype(np.int16), axis=2) >= MIN_SATURATION
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(has_colour.astype(np.uint8), connectivity=8)
    found = []
    for number in range(1, count):
        x, y, width, height, _ = boxes[number].tolist()
        if min(width, height) >= _MIN_SIDE_PX:
            # Every pixel counts: a frame that was decoded wrongly has another score.
            pixels = int(frame[labels == number].astype(np.int64).sum())
            found.append((0.9 + pixels % 997 / 10_000, (x, y, x + width, y + height)))
    found.sort(key=lambda one: (-one[0], one[1]))
    if not found:
        return FaceDetections.empty()
    corners = np.array([box for _, box in found], np.float32)
    scale = (corners[:, 2:] - corners[:, :2]) / FACE_SIDE_PX
    landmarks = ARCFACE_TEMPLATE_XY[None] * scale[:, None] + corners[:, None, :2]
    scores = np.array([score for score, _ in found], np.float32)
    return FaceDetections(corners, scores, landmarks.astype(np.float32))


def _embedding(face: U8) -> NDArray[np.float64]:
    side = FACE_SIDE_PX // _BLOCKS
    sums = face.astype(np.int64).reshape(_BLOCKS, side, _BLOCKS, side, 3).sum(axis=(1, 3))
    centred = (sums * _BLOCKS**2 - sums.sum(axis=(0, 1))) // side**2
    projected = centred.reshape(-1) @ _PROJECTION
    return projected / max(float((projected * projected).sum()) ** 0.5, 1.0)


def _face_of(picture: U8) -> U8:
    corner = np.float32((picture.shape[0] - SIDE_PX) / 2)
    landmarks = ARCFACE_TEMPLATE_XY * np.float32(SIDE_PX / FACE_SIDE_PX) + corner
    return align_faces(picture, landmarks[None].astype(np.float32))[0][0]
