"""Faces of tracks, cut from their media where these can still be read."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from PIL import Image
from sqlalchemy import select

from annotator.build import MediaSource
from annotator.promotion.frames import Cut, ShownFrame, cut_what_can_be
from annotator.store.appearances import load_boxes
from annotator.store.codec import StoredBoxes
from annotator.store.store import Store
from annotator.store.tables import contents
from annotator.types import MediaRef

HEIGHT_PX: Final = 160
MARGIN: Final = 0.4
"""Added on each side of the box, as a share of it: a face is recognised by its hair, too."""

LATEST_MS: Final = 120_000
"""Faces that appear later in a track are not asked for: all before them may have to be decoded."""

_JPEG_QUALITY: Final = 80


@dataclass(frozen=True, slots=True)
class Moment:
    """A face in a media, as a picture ``HEIGHT_PX`` high.

    Attributes:
        pts_ms: when the frame appears that shows it.
        box_xyxy: where it is there, in pixels of the frame, half-open.

    """

    pts_ms: int
    box_xyxy: tuple[float, float, float, float]

    @property
    def times_ms(self) -> tuple[int, ...]:
        """The one time."""
        return (self.pts_ms,)

    def cut(self, frame: ShownFrame) -> Image.Image | None:
        """Cut the face out with what is around it; None where the frame does not show the place."""
        height, width = frame.image.shape[:2]
        x1, y1, x2, y2 = self.box_xyxy
        margin_x, margin_y = MARGIN * (x2 - x1), MARGIN * (y2 - y1)
        left, top = max(round(x1 - margin_x), 0), max(round(y1 - margin_y), 0)
        right, bottom = min(round(x2 + margin_x), width), min(round(y2 + margin_y), height)
        if right - left < 1 or bottom - top < 1:
            return None
        cut = Image.fromarray(frame.image[top:bottom, left:right])
        return cut.resize((max(1, round(cut.width * HEIGHT_PX / cut.height)), HEIGHT_PX))

    def write(self, cuts: Sequence[Cut]) -> bytes | None:
        """Return a JPEG."""
        return None if cuts[0].image is None else jpeg(cuts[0].image)


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

    A media is opened once for all of its tracks.

    Args:
        store: the database.
        network_id: whose tracks they are.
        seen: the tracks.
        source: opens media; its sampling does not matter.

    """
    ids = sorted({one.content_id for one in seen})
    with store.reading() as connection:
        boxes = load_boxes(connection, network_id, ids)
        rows = connection.execute(select(contents.c.id, contents.c.sha256).where(contents.c.id.in_(ids)))
        digests = {content_id: bytes(sha256).hex() for content_id, sha256 in rows}
    moments = [_best_of(one, boxes[one.content_id].get(one.track_no)) for one in seen]
    by_media: dict[tuple[MediaRef, int], list[Moment]] = {}
    for one, moment in zip(seen, moments, strict=True):
        if moment is not None:
            by_media.setdefault((_media_of(one), one.content_id), []).append(moment)
    cut = {
        (media, content_id): cut_what_can_be(media, wanted, sha256=digests[content_id], source=source)
        for (media, content_id), wanted in by_media.items()
    }
    return [
        None if moment is None else cut[_media_of(one), one.content_id].get(moment)
        for one, moment in zip(seen, moments, strict=True)
    ]


def best_moments(boxes: StoredBoxes, *, most: int) -> tuple[Moment, ...]:
    """Return the best faces of a track, best first: the best one of all, then those of other parts of its time.

    Args:
        boxes: of the track.
        most: how many; a track that is sampled less often has fewer.

    """
    early = np.flatnonzero(boxes.pts_ms <= int(boxes.pts_ms[0]) + LATEST_MS)
    of_parts = [part[np.argmax(boxes.quality[part])] for part in np.array_split(early, min(most, len(early)))]
    best_first = sorted(map(int, of_parts), key=lambda one: (-float(boxes.quality[one]), one))
    return tuple(_moment(boxes, one) for one in best_first)


def _moment(boxes: StoredBoxes, place: int) -> Moment:
    x1, y1, x2, y2 = boxes.boxes_xyxy[place].tolist()
    return Moment(int(boxes.pts_ms[place]), (x1, y1, x2, y2))


def _best_of(seen: SeenTrack, boxes: StoredBoxes | None) -> Moment | None:
    if seen.media_uri is None or boxes is None:  # annotated anew since it was compared
        return None
    return best_moments(boxes, most=1)[0]


def _media_of(seen: SeenTrack) -> MediaRef:
    return MediaRef(seen.media_uri or "", seen.media_uri or "", seen.etag)


def jpeg(image: Image.Image) -> bytes:
    """Return a picture as a file."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_JPEG_QUALITY)
    return stream.getvalue()
