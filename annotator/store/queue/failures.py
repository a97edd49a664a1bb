"""Media that failed, newest first: one for each reason, and page by page. Read by index, however many there are."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, FromClause, Row, Select, literal, select, tuple_

from annotator.store.columns import UtcTime
from annotator.store.tables import WorkState, media, sources, work

# All that failed for one reason may be of a source that is gone: who wants the newest does not wait until all are seen.
_MOST_LOOKED_AT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Failure:
    """A media that failed, or was put aside because it ended its worker.

    Attributes:
        media_id: its number.
        uri: where it is.
        reason: short and stable.
        message: what was said.
        attempts: how often it was tried.
        failed_at: when it failed last.
        is_quarantined: it ended its worker, and is tried no more by itself.

    """

    media_id: int
    uri: str
    reason: str
    message: str
    attempts: int
    failed_at: datetime
    is_quarantined: bool


@dataclass(frozen=True, slots=True)
class FailurePlace:
    """Where a page of failures ended: when, and which media."""

    failed_at: datetime
    media_id: int


def list_failures(
    connection: Connection, network_id: int, reason: str, *, limit: int, after: FailurePlace | None = None
) -> list[Failure]:
    """Return media that failed for a reason, newest first; those that are gone from their source are left out.

    Args:
        connection: any.
        network_id: under which network.
        reason: for which reason.
        limit: at most so many.
        after: where the page before ended.

    """
    wanted = _failures(network_id, reason).limit(limit)
    if after is not None:
        place = tuple_(literal(after.failed_at, UtcTime()), literal(after.media_id))
        wanted = wanted.where(tuple_(work.c.finished_at, work.c.media_id) < place)
    return [_failure(row) for row in connection.execute(wanted)]


def newest_failures(connection: Connection, network_id: int, reasons: Iterable[str]) -> dict[str, Failure]:
    """Return the newest failure for each of some reasons.

    A reason is left out whose newest 1,000 media are all gone from their source, even where an older one is not.
    """
    newest = {}
    for reason in reasons:
        recent = select(work).where(*_failed(network_id, reason)).order_by(*_newest_first(work)).limit(_MOST_LOOKED_AT)
        row = connection.execute(_not_gone(recent.subquery()).limit(1)).first()
        if row is not None:
            newest[reason] = _failure(row)
    return newest


def _failures(network_id: int, reason: str) -> Select[*tuple[Any, ...]]:
    return _not_gone(work).where(*_failed(network_id, reason))


def _failed(network_id: int, reason: str) -> tuple[ColumnElement[bool], ...]:
    return (
        work.c.network_id == network_id,
        work.c.state >= int(WorkState.FAILED),
        work.c.reason == reason,
        work.c.finished_at.is_not(None),
    )


def _newest_first(failed: FromClause) -> tuple[ColumnElement[Any], ...]:
    return failed.c.finished_at.desc(), failed.c.media_id.desc()


def _not_gone(failed: FromClause) -> Select[*tuple[Any, ...]]:
    """Return what a ``Failure`` is made of, from rows with the columns of ``work``."""
    return (
        select(
            failed.c.media_id,
            (sources.c.uri + media.c.key).label("uri"),
            failed.c.state,
            failed.c.reason,
            failed.c.message,
            failed.c.attempts,
            failed.c.finished_at,
        )
        .join_from(failed, media, media.c.id == failed.c.media_id)
        .join(sources, sources.c.id == media.c.source_id)
        .where(media.c.deleted_at.is_(None))
        .order_by(*_newest_first(failed))
    )


def _failure(row: Row[*tuple[Any, ...]]) -> Failure:
    return Failure(
        media_id=row.media_id,
        uri=row.uri,
        reason=row.reason,
        message=row.message or "",
        attempts=row.attempts,
        failed_at=row.finished_at,
        is_quarantined=row.state == WorkState.QUARANTINED,
    )
