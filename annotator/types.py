"""The values that travel between the stages.

All are frozen; all arrays are read-only. Boxes are in pixels of the source frame, x right, y down, half-open
``[x1, x2)``. Pictures are uint8 RGB. Times are milliseconds of presentation time from the first frame.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]
F16 = NDArray[np.float16]
F32 = NDArray[np.float32]
TrackKey = tuple[int, int]
"""A track of an archive: its content, and its number in that."""

Status = Literal["annotated", "damaged", "failed"]
Verdict = Literal["known", "unknown", "too_poor"]


def frozen_array(name: str, array: NDArray[Any], dtype: type[np.generic], shape: Sequence[int | str]) -> NDArray[Any]:
    """Check an array's dtype and shape and return a read-only view of it.

    Args:
        name: what the message calls it, e.g. ``"boxes_xyxy"``.
        array: any array.
        dtype: the exact dtype, no conversion is made.
        shape: for each axis its length, or a letter for a free one; equal letters need not match.

    Raises:
        TypeError: dtype or shape differ; the message names both.

    """
    fits = array.ndim == len(shape) and all(
        isinstance(axis, str) or axis == length for axis, length in zip(shape, array.shape, strict=False)
    )
    if array.dtype != dtype or not fits:
        wanted = f"{np.dtype(dtype).name} ({', '.join(str(axis) for axis in shape)}{',' if len(shape) == 1 else ''})"
        msg = f"{name} must be {wanted}, got {array.dtype.name} {array.shape}"
        raise TypeError(msg)
    view = array.view()
    view.flags.writeable = False
    return view


def _same_length(owner: str, **arrays: NDArray[Any]) -> None:
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        msg = f"the arrays of a {owner} must be equally long, got {lengths}"
        raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class MediaRef:
    """One media: where it is and which version of it.

    Attributes:
        media_id: the key in its source, stable: a path relative to the folder given, an S3 key, a URL.
        uri: ``file:///…``, ``https://…`` or ``s3://bucket/key``.
        etag: the source's version mark, where it has one.

    """

    media_id: str
    uri: str
    etag: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FrameBatch:
    """Some sampled frames of one media, in order of presentation.

    The shares ``[from_ms, from_ms + shown_ms)`` of a media's samples tile its displayed time: each sample stands for
    the time nearer to it than to its neighbours. Screen time is a sum of shares.

    Attributes:
        images: u8 (N, H, W, 3), RGB.
        frame_index: i64 (N,), 0-based index of the decoded frame in the source.
        pts_ms: i64 (N,), when the frame appears.
        from_ms: i64 (N,), start of the frame's share.
        shown_ms: i64 (N,), length of the frame's share.

    """

    images: U8
    frame_index: I64
    pts_ms: I64
    from_ms: I64
    shown_ms: I64

    def __post_init__(self) -> None:
        """Check and freeze."""
        object.__setattr__(self, "images", frozen_array("images", self.images, np.uint8, ("N", "H", "W", 3)))
        for name in ("frame_index", "pts_ms", "from_ms", "shown_ms"):
            object.__setattr__(self, name, frozen_array(name, getattr(self, name), np.int64, ("N",)))
        _same_length(
            "FrameBatch",
            images=self.images,
            frame_index=self.frame_index,
            pts_ms=self.pts_ms,
            from_ms=self.from_ms,
            shown_ms=self.shown_ms,
        )

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.images)


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """What a clip is known by when it comes again, made anew (``annotator.duplicates``).

    Attributes:
        pictures: u8 (K, 18, 32), its most different frames, small, in greys from 0 to 15; none where nothing is seen.
        pts_ms: i64 (K,), when they appear.

    """

    pictures: U8
    pts_ms: I64

    def __post_init__(self) -> None:
        """Check and freeze."""
        object.__setattr__(self, "pictures", frozen_array("pictures", self.pictures, np.uint8, ("K", 18, 32)))
        object.__setattr__(self, "pts_ms", frozen_array("pts_ms", self.pts_ms, np.int64, ("K",)))
        _same_length("Fingerprint", pictures=self.pictures, pts_ms=self.pts_ms)


@dataclass(frozen=True, slots=True)
class ClipReport:
    """What decoding a media to its end has shown.

    Attributes:
        width_px: width of the frames as shown (after rotation).
        height_px: height of the frames as shown.
        duration_ms: displayed time; None for a still picture or where the media does not tell.
        frames_decoded: decoded frames, repeated ones included.
        frames_distinct: frames that differ from the one before.
        damage: what was broken, in words, if the media could be read only in part; else None.

    """

    width_px: int
    height_px: int
    duration_ms: int | None
    frames_decoded: int
    frames_distinct: int
    damage: str | None


@dataclass(frozen=True, slots=True, eq=False)
class FaceDetections:
    """The faces of one frame, best score first.

    Attributes:
        boxes_xyxy: f32 (F, 4), pixels of the frame; may reach beyond its border.
        scores: f32 (F,), O-Net's face score in [0, 1].
        landmarks_xy: f32 (F, 5, 2), pixels: the viewer's left eye, right eye, nose tip, left and right mouth corner.

    """

    boxes_xyxy: F32
    scores: F32
    landmarks_xy: F32

    def __post_init__(self) -> None:
        """Check and freeze."""
        object.__setattr__(self, "boxes_xyxy", frozen_array("boxes_xyxy", self.boxes_xyxy, np.float32, ("F", 4)))
        object.__setattr__(self, "scores", frozen_array("scores", self.scores, np.float32, ("F",)))
        object.__setattr__(
            self, "landmarks_xy", frozen_array("landmarks_xy", self.landmarks_xy, np.float32, ("F", 5, 2))
        )
        _same_length("FaceDetections", boxes_xyxy=self.boxes_xyxy, scores=self.scores, landmarks_xy=self.landmarks_xy)

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.scores)

    @classmethod
    def empty(cls) -> "FaceDetections":
        """Return the detections of a frame without a face."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class TrackEvidence:
    """All that identification may use of a track: exactly the values that are stored.

    Attributes:
        embeddings: f16 (K, D), the embeddings of the track's best faces, best first; unit norm up to rounding.
        face_px: f16 (K,), for each, the side in source pixels of the square that was aligned to 112 x 112.
        quality: f16 (K,), for each, its quality in [0, 1].

    """

    embeddings: F16
    face_px: F16
    quality: F16

    def __post_init__(self) -> None:
        """Check and freeze."""
        object.__setattr__(self, "embeddings", frozen_array("embeddings", self.embeddings, np.float16, ("K", "D")))
        object.__setattr__(self, "face_px", frozen_array("face_px", self.face_px, np.float16, ("K",)))
        object.__setattr__(self, "quality", frozen_array("quality", self.quality, np.float16, ("K",)))
        _same_length("TrackEvidence", embeddings=self.embeddings, face_px=self.face_px, quality=self.quality)

    def __len__(self) -> int:
        """Return the number of embedded faces."""
        return len(self.embeddings)


