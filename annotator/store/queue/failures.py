"""Media that failed, newest first: one for each reason, and page by page. Read by index, however many there are."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, literal, select, tuple_

from annotator.store.columns import UtcTime
from annotator.store.tables import WorkState, media, sources, work


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
    """Return the newest failure for each of some reasons; a step down the index for each."""
    found = {reason: list_failures(connection, network_id, reason, limit=1) for reason in reasons}
    return {reason: failures[0] for reason, failures in found.items() if failures}


def _failures(network_id: int, reason: str) -> Select[*tuple[Any, ...]]:
    return (
        select(
            work.c.media_id,
            (sources.c.uri + media.c.key).label("uri"),
            work.c.state,
            work.c.reason,
            work.c.message,
            work.c.attempts,
            work.c.finished_at,
        )
        .join_from(work, media, media.c.id == work.c.media_id)
        .join(sources, sources.c.id == media.c.source_id)
        .where(
            work.c.network_id == network_id,
            work.c.state >= int(WorkState.FAILED),
            work.c.reason == reason,
            work.c.finished_at.is_not(None),
            media.c.deleted_at.is_(None),
        )
        .order_by(work.c.finished_at.desc(), work.c.media_id.desc())
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
