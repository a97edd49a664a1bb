"""Failures as the pages and the API have them: where a page of them ended, and how they are queued again."""

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from annotator.store.queue.chunks import ChunkLimits
from annotator.store.queue.failures import FailurePlace
from annotator.web.cursors import from_cursor, to_cursor
from annotator.web.errors import WebError
from annotator.web.visit import Visit

MOST_RETRIED: Final = 50_000
"""Media that one request queues again: some seconds of work."""
LONGEST_REASON: Final = 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def queue_again(visit: Visit, reason: str | None) -> int:
    """Queue failures again, at most so many that nobody waits long; each transaction puts its own on record.

    Args:
        visit: of whoever does it.
        reason: only those that failed for it; None for all.

    """
    worker = visit.site.settings.worker

    def note(connection: Connection, count: int) -> None:
        visit.record(connection, "queued failures again", subject=reason, media=count)

    limits = ChunkLimits(media=worker.chunk_media, size_bytes=worker.chunk_bytes)
    return visit.site.store.retry(reason=reason, limits=limits, most=MOST_RETRIED, note=note)


def cursor_of(failed_at: datetime, media_id: int) -> str:
    """Return where a page of failures ended."""
    return to_cursor((failed_at - _EPOCH) // _MICROSECOND, media_id)


def place_of(cursor: str) -> FailurePlace:
    """Return the place of :func:`cursor_of`.

    Raises:
        WebError: it is none of ours.

    """
    microseconds, media_id = from_cursor(cursor, int, int)
    try:
        return FailurePlace(_EPOCH + microseconds * _MICROSECOND, media_id)
    except OverflowError:
        raise WebError(400, "cursor: it must be what an answer gave as next, unchanged.") from None
