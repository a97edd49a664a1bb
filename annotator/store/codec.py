"""Arrays as bytes of a column, and back. Little-endian, row by row, no header but a version byte for boxes."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from annotator.types import F32, I64, FaceTrack, TrackEvidence, frozen_array

_F16: Final = np.dtype("<f2")
_F32: Final = np.dtype("<f4")
_I32: Final = np.dtype("<i4")
_LEAST_I32: Final = -(2**31)
_MOST_I32: Final = 2**31 - 1
_BOXES_VERSION: Final = b"\x01"
# Four times of 4 bytes, a box of 4 x 4 bytes, score and quality of 2 bytes each.
_BYTES_PER_FACE: Final = 36


@dataclass(frozen=True, slots=True, eq=False)
class StoredBoxes:
    """Where and when a track was seen.

    Attributes:
        frame_index: i64 (L,), the frames where it was detected.
        pts_ms: i64 (L,), when these frames appear.
        from_ms: i64 (L,), start of each frame's share of displayed time.
        shown_ms: i64 (L,), length of each share.
        boxes_xyxy: f32 (L, 4), exactly as found.
        scores: f32 (L,), detector scores, rounded to float16.
        quality: f32 (L,), rounded to float16.

    """

    frame_index: I64
    pts_ms: I64
    from_ms: I64
    shown_ms: I64
    boxes_xyxy: F32
    scores: F32
    quality: F32

    def __post_init__(self) -> None:
        """Check and freeze."""
        for name in ("frame_index", "pts_ms", "from_ms", "shown_ms"):
            object.__setattr__(self, name, frozen_array(name, getattr(self, name), np.int64, ("L",)))
        object.__setattr__(self, "boxes_xyxy", frozen_array("boxes_xyxy", self.boxes_xyxy, np.float32, ("L", 4)))
        for name in ("scores", "quality"):
            object.__setattr__(self, name, frozen_array(name, getattr(self, name), np.float32, ("L",)))

    @property
    def shares(self) -> list[tuple[int, int]]:
        """The shares of displayed time as half-open spans of milliseconds."""
        starts = self.from_ms.tolist()
        return [(start, start + length) for start, length in zip(starts, self.shown_ms.tolist(), strict=True)]


def encode_boxes(track: FaceTrack | StoredBoxes) -> bytes:
    """Return the bytes of ``tracks.boxes``: a version byte, then the columns one after the other.

    ``frame_index``, ``pts_ms``, ``from_ms``, ``shown_ms`` as int32 (L,), ``boxes_xyxy`` as float32 (L, 4), ``scores``
    and ``quality`` as float16 (L,).

    Raises:
        OverflowError: a time does not fit 31 bits (24 days).

    """
    times = np.array([track.frame_index, track.pts_ms, track.from_ms, track.shown_ms], np.int64)
    if times.size and (times.max() > _MOST_I32 or times.min() < _LEAST_I32):
        raise OverflowError("a track's times must fit 31 bits of milliseconds (24 days)")
    columns = (times.astype(_I32), track.boxes_xyxy.astype(_F32), track.scores.astype(_F16), track.quality.astype(_F16))
    return _BOXES_VERSION + b"".join(column.tobytes() for column in columns)


def decode_boxes(data: bytes) -> StoredBoxes:
    """Return what ``encode_boxes`` was given.

    Raises:
        ValueError: the bytes are of another version or length.

    """
    length = _faces_in(data)
    times = np.frombuffer(data, _I32, 4 * length, offset=1).reshape(4, length).astype(np.int64)
    boxes = np.frombuffer(data, _F32, 4 * length, offset=1 + 16 * length).reshape(length, 4).astype(np.float32)
    halves = np.frombuffer(data, _F16, 2 * length, offset=1 + 32 * length).reshape(2, length).astype(np.float32)
    return StoredBoxes(times[0], times[1], times[2], times[3], boxes, halves[0], halves[1])


def decode_shares(data: bytes) -> list[tuple[int, int]]:
    """Return the shares of ``decode_boxes(data)`` alone.

    Raises:
        ValueError: the bytes are of another version or length.

    """
    length = _faces_in(data)
    starts, lengths = np.frombuffer(data, _I32, 2 * length, offset=1 + 8 * length).reshape(2, length)
    return list(zip(starts.tolist(), (starts.astype(np.int64) + lengths).tolist(), strict=True))


def _faces_in(data: bytes) -> int:
    length, rest = divmod(len(data) - 1, _BYTES_PER_FACE)
    if data[:1] != _BOXES_VERSION or rest:
        raise ValueError(f"tracks.boxes of {len(data)} bytes are of an unknown version: the database is newer, upgrade")
    return length


def encode_evidence(evidence: TrackEvidence) -> dict[str, bytes]:
    """Return the columns ``embeddings``, ``face_px`` and ``quality`` of ``track_embeddings``."""
    return {
        "embeddings": evidence.embeddings.astype(_F16).tobytes(),
        "face_px": evidence.face_px.astype(_F16).tobytes(),
        "quality": evidence.quality.astype(_F16).tobytes(),
    }


def decode_evidence(embeddings: bytes, face_px: bytes, quality: bytes) -> TrackEvidence:
    """Return the evidence of the three columns, bit for bit; (0, 0) embeddings for a track without any.

    Raises:
        ValueError: the columns do not fit one another.

    """
    count = len(face_px) // _F16.itemsize
    values = np.frombuffer(embeddings, _F16).astype(np.float16)
    return TrackEvidence(
        embeddings=values.reshape(count, values.size // count if count else 0),
        face_px=np.frombuffer(face_px, _F16).astype(np.float16),
        quality=np.frombuffer(quality, _F16).astype(np.float16),
    )


def encode_embedding(embedding: F32) -> bytes:
    """Return the bytes of one f32 (D,) embedding of an enrolled face."""
    return embedding.astype(_F32).tobytes()


def decode_embedding(data: bytes) -> F32:
    """Return the f32 (D,) embedding of an enrolled face."""
    return np.frombuffer(data, _F32).astype(np.float32)
