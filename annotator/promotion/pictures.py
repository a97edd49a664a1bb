"""Faces of tracks, cut from their media where these can still be read."""

import io
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from PIL import Image
from sqlalchemy import select

from annotator.build import MediaSource
from annotator.errors import AnnotatorError
from annotator.store.appearances import load_boxes
from annotator.store.codec import StoredBoxes
from annotator.store.store import Store
from annotator.store.tables import contents
from annotator.types import F32, U8, MediaRef

HEIGHT_PX: Final = 160
MARGIN: Final = 0.4
"""Added on each side of the box, as a share of it: a face is recognised by its hair, too."""

LATEST_MS: Final = 120_000
"""Faces that appear later are not waited for, unless the track begins there: a film would be decoded up to them."""

_JPEG_QUALITY: Final = 80


class SeenTrack(Protocol):
    """A track, and a media that shows it."""

    @property
    def media_uri(self) -> str | None:
        """The media; None where all of them were deleted."""

    @property
    def etag(self) -> str | None:
        """Of that media, as it was read."""

    @property
    def content_id(self) -> int:
        """Its bytes."""

    @property
    def track_no(self) -> int:
        """Which track."""


def face_pictures(store: Store, network_id: int, seen: Sequence[SeenTrack], source: MediaSource) -> list[bytes | None]:
    """Return a JPEG of the best face of each track; None where the media is gone, has changed, or cannot be read.

    Args:
        store: the database.
        network_id: whose tracks they are.
        seen: the tracks.
        source: opens media with every distinct frame.

    """
    ids = sorted({one.content_id for one in seen})
    with store.reading() as connection:
        boxes = load_boxes(connection, network_id, ids)
        rows = connection.execute(select(contents.c.id, contents.c.sha256).where(contents.c.id.in_(ids)))
        digests = {content_id: bytes(sha256).hex() for content_id, sha256 in rows}
    return [_picture(one, boxes[one.content_id].get(one.track_no), digests[one.content_id], source) for one in seen]


def _picture(seen: SeenTrack, boxes: StoredBoxes | None, sha256: str, source: MediaSource) -> bytes | None:
    if seen.media_uri is None or boxes is None:  # annotated anew since it was compared
        return None
    early = np.flatnonzero(boxes.pts_ms <= max(LATEST_MS, int(boxes.pts_ms[0])))
    best = int(early[np.argmax(boxes.quality[early])])
    try:
        image = _frame_at(MediaRef(seen.media_uri, seen.media_uri, seen.etag), int(boxes.pts_ms[best]), sha256, source)
    except AnnotatorError:
        return None
    return None if image is None else _jpeg(image, boxes.boxes_xyxy[best])


def _frame_at(media: MediaRef, pts_ms: int, sha256: str, source: MediaSource) -> U8 | None:
    """Return the frame that is displayed at a time, of the bytes that were annotated."""
    shown = None
    with source.open(media) as frames:
        if frames.content_sha256 != sha256:
            return None
        for batch in frames:
            for at_ms, image in zip(batch.pts_ms.tolist(), batch.images, strict=True):
                if at_ms > pts_ms:
                    return shown
                shown = image
    return shown


def _jpeg(image: U8, box_xyxy: F32) -> bytes | None:
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (float(edge) for edge in box_xyxy)
    margin_x, margin_y = MARGIN * (x2 - x1), MARGIN * (y2 - y1)
    left, top = max(round(x1 - margin_x), 0), max(round(y1 - margin_y), 0)
    right, bottom = min(round(x2 + margin_x), width), min(round(y2 + margin_y), height)
    if right - left < 1 or bottom - top < 1:
        return None
    cut = Image.fromarray(image[top:bottom, left:right])
    stream = io.BytesIO()
    cut.resize((max(1, round(cut.width * HEIGHT_PX / cut.height)), HEIGHT_PX)).save(
        stream, "JPEG", quality=_JPEG_QUALITY
    )
    return stream.getvalue()
