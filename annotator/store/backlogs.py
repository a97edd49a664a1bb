"""The end of a backlog: everything is done, its time or its budget is over, or somebody stops it.

A backlog that is stopped keeps what is done, and what a worker has in hand is finished. What is pending stays pending
and is queued no more; a later ``annotate-backlog`` of the same prefix takes it up again.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, select, text, update

from annotator.errors import InputError
from annotator.store.columns import utc_now
from annotator.store.counts import Counts
from annotator.store.dialect import is_postgres, later_value
from annotator.store.listing import FOLLOW
from annotator.store.outbox import Event, tell_backlog
from annotator.store.tables import ChunkState, WorkState, chunks, runs, sources, worker_sessions

CHANNEL: Final = "annotator_backlog"
# Worker time is charged for at most so long at once: while nobody looked, nobody knows who worked for whom.
_MOST_CHARGED_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class BacklogEnd:
    """A backlog that has come to its end.

    Attributes:
        run_id: its row.
        uri: what was asked for.
        event: whether all is done, or it was stopped.
        done: media annotated.
        failed: media failed or quarantined.
        pending: media that nobody will do for this backlog.
        reason: why it was stopped.

    """

    run_id: int
    uri: str
    event: Event
    done: int
    failed: int
    pending: int
    reason: str | None

    @property
    def facts(self) -> dict[str, Any]:
        """What is told beside the backlog itself."""
        return {"done": self.done, "failed": self.failed, "pending": self.pending, "reason": self.reason}


def stop_backlog(connection: Connection, run_id: int, reason: str) -> bool:
    """Stop a backlog: nothing of it is queued any more.

    Args:
        connection: in a writing transaction.
        run_id: which.
        reason: why; ``"asked"``, ``"deadline"`` or ``"budget"``.

    Returns:
        False where it has ended before.

    Raises:
        InputError: there is no such backlog.

    """
    open_run = update(runs).where(runs.c.id == run_id, runs.c.stopped_at.is_(None), runs.c.finished_at.is_(None))
    stopped = connection.execute(open_run.values(stopped_at=utc_now(), stop_reason=reason)).rowcount
    if not stopped:
        if connection.execute(select(runs.c.id).where(runs.c.id == run_id)).first() is None:
            raise InputError(f"There is no backlog {run_id}; `annotator status` lists them.")
        return False
    # What is added to it later (a media that goes back) is forgotten by the feeder.
    connection.execute(delete(chunks).where(chunks.c.run_id == run_id, chunks.c.state == ChunkState.WAITING))
    return True


def stop_overdue(connection: Connection) -> dict[int, str]:
    """Stop backlogs whose deadline has passed or whose budget is spent.

    Returns:
        Why, by backlog.

    """
    is_late = runs.c.deadline_at <= utc_now()
    is_spent = runs.c.worker_s >= runs.c.max_worker_s
    overdue = select(runs.c.id, func.coalesce(is_late, False).label("is_late")).where(
        runs.c.finished_at.is_(None), runs.c.stopped_at.is_(None), is_late | is_spent
    )
    stopped = {row.id: "deadline" if row.is_late else "budget" for row in connection.execute(overdue).all()}
    for run_id, reason in stopped.items():
        stop_backlog(connection, run_id, reason)
    return stopped


def charge_worker_time(connection: Connection, counts: Counts, *, timeout_s: float) -> None:
    """Add to each open backlog its part of the worker time since the last call.

    A worker's time counts while it has media in hand, and is shared among backlogs as these media are.

    Args:
        connection: in a writing transaction.
        counts: of now.
        timeout_s: silence after which a worker does not count as living.

    """
    sessions = worker_sessions.c
    living = sessions.ended_at.is_(None) & (sessions.seen_at >= later_value(connection, -timeout_s))
    busy_sessions = select(func.count()).select_from(worker_sessions).where(living, sessions.in_hand > 0)
    busy = int(connection.execute(busy_sessions).scalar_one())
    now: datetime = connection.execute(select(utc_now())).scalar_one()
    claimed = counts.media(WorkState.CLAIMED)
    open_runs = select(runs.c.id, func.coalesce(runs.c.worker_s_at, runs.c.started_at).label("since"))
    for row in connection.execute(open_runs.where(runs.c.finished_at.is_(None))).all():
        passed = min(max(now - row.since, timedelta(0)), timedelta(seconds=_MOST_CHARGED_S))
        share = counts.media(WorkState.CLAIMED, run_id=row.id) / claimed if claimed > 0 else 0.0
        spent_s = busy * share * passed.total_seconds()
        charged = update(runs).where(runs.c.id == row.id)
        connection.execute(charged.values(worker_s=runs.c.worker_s + spent_s, worker_s_at=now))


def end_backlogs(connection: Connection, counts: Counts) -> list[BacklogEnd]:
    """Mark backlogs as finished that have come to their end, and tell whoever wants to know, in the same transaction.

    Args:
        connection: in a writing transaction.
        counts: of now, read in the same transaction.

    """
    uri = (sources.c.uri + runs.c.prefix).label("uri")
    opened = select(runs, uri).join_from(runs, sources, runs.c.source_id == sources.c.id)
    ended = []
    for row in connection.execute(opened.where(runs.c.finished_at.is_(None)).order_by(runs.c.id)).all():
        if not _has_ended(connection, row, counts):
            continue
        end = _end(row, counts)
        connection.execute(update(runs).where(runs.c.id == end.run_id).values(finished_at=utc_now()))
        if row.callback_url is not None:
            tell_backlog(connection, end.run_id, end.event, end.facts)
        _notify(connection, end)
        ended.append(end)
    return ended


def _has_ended(connection: Connection, row: Row[*tuple[Any, ...]], counts: Counts) -> bool:
    if counts.media(WorkState.CLAIMED, run_id=row.id):
        return False
    if row.stopped_at is not None:  # chunks in the broker may still be claimed
        published = select(chunks.c.id).where(chunks.c.state == ChunkState.PUBLISHED, chunks.c.run_id == row.id)
        return connection.execute(published.limit(1)).first() is None
    follows = bool(row.options.get(FOLLOW))
    return row.listed_at is not None and not follows and not counts.media(WorkState.PENDING, run_id=row.id)


def _end(row: Row[*tuple[Any, ...]], counts: Counts) -> BacklogEnd:
    run_id: int = row.id
    return BacklogEnd(
        run_id=run_id,
        uri=row.uri,
        event="backlog.finished" if row.stopped_at is None else "backlog.stopped",
        done=counts.media(WorkState.DONE, run_id=run_id),
        failed=counts.media(WorkState.FAILED, WorkState.QUARANTINED, run_id=run_id),
        pending=counts.media(WorkState.PENDING, run_id=run_id),
        reason=row.stop_reason,
    )


def _notify(connection: Connection, end: BacklogEnd) -> None:
    if is_postgres(connection):
        told = json.dumps({"event": end.event, "backlog": {"id": end.run_id, "uri": end.uri}, **end.facts})
        connection.execute(text("SELECT pg_notify(:channel, :told)"), {"channel": CHANNEL, "told": told})
