"""Where and when stored tracks were seen, and what a person's tracks come to in a content."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from annotator.results import covered_ms
from annotator.store.codec import StoredBoxes, decode_boxes
from annotator.store.tables import tracks


def load_boxes(
    connection: Connection, network_id: int, content_ids: Sequence[int]
) -> dict[int, dict[int, StoredBoxes]]:
    """Return where and when the tracks of contents were seen, by content and ``track_no``, in order."""
    found: dict[int, dict[int, StoredBoxes]] = {content_id: {} for content_id in content_ids}
    rows = connection.execute(
        select(tracks.c.content_id, tracks.c.track_no, tracks.c.boxes)
        .where(tracks.c.network_id == network_id, tracks.c.content_id.in_(content_ids))
        .order_by(tracks.c.content_id, tracks.c.track_no)
    )
    for content_id, track_no, boxes in rows:
        found[content_id][track_no] = decode_boxes(bytes(boxes))
    return found


def summed_up(appearances: Sequence[tuple[Sequence[tuple[int, int]], float]]) -> dict[str, Any]:
    """Return confidence and times of one person in one content, over the person's tracks.

    Args:
        appearances: shares of displayed time and confidence of each track.

    """
    shares = [share for one, _ in appearances for share in one]
    return {
        "confidence": float(max(confidence for _, confidence in appearances)),
        "first_ms": min(start for start, _ in shares),
        "last_ms": max(end for _, end in shares),
        "screen_ms": covered_ms(shares),
    }