@dataclass(frozen=True, slots=True, eq=False)
class FaceTrack:
    """One face followed over the sampled frames of one shot.

    Attributes:
        track_no: 0-based within the media, in order of first appearance.
        shot_no: 0-based number of the shot it is in.
        frame_index: i64 (L,), the frames where it was detected.
        pts_ms: i64 (L,), when these frames appear.
        from_ms: i64 (L,), start of each frame's share of displayed time.
        shown_ms: i64 (L,), length of each share.
        boxes_xyxy: f32 (L, 4).
        scores: f32 (L,), detector scores.
        quality: f32 (L,), quality of each face in [0, 1].
        evidence: the embeddings of its best faces.
        best_faces: u8 (K, 112, 112, 3), aligned RGB crops of the faces that were embedded, in the order of
            ``evidence``; none where nobody asked for them.
        is_picture: whether it shows a picture of somebody that is in the clip: a poster, a photograph in a hand; an
            estimate, see ``annotator.aliveness``. None where it was not measured: too few faces.

    """

    track_no: int
    shot_no: int
    frame_index: I64
    pts_ms: I64
    from_ms: I64
    shown_ms: I64
    boxes_xyxy: F32
    scores: F32
    quality: F32
    evidence: TrackEvidence
    best_faces: U8
    is_picture: bool | None = None

    def __post_init__(self) -> None:
        """Check and freeze."""
        for name in ("frame_index", "pts_ms", "from_ms", "shown_ms"):
            object.__setattr__(self, name, frozen_array(name, getattr(self, name), np.int64, ("L",)))
        object.__setattr__(self, "boxes_xyxy", frozen_array("boxes_xyxy", self.boxes_xyxy, np.float32, ("L", 4)))
        for name in ("scores", "quality"):
            object.__setattr__(self, name, frozen_array(name, getattr(self, name), np.float32, ("L",)))
        object.__setattr__(
            self, "best_faces", frozen_array("best_faces", self.best_faces, np.uint8, ("K", 112, 112, 3))
        )
        _same_length(
            "FaceTrack",
            frame_index=self.frame_index,
            pts_ms=self.pts_ms,
            from_ms=self.from_ms,
            shown_ms=self.shown_ms,
            boxes_xyxy=self.boxes_xyxy,
            scores=self.scores,
            quality=self.quality,
        )
        if len(self.best_faces) not in {0, len(self.evidence)}:
            msg = f"a FaceTrack needs one crop per embedding, got {len(self.best_faces)} and {len(self.evidence)}"
            raise ValueError(msg)

    @property
    def start_ms(self) -> int:
        """Start of the first share in which it was seen."""
        return int(self.from_ms[0])

    @property
    def end_ms(self) -> int:
        """End of the last share in which it was seen."""
        return int(self.from_ms[-1] + self.shown_ms[-1])

    @property
    def screen_time_ms(self) -> int:
        """Displayed time of the shares in which it was seen."""
        return int(self.shown_ms.sum())


