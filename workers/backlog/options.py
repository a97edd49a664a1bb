"""What the command line says, as values: a request, points in time."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from annotator.errors import InputError

_DURATION: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be annotated, in which order, how long, and how it is listed.

    Attributes:
        uri: ``s3://BUCKET/PREFIX``.
        include: patterns of which one must match.
        exclude: patterns of which none may match.
        ids: a file of keys, ``-`` for standard input.
        inventory: the manifest of an S3 Inventory.
        limit: most objects this time.
        refresh: also what is annotated.
        priority: higher goes first.
        views: a file of views: the most viewed go first.
        views_query: SQL that yields views.
        views_database: where that is run; None for the annotator's own.
        deadline_at: when what is pending is no longer wanted.
        max_worker_hours: worker time that may be spent.
        callback_url: who is told.
        listers: how many parts are listed at once.
        follow: go on, with new, changed and deleted objects as they come.
        allow_gone: however much the bucket lacks of what is known is gone.

    """

    uri: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    ids: str | None = None
    inventory: str | None = None
    limit: int | None = None
    refresh: bool = False
    priority: int | None = None
    views: str | None = None
    views_query: str | None = None
    views_database: str | None = None
    deadline_at: datetime | None = None
    max_worker_hours: float | None = None
    callback_url: str | None = None
    listers: int = 4
    follow: bool = False
    allow_gone: bool = False


def parse_span(written: str) -> timedelta | None:
    """Return a length of time, None where it is none.

    >>> parse_span("1d12h"), parse_span("soon")
    (datetime.timedelta(days=1, seconds=43200), None)
    """
    found = _DURATION.fullmatch(written.strip())
    if not written.strip() or found is None:
        return None
    days, hours, minutes, seconds = (int(number or 0) for number in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def parse_seconds(written: str) -> float:
    """Return a length of time in seconds.

    Raises:
        InputError: it is none.

    """
    span = parse_span(written)
    if not span:
        raise InputError(f"{written!r} is no length of time: write 30s, 5m, 12h, 1d")
    return span.total_seconds()


def parse_deadline(written: str, *, now: datetime) -> datetime:
    """Return a point in time: one that is written out, or so long from now.

    >>> now = datetime.fromisoformat("2026-11-25T10:00:00+00:00")
    >>> parse_deadline("1d12h", now=now).isoformat(), parse_deadline("2026-12-01T08:00+01:00", now=now).isoformat()
    ('2026-11-26T22:00:00+00:00', '2026-12-01T08:00:00+01:00')

    Raises:
        InputError: it is neither, or has passed.

    """
    span = parse_span(written)
    if span is not None:
        deadline = now + span
    else:
        try:
            deadline = datetime.fromisoformat(written.strip())
        except ValueError as exc:
            raise InputError(f"{written!r} is no time: write 36h, 2d, 90m, or 2026-12-01T08:00") from exc
        if deadline.tzinfo is None:  # as the clock on the wall says it
            deadline = deadline.astimezone()
    if deadline <= now:
        raise InputError(f"the deadline {written!r} has passed; give a later one")
    return deadline
