"""The faces of media as they pass through the pipeline, with what the pipeline itself does not keep of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from annotator.explaining.explanation import FaceParts
from annotator.quality import QualityParts
from annotator.tracking import FrameFaces
from annotator.types import U8, FaceTrack, MediaRef

MOST_CROPS: Final = 4096
"""Crops that are kept, 150 MiB of them; faces beyond it are told without a picture."""

_DIGEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class SeenFace:
    """One face as it was measured.

    Attributes:
        face_px: side in source pixels of the square that was aligned to 112 x 112.
        parts: what its quality comes from.
        crop_digest: of the aligned crop.
        crop: u8 (112, 112, 3), the aligned crop, RGB; None beyond ``MOST_CROPS``.

    """

    face_px: float
    parts: FaceParts
    crop_digest: bytes
    crop: U8 | None


class SeenFaces:
    """Remembers every face of the media that are annotated: what an ``Annotator`` takes as ``watch``.

    Each face costs some hundred bytes, and the first ``MOST_CROPS`` their crop.
    """

    def __init__(self, *, most_crops: int = MOST_CROPS) -> None:
        """Remember nothing yet.

        Args:
            most_crops: how many crops are kept.

        """
        self._faces: dict[tuple[str, int, bytes], SeenFace] = {}
        self._crops_left = most_crops

    def __call__(self, media: MediaRef, frames: Sequence[FrameFaces], parts: QualityParts) -> None:
        """Remember the faces of some frames."""
        measured = zip(
            *(part.tolist() for part in (parts.size, parts.sharpness, parts.pose, parts.visible, parts.score)),
            strict=True,
        )
        for faces in frames:
            for box, face_px, crop in zip(faces.boxes_xyxy, faces.face_px.tolist(), faces.crops, strict=True):
                kept = crop if self._crops_left > 0 else None
                self._crops_left -= 1
                seen = SeenFace(face_px, FaceParts(*next(measured)), _digest(crop), kept)
                self._faces[media.uri, faces.frame_index, box.tobytes()] = seen

    def of_track(self, media: MediaRef, track: FaceTrack) -> list[SeenFace]:
        """Return the faces of a track, in order of presentation.

        Raises:
            LookupError: they were not seen: the annotator was not given this to watch.

        """
        return [
            self._faces[media.uri, frame_index, box.tobytes()]
            for frame_index, box in zip(track.frame_index.tolist(), track.boxes_xyxy, strict=True)
        ]


def embedded_places(track: FaceTrack, seen: Sequence[SeenFace]) -> list[int]:
    """Return for each embedded face of a track which of its faces that is, counted from 0 in order of presentation.

    Args:
        track: with the crops of its embedded faces.
        seen: its faces, of :meth:`SeenFaces.of_track`.

    Raises:
        LookupError: the track has kept no crops, or they are of other faces.

    """
    if len(track.best_faces) != len(track.evidence):
        raise LookupError("a track can be explained only if it keeps its faces: PipelineParams(keep_faces=True)")
    rounded = track.quality.astype(np.float16)
    places: list[int] = []
    for crop, quality in zip(track.best_faces, track.evidence.quality, strict=True):
        digest = _digest(crop)
        alike = [place for place in np.flatnonzero(rounded == quality).tolist() if seen[place].crop_digest == digest]
        free = [place for place in alike if place not in places]
        if not free:
            raise LookupError(f"the crops of track {track.track_no} are of other faces than those that were seen")
        places.append(free[0])
    return places


def _digest(crop: U8) -> bytes:
    return hashlib.blake2b(crop.tobytes(), digest_size=_DIGEST_BYTES).digest()