@dataclass(frozen=True, slots=True)
class Identity:
    """A person whom a gallery knows.

    Attributes:
        name: as shown, e.g. ``"50 Cent"``; unique within a gallery.
        kg_mid: Knowledge Graph (Freebase) id, e.g. ``"/m/01vvyc_"``, where known.

    """

    name: str
    kg_mid: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person considered for a track.

    Attributes:
        identity: who.
        score: normalised similarity, comparable over candidates and tracks.
        confidence: the confidence that the track's label would have, were it this person.

    """

    identity: Identity
    score: float
    confidence: float


@dataclass(frozen=True, slots=True)
class TrackLabel:
    """Who a track is.

    Attributes:
        verdict: ``"known"``, ``"unknown"`` (nobody of the gallery) or ``"too_poor"`` (unknown: the faces are too
            small or too blurred to say).
        candidates: the nearest people, best first; empty only where the gallery is, no face was embedded, or an
            embedding is not finite.

    """

    verdict: Verdict
    candidates: tuple[Candidate, ...]

    def __post_init__(self) -> None:
        """Check."""
        if self.verdict == "known" and not self.candidates:
            msg = "a TrackLabel of a known person needs at least one candidate"
            raise ValueError(msg)

    @property
    def identity(self) -> Identity | None:
        """Return the person, None for an unknown one."""
        return self.candidates[0].identity if self.verdict == "known" else None

    @property
    def confidence(self) -> float | None:
        """Return the confidence of the name given, None for an unknown person."""
        return self.candidates[0].confidence if self.verdict == "known" else None

    @property
    def score(self) -> float | None:
        """Return the score of the nearest person, None where no face was embedded."""
        return self.candidates[0].score if self.candidates else None

    @property
    def margin(self) -> float | None:
        """Return how far the nearest person's score is above the second's."""
        return self.candidates[0].score - self.candidates[1].score if len(self.candidates) > 1 else None


@dataclass(frozen=True, slots=True)
class ContentLabel:
    """One known person in one media, over all of her or his tracks.

    Attributes:
        identity: who.
        confidence: the highest of the tracks' (dependent evidence is never multiplied).
        start_ms: first appearance.
        end_ms: end of the last appearance.
        screen_time_ms: displayed time with the person; frames with two of the person's tracks count once.

    """

    identity: Identity
    confidence: float
    start_ms: int
    end_ms: int
    screen_time_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class MediaAnnotation:
    """What was found in one media.

    Attributes:
        media: which one.
        model: the model version, e.g. ``"starter@1"``.
        content_sha256: digest of the media's bytes, hexadecimal.
        clip: what decoding has shown.
        frames_sampled: frames looked at.
        faces: faces detected on them.
        tracks: in order of first appearance.
        labels: one per track.
        timings_s: seconds by stage; a stage that many media share is divided evenly, and so is the time of the
            networks among those that are with them side by side.
        fingerprint: what the clip is known by when it comes again; None where nobody took it.

    """

    media: MediaRef
    model: str
    content_sha256: str
    clip: ClipReport
    frames_sampled: int
    faces: int
    tracks: tuple[FaceTrack, ...]
    labels: tuple[TrackLabel, ...]
    timings_s: Mapping[str, float] = field(default_factory=dict)
    fingerprint: Fingerprint | None = None

    def __post_init__(self) -> None:
        """Check."""
        if len(self.tracks) != len(self.labels):
            msg = f"a MediaAnnotation needs one label per track, got {len(self.labels)} and {len(self.tracks)}"
            raise ValueError(msg)

    @property
    def status(self) -> Status:
        """Return ``"annotated"``, or ``"damaged"`` where only a part could be read."""
        return "damaged" if self.clip.damage else "annotated"


@dataclass(frozen=True, slots=True)
class MediaFailure:
    """A media of which nothing could be annotated. It fails alone; its siblings go on.

    Attributes:
        media: which one.
        model: the model version that was to annotate it.
        reason: the short stable reason of the error (``annotator.errors``).
        message: the error's sentence.
        is_transient: whether trying again may help.

    """

    media: MediaRef
    model: str
    reason: str
    message: str
    is_transient: bool


@dataclass(frozen=True, slots=True)
class KnownMedia:
    """A media whose bytes are annotated already; it was hashed, not decoded.

    Attributes:
        media: which one.
        content_sha256: digest of its bytes, hexadecimal.

    """

    media: MediaRef
    content_sha256: str


MediaOutcome = MediaAnnotation | MediaFailure
