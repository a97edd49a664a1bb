"""Media that failed, newest first: one for each reason, and page by page. Read by index, however many there are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, literal, select, text, tuple_

from annotator.store.columns import UtcTime
from annotator.store.dialect import given_ids, ids_param
from annotator.store.tables import WorkState, work

# All that failed for one reason may be of a source that is gone: who wants the newest does not wait until all are seen.
_MOST_LOOKED_AT: Final = 1_000
_MOST_LOOKED_AT_FOR_A_PAGE: Final = 5_000
_URIS: Final = """
SELECT m.id, s.uri || m.key AS uri FROM media m JOIN sources s ON s.id = m.source_id
WHERE m.id {given} AND m.deleted_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Failure:
    """A media that failed, or was put aside because it ended its worker.

    Attributes:
        media_id: its number.
        uri: where it is.
        reason: short and stable.
        message: what was said.
        attempts: how often it was tried since somebody asked for it, tries that were lost with their worker left out.
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


@dataclass(frozen=True, slots=True)
class FailurePage:
    """A page of failures.

    Attributes:
        failures: newest first; fewer than asked for, or none, where the media of many others are gone.
        next: where the next page begins; None where there is none.

    """

    failures: tuple[Failure, ...]
    next: FailurePlace | None


def list_failures(
    connection: Connection, network_id: int, reason: str, *, limit: int, after: FailurePlace | None = None
) -> FailurePage:
    """Return media that failed for a reason, newest first; those that are gone from their source are left out.

    Of those that are gone 5,000 are passed over at most: the next page goes on behind them.

    Args:
        connection: any.
        network_id: under which network.
        reason: for which reason.
        limit: at most so many.
        after: where the page before ended.

    """
    found: list[Failure] = []
    looked_at = 0
    while looked_at < _MOST_LOOKED_AT_FOR_A_PAGE:
        size = min(max(limit + 1, looked_at), _MOST_LOOKED_AT_FOR_A_PAGE - looked_at)
        rows = connection.execute(_failed(network_id, reason, after).limit(size)).all()
        found += _not_gone(connection, rows)
        if len(found) > limit:
            shown = tuple(found[:limit])
            return FailurePage(shown, FailurePlace(shown[-1].failed_at, shown[-1].media_id))
        if len(rows) < size:
            return FailurePage(tuple(found), None)
        after = FailurePlace(rows[-1].finished_at, rows[-1].media_id)
        looked_at += size
    return FailurePage(tuple(found), after)


def newest_failures(connection: Connection, network_id: int, reasons: Iterable[str]) -> dict[str, Failure]:
    """Return the newest failure for each of some reasons.

    A reason is left out whose newest 1,000 media are all gone from their source, even where an older one is not.
    """
    newest = {}
    for reason in reasons:
        for size in (1, _MOST_LOOKED_AT):  # mostly the first one is there
            recent = connection.execute(_failed(network_id, reason).limit(size)).all()
            if found := _not_gone(connection, recent):
                newest[reason] = found[0]
                break
    return newest


def _failed(network_id: int, reason: str, after: FailurePlace | None = None) -> Select[*tuple[Any, ...]]:
    """Return the rows of ``work`` that failed for a reason, newest first."""
    failed = select(work).where(
        work.c.network_id == network_id,
        work.c.state >= int(WorkState.FAILED),
        work.c.reason == reason,
        work.c.finished_at.is_not(None),
    )
    if after is not None:
        place = tuple_(literal(after.failed_at, UtcTime()), literal(after.media_id))
        failed = failed.where(tuple_(work.c.finished_at, work.c.media_id) < place)
    return failed.order_by(work.c.finished_at.desc(), work.c.media_id.desc())


def _not_gone(connection: Connection, rows: Sequence[Row[*tuple[Any, ...]]]) -> list[Failure]:
    """Return the failures, rows of ``work``, of media that are there, in order."""
    ids = ids_param(connection, [row.media_id for row in rows])
    there = connection.execute(text(_URIS.format(given=given_ids(connection))), {"ids": ids})
    uri_of = {row.id: row.uri for row in there}
    return [_failure(row, uri_of[row.media_id]) for row in rows if row.media_id in uri_of]


def _failure(row: Row[*tuple[Any, ...]], uri: str) -> Failure:
    return Failure(
        media_id=row.media_id,
        uri=uri,
        reason=row.reason,
        message=row.message or "",
        attempts=row.attempts - row.losses,
        failed_at=row.finished_at,
        is_quarantined=row.state == WorkState.QUARANTINED,
    )
