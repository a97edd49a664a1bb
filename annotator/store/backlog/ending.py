"""The end of a backlog: everything is done, its time or its budget is over, or somebody stops it.

A backlog that is stopped keeps what is done, and what a worker has in hand is finished. What is pending stays pending
and is queued no more; a later ``annotate-backlog`` of the same prefix takes it up again.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, Select, delete, func, select, text, update

from annotator.errors import InputError
from annotator.store.backlog.listing import FOLLOW
from annotator.store.columns import utc_now
from annotator.store.connection import writing
from annotator.store.dialect import is_postgres
from annotator.store.queue.chunks import put_back, slices_of_chunks
from annotator.store.queue.counts import Counts
from annotator.store.queue.outbox import Event, tell_backlog
from annotator.store.queue.sessions import is_living, living_sessions, networks_of
from annotator.store.tables import ChunkState, WorkState, chunks, runs, sources, worker_sessions

CHANNEL: Final = "annotator_backlog"
# Worker time is charged for at most so long at once: while nobody looked, nobody knows who worked for whom.
_MOST_CHARGED_S: Final = 300.0
# What had nothing in hand when it was looked last: about as long as from one look of beat to the next.
_FIRST_CHARGED_S: Final = 5.0


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
    return True


def forget_waiting(engine: Engine, run_id: int) -> None:
    """Delete the chunks of a stopped backlog that wait, in many short transactions; until then the feeder passes over.

    It may be killed at any time: a backlog does not end before beat has done it once more.
    """
    for low, high in slices_of_chunks(engine):
        some = (chunks.c.id > low) & (chunks.c.id <= high) & (chunks.c.run_id == run_id)
        with writing(engine) as connection:
            connection.execute(delete(chunks).where(some, chunks.c.state == ChunkState.WAITING))


def ending_after_stop(connection: Connection, counts: Counts, *, timeout_s: float) -> list[int]:
    """Return the backlogs that were stopped and of which nothing is in hand, nor in the broker for a living worker.

    What is in the broker while nobody lives who would take it is withdrawn: a chunk that is forgotten holds no backlog
    open for a worker that may never come.

    Args:
        connection: in a writing transaction.
        counts: of now.
        timeout_s: silence after which a worker does not count as living.

    """
    unfinished = select(runs).where(runs.c.stopped_at.is_not(None), runs.c.finished_at.is_(None))
    stopped = connection.execute(unfinished.order_by(runs.c.id)).all()
    living = living_sessions(connection, timeout_s=timeout_s) if stopped else []
    networks = networks_of(living)
    for row in stopped:
        is_run = row.network_id in networks if networks is not None else bool(living)
        if not is_run:
            put_back(connection, list(connection.execute(_published(row.id)).scalars()))
    return [row.id for row in stopped if _has_ended(connection, row, counts)]


def stop_overdue(connection: Connection) -> dict[int, str]:
    """Stop backlogs whose deadline has passed or whose budget is spent.

    Returns:
        Why, by backlog.

    """
    is_late = runs.c.deadline_at <= utc_now()
    is_spent = runs.c.worker_s >= runs.c.max_worker_s
    # One whose row a producer holds (it ends its listing) is stopped next time: nobody waits for that here.
    overdue = (
        select(runs.c.id, func.coalesce(is_late, False).label("is_late"))
        .where(runs.c.finished_at.is_(None), runs.c.stopped_at.is_(None), is_late | is_spent)
        .with_for_update(skip_locked=True)
    )
    stopped = {row.id: "deadline" if row.is_late else "budget" for row in connection.execute(overdue).all()}
    for run_id, reason in stopped.items():
        stop_backlog(connection, run_id, reason)
    return stopped


def charge_worker_time(connection: Connection, counts: Counts, *, timeout_s: float) -> None:
    """Add to each backlog that has media in hand its part of the worker time since the last call.

    A worker's time counts while it has media in hand, and is shared among backlogs as these media are. Backlogs without
    any are not written to, however many there are, and nobody is waited for.

    Args:
        connection: in a writing transaction.
        counts: of now.
        timeout_s: silence after which a worker does not count as living.

    """
    living = is_living(connection, timeout_s=timeout_s)
    busy_sessions = select(func.count()).select_from(worker_sessions).where(living, worker_sessions.c.in_hand > 0)
    busy = int(connection.execute(busy_sessions).scalar_one())
    now: datetime = connection.execute(select(utc_now())).scalar_one()
    claimed = counts.media(WorkState.CLAIMED)
    shares = {row.run_id: 0.0 for row in counts.rows if row.run_id is not None}
    for row in counts.rows:
        if row.run_id is not None and row.state == WorkState.CLAIMED and claimed > 0:
            shares[row.run_id] += row.media / claimed
    in_hand = sorted(run_id for run_id, share in shares.items() if share > 0)
    charged = (runs.c.id.in_(in_hand) | runs.c.worker_s_at.is_not(None)) & runs.c.finished_at.is_(None)
    held = select(runs.c.id, runs.c.worker_s_at, runs.c.started_at).where(charged).with_for_update(skip_locked=True)
    for run in connection.execute(held).all():
        of_run = update(runs).where(runs.c.id == run.id)
        share = shares.get(run.id, 0.0)
        if share <= 0:  # its clock stands still
            connection.execute(of_run.values(worker_s_at=None))
            continue
        since, most_s = (run.worker_s_at, _MOST_CHARGED_S) if run.worker_s_at else (run.started_at, _FIRST_CHARGED_S)
        passed = min(max(now - since, timedelta(0)), timedelta(seconds=most_s))
        spent_s = busy * share * passed.total_seconds()
        connection.execute(of_run.values(worker_s=runs.c.worker_s + spent_s, worker_s_at=now))


def end_backlogs(connection: Connection, counts: Counts, *, stopped: Collection[int]) -> list[BacklogEnd]:
    """Mark backlogs as finished that have come to their end, and tell whoever wants to know, in the same transaction.

    Args:
        connection: in a writing transaction.
        counts: of now, read in the same transaction.
        stopped: those that were stopped and of which no chunk waits any more; other stopped ones go on.

    """
    uri = (sources.c.uri + runs.c.prefix).label("uri")
    opened = select(runs, uri).join_from(runs, sources, runs.c.source_id == sources.c.id)
    ended = []
    for row in connection.execute(opened.where(runs.c.finished_at.is_(None)).order_by(runs.c.id)).all():
        if row.stopped_at is not None and row.id not in stopped:
            continue
        if not _has_ended(connection, row, counts) or not _is_ours(connection, row.id):
            continue
        end = _end(row, counts)
        connection.execute(update(runs).where(runs.c.id == end.run_id).values(finished_at=utc_now()))
        if row.callback_url is not None:
            tell_backlog(connection, end.run_id, end.event, end.facts)
        _notify(connection, end)
        ended.append(end)
    return ended


def _is_ours(connection: Connection, run_id: int) -> bool:
    """Hold the row of a backlog, unless somebody else does: then the backlog ends next time."""
    mine = select(runs.c.id).where(runs.c.id == run_id).with_for_update(skip_locked=True)
    return connection.execute(mine).first() is not None


def _has_ended(connection: Connection, row: Row[*tuple[Any, ...]], counts: Counts) -> bool:
    if counts.media(WorkState.CLAIMED, run_id=row.id):
        return False
    if row.stopped_at is not None:  # chunks in the broker may still be claimed
        return connection.execute(_published(row.id).limit(1)).first() is None
    follows = bool(row.options.get(FOLLOW))
    return row.listed_at is not None and not follows and not counts.media(WorkState.PENDING, run_id=row.id)


def _published(run_id: int) -> Select[*tuple[Any, ...]]:
    return select(chunks.c.id).where(chunks.c.state == ChunkState.PUBLISHED, chunks.c.run_id == run_id)


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
