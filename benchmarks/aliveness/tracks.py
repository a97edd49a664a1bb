"""Tracks of known kinds: the clips' own, and those made of faces that were pasted in."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from annotator.accuracy.drawing import as_cartoon
from annotator.aliveness import frame_change, inner_change, is_picture
from annotator.build import MediaSource, build_detector, build_engine, build_gallery, build_source
from annotator.decoding import FrameSource, PipelineParams
from annotator.media import Sampling
from annotator.pipeline import Annotator
from annotator.quality import QualityParts, face_quality
from annotator.recognition.alignment import align_faces
from annotator.recognition.decision import Identifier
from annotator.recognition.embedding import FaceEmbedder
from annotator.settings import load_settings
from annotator.tracking import FrameFaces
from annotator.types import F16, U8, MediaAnnotation, MediaRef, TrackEvidence

DRAWN: Final = {("conversation-over.gif", 0), ("engineering-report.gif", 0), ("engineering-report.gif", 1)}
"""Tracks, by media and number, of faces that are drawn, as judged by eye; all others of three faces or more live."""

LEAST_FACES: Final = 3  # that a track needs to be counted
FACES_PER_TRACK: Final = 5  # as the annotator keeps
SMALL_PX: Final = 32
_AROUND: Final = 1.6  # of a face's side, to each side: where it is looked for
_NEAR: Final = 0.35  # of a face's side: what is found so near is the one that was looked for

Kind = Literal["live", "every", "small", "poster", "held", "still", "filtered", "drawn"]
KINDS: Final = get_args(Kind)
F64 = NDArray[np.float64]
Compress = Callable[[U8], U8]


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """A track of a known kind.

    Attributes:
        kind: what it shows.
        clip: its media.
        faces: u8 (K, 112, 112, 3), its best faces, best first.
        frames: u8 (K, 36, 64, 3), for each face the frame that it is on, made small.
        evidence: what names it.
        is_named: whether it gets a name.

    """

    kind: Kind
    clip: str
    faces: U8
    frames: U8
    evidence: TrackEvidence
    is_named: bool

    @property
    def is_for_choosing(self) -> bool:
        """Whether its clip is of the half that limits are chosen on."""
        return hashlib.sha256(self.clip.encode()).digest()[0] % 2 == 0

    def change(self) -> float:
        """Return how much the faces change inside."""
        measured = inner_change(self.faces)
        return np.nan if measured is None else measured

    def change_around(self) -> float:
        """Return how much the frames change."""
        measured = frame_change(self.frames)
        return np.nan if measured is None else measured

    def is_marked(self) -> bool:
        """Return whether it is taken for a picture in a clip."""
        return bool(is_picture(self.faces, self.frames))

    def least_cosine(self) -> float:
        """Return the cosine between the two embeddings that differ most."""
        vectors = self.evidence.embeddings.astype(np.float32)
        return float((vectors @ vectors.T).min())

    def flatness(self) -> float:
        """Return the part of the faces in which neighbouring pixels hardly differ, in the mean."""
        luma = [cv2.cvtColor(np.ascontiguousarray(face[16:96, 16:96]), cv2.COLOR_RGB2GRAY) for face in self.faces]
        around = np.ones((3, 3), np.uint8)
        return float(np.mean([(cv2.dilate(one, around) - cv2.erode(one, around) <= 2).mean() for one in luma]))

    def face_px(self) -> float:
        """Return the mean size of its faces."""
        return float(self.evidence.face_px.astype(np.float32).mean())


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A place where a face is looked for.

    Attributes:
        image: u8 (H, W, 3), the whole frame.
        middle: f64 (2,), of the face, in pixels.
        face_px: its side.
        thumbnail: u8 (36, 64, 3), the frame made small.
        compress: what the clip's format does to a part of the frame.

    """

    image: U8
    middle: F64
    face_px: float
    thumbnail: U8
    compress: Compress


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A face that was found where it was looked for."""

    crop: U8
    thumbnail: U8
    face_px: float
    quality: float


class Bench:
    """What annotates, and what looks for faces in parts of frames."""

    def __init__(self) -> None:
        """Build the networks."""
        self._settings = load_settings(env_file=None, device="cpu")
        engine = build_engine(self._settings)
        gallery = build_gallery(self._settings)
        self.source: MediaSource = build_source(self._settings)
        self._detector = build_detector(self._settings, engine)
        self._embedder = FaceEmbedder(engine, precision="bf16", network=gallery.bundle.network)
        self._identifier = Identifier(gallery)

    def annotated(self, media: Sequence[MediaRef], *, every_frame: bool) -> Iterator[tuple[MediaAnnotation, list[U8]]]:
        """Annotate media; yield with each, for its tracks, the frames u8 (K, 36, 64, 3) that their faces are on."""
        seen = _SeenFrames()
        source: FrameSource = build_source(self._settings, sampling=Sampling.all()) if every_frame else self.source
        annotator = Annotator(
            source=source,
            detector=self._detector,
            embedder=self._embedder,
            identifier=self._identifier,
            params=PipelineParams(keep_faces=True),
            watch=seen.watch,
        )
        for outcome in annotator.annotate(media):
            if not isinstance(outcome, MediaAnnotation):
                raise SystemExit(f"{outcome.media.media_id} could not be annotated")
            yield outcome, [seen.of_faces(track.best_faces) for track in outcome.tracks]

    def look(self, looks: Sequence[Look]) -> list[Found | None]:
        """Look for faces around places, one in each."""
        corners = [np.maximum(one.middle - _AROUND * one.face_px, 0).astype(int) for one in looks]
        parts = [_part(one, corner) for one, corner in zip(looks, corners, strict=True)]
        large = [place for place, part in enumerate(parts) if min(part.shape[:2]) >= looks[place].face_px]
        compressed = {place: looks[place].compress(parts[place]) for place in large}
        detected = dict(zip(large, self._detector.detect(list(compressed.values())), strict=True))
        found: list[Found | None] = []
        for place, (one, corner) in enumerate(zip(looks, corners, strict=True)):
            faces = detected.get(place)
            if faces is None or not len(faces):
                found.append(None)
                continue
            middles = (faces.boxes_xyxy[:, :2] + faces.boxes_xyxy[:, 2:]) / 2 + corner
            distances = np.linalg.norm(middles - one.middle, axis=1) / one.face_px
            nearest = int(distances.argmin())
            if distances[nearest] > _NEAR:
                found.append(None)
                continue
            landmarks_xy, scores = faces.landmarks_xy[nearest][None], faces.scores[nearest][None]
            crops, sizes_px = align_faces(compressed[place], landmarks_xy)
            quality = face_quality(crops, face_px=sizes_px, landmarks_xy=landmarks_xy, scores=scores)
            found.append(Found(crops[0], one.thumbnail, float(sizes_px[0]), float(quality[0])))
        return found

    def track(self, kind: Kind, clip: str, found: Sequence[Found | None]) -> Iterator[Track]:
        """Yield the track of some faces, if there are enough."""
        best = sorted((one for one in found if one), key=lambda one: -one.quality)[:FACES_PER_TRACK]
        if len(best) < LEAST_FACES:
            return
        face_px, quality = (
            np.array([getattr(one, name) for one in best], np.float16) for name in ("face_px", "quality")
        )
        faces, frames = (np.stack([getattr(one, name) for one in best]) for name in ("crop", "thumbnail"))
        evidence, is_named = self._named(faces, face_px=face_px, quality=quality)
        yield Track(kind, clip, faces, frames, evidence, is_named)

    def changed(self, track: Track, kind: Kind, faces: U8, *, face_px: F16, quality: F16) -> Track:
        """Return a track with other faces, embedded and named."""
        evidence, is_named = self._named(faces, face_px=face_px, quality=quality)
        return replace(track, kind=kind, faces=faces, evidence=evidence, is_named=is_named)

    def _named(self, faces: U8, *, face_px: F16, quality: F16) -> tuple[TrackEvidence, bool]:
        evidence = TrackEvidence(self._embedder.embed(faces).astype(np.float16), face_px, quality)
        (label,) = self._identifier.identify([evidence])
        return evidence, label.identity is not None


class _SeenFrames:
    """Remembers on which frame each face is."""

    def __init__(self) -> None:
        self._by_face: dict[bytes, U8] = {}

    def watch(self, _: MediaRef, frames: Sequence[FrameFaces], __: QualityParts) -> None:
        for one in frames:
            self._by_face |= {_digest(crop): one.thumbnail for crop in one.crops}

    def of_faces(self, faces: U8) -> U8:
        return np.stack([self._by_face[_digest(face)] for face in faces])


def _digest(face: U8) -> bytes:
    return hashlib.sha256(face.tobytes()).digest()


def _part(one: Look, corner: NDArray[np.int_]) -> U8:
    last = np.maximum(one.middle + _AROUND * one.face_px, 0).astype(int)
    return np.ascontiguousarray(one.image[corner[1] : last[1], corner[0] : last[0]])


def own_tracks(kind: Literal["live", "every"], annotation: MediaAnnotation, frames: Sequence[U8]) -> Iterator[Track]:
    """Yield the tracks of a clip that count; drawn ones once only."""
    clip = annotation.media.media_id
    for one, around, label in zip(annotation.tracks, frames, annotation.labels, strict=True):
        is_drawn = (clip, one.track_no) in DRAWN if kind == "live" else clip in {name for name, _ in DRAWN}
        if len(one.best_faces) >= LEAST_FACES and not (kind == "every" and is_drawn):
            yield Track(
                "drawn" if is_drawn else kind, clip, one.best_faces, around, one.evidence, label.identity is not None
            )


def made_small(bench: Bench, track: Track) -> Track:
    """Return a track as if its faces were small; a track with smaller ones is as it was."""
    if track.face_px() <= SMALL_PX:
        return replace(track, kind="small")
    small = [cv2.resize(face, (SMALL_PX, SMALL_PX), interpolation=cv2.INTER_AREA) for face in track.faces]
    faces = np.stack([cv2.resize(face, (112, 112), interpolation=cv2.INTER_LINEAR) for face in small])
    quality = track.evidence.quality * np.float16(SMALL_PX / track.face_px()) ** np.float16(0.25)
    face_px = np.full(len(faces), SMALL_PX, np.float16)
    return bench.changed(track, "small", faces.astype(np.uint8), face_px=face_px, quality=quality)


def filtered(bench: Bench, track: Track, compression: Callable[[str, U8], Compress]) -> Track:
    """Return a track whose faces are made into drawings."""
    draw = as_cartoon if len(track.clip) % 2 else without_lines
    faces = np.stack([compression(track.clip, picture)(picture) for picture in map(draw, track.faces)])
    evidence = track.evidence
    return bench.changed(track, "filtered", faces, face_px=evidence.face_px, quality=evidence.quality)


def without_lines(picture: U8) -> U8:
    """Return a picture of flat colours."""
    smooth = cv2.medianBlur(cv2.medianBlur(picture, 7), 7)
    steps = cv2.cvtColor(smooth, cv2.COLOR_RGB2YCrCb) // 28 * 28 + 14
    return np.asarray(cv2.cvtColor(steps, cv2.COLOR_YCrCb2RGB), np.uint8)
