"""Where and when single tracks of a media were seen: for pictures of their faces."""

from sqlalchemy import Connection, func, select

from annotator.store.codec import StoredBoxes, decode_boxes
from annotator.store.ids import LARGEST_TRACK
from annotator.store.tables import tracks


def find_boxes(connection: Connection, network_id: int, content_id: int, track_no: int) -> StoredBoxes | None:
    """Return where and when a track was seen; None where there is no such track.

    Args:
        connection: any.
        network_id: which has found it.
        content_id: in which bytes.
        track_no: any number that is not negative.

    """
    if track_no > LARGEST_TRACK:
        return None
    boxes = connection.execute(
        select(tracks.c.boxes).where(
            tracks.c.network_id == network_id, tracks.c.content_id == content_id, tracks.c.track_no == track_no
        )
    ).scalar_one_or_none()
    return None if boxes is None else decode_boxes(bytes(boxes))


def load_boxes_around(
    connection: Connection, network_id: int, content_id: int, *, span_ms: tuple[int, int], around_ms: int, limit: int
) -> dict[int, StoredBoxes]:
    """Return where and when tracks were seen that are seen within a span of time, by number.

    Args:
        connection: any.
        network_id: which has found them.
        content_id: in which bytes.
        span_ms: from when to when, half-open.
        around_ms: those come first whose middle is nearest to this time.
        limit: at most so many.

    """
    start_ms, end_ms = span_ms
    rows = connection.execute(
        select(tracks.c.track_no, tracks.c.boxes)
        .where(
            tracks.c.network_id == network_id,
            tracks.c.content_id == content_id,
            tracks.c.first_ms < end_ms,
            tracks.c.last_ms >= start_ms,
        )
        .order_by(func.abs(tracks.c.first_ms + tracks.c.last_ms - 2 * around_ms), tracks.c.track_no)
        .limit(limit)
    )
    return {track_no: decode_boxes(bytes(boxes)) for track_no, boxes in rows}
