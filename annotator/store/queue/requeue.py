"""Media that are pending again, and their chunks: after a report, a sweep, or by hand. They stay with their backlog."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, select, text, update

from annotator.store.queue.attempts import NEXT_ATTEMPT
from annotator.store.queue.chunks import USUAL_LIMITS, ChunkLimits, Piece, add_chunks, pack
from annotator.store.queue.counts import Delta, add_deltas, moved
from annotator.store.tables import WorkState, active, media, runs, sources, work

AT_ONCE: Final = 10_000
"""Media of one statement; SQLite takes 32,766 values."""


@dataclass(frozen=True, slots=True)
class Returned:
    """A media that is pending again.

    Attributes:
        piece: how it travels.
        run_id: the backlog that asked for it; its priority holds on.
        is_alone: it travels in a chunk of its own.
        delay_s: how long the feeder is to wait.

    """

    piece: Piece
    run_id: int | None
    is_alone: bool = False
    delay_s: float | None = None


def add_again(
    connection: Connection, network_id: int, returned: Iterable[Returned], *, limits: ChunkLimits = USUAL_LIMITS
) -> None:
    """Add chunks for media that are pending again, those of each backlog by themselves.

    Args:
        connection: in a writing transaction.
        network_id: which network is to annotate them.
        returned: the media.
        limits: of a chunk.

    """
    together: dict[tuple[int | None, float | None], list[Returned]] = defaultdict(list)
    for one in returned:
        together[one.run_id, one.delay_s].append(one)
    priorities = _priorities(connection, {run_id for run_id, _ in together if run_id is not None})
    for (run_id, delay_s), group in together.items():
        priority = priorities.get(run_id, 0)
        add_chunks(connection, network_id, _packed(group, limits), run_id=run_id, priority=priority, delay_s=delay_s)


def _packed(returned: Sequence[Returned], limits: ChunkLimits) -> list[list[Piece]]:
    together = [one.piece for one in returned if not one.is_alone]
    return [*pack(together, limits=limits), *([one.piece] for one in returned if one.is_alone)]


def _priorities(connection: Connection, run_ids: set[int]) -> dict[int | None, int]:
    if not run_ids:
        return {}
    found = connection.execute(select(runs.c.id, runs.c.priority).where(runs.c.id.in_(run_ids)))
    return {row.id: row.priority for row in found}


def requeue(
    connection: Connection, network_id: int, media_ids: Sequence[int], *, limits: ChunkLimits = USUAL_LIMITS
) -> int:
    """Add chunks for media that were made pending by hand; files of this machine are left out: no worker reads them.

    Media of a backlog that was stopped belong to none from now on: nothing of such a backlog is published any more.

    Args:
        connection: in a writing transaction.
        network_id: which network.
        media_ids: pending media.
        limits: of a chunk.

    Returns:
        How many media travel now.

    """
    described = (
        select(media.c.id, media.c.key, media.c.size_bytes, work.c.run_id, work.c.lane, work.c.cost_ms)
        .join_from(media, sources, media.c.source_id == sources.c.id)
        .join(work, (work.c.media_id == media.c.id) & (work.c.network_id == network_id))
        .where(~sources.c.uri.startswith("file:"))
        .order_by(media.c.id)
    )
    count = 0
    for start in range(0, len(media_ids), AT_ONCE):
        found = connection.execute(described.where(media.c.id.in_(media_ids[start : start + AT_ONCE]))).all()
        stopped = stopped_backlogs(connection, {row.run_id for row in found if row.run_id is not None})
        _leave_backlogs(connection, network_id, [row for row in found if row.run_id in stopped])
        returned = [
            Returned(Piece(row.id, row.key, row.size_bytes), None if row.run_id in stopped else row.run_id)
            for row in found
        ]
        add_again(connection, network_id, returned, limits=limits)
        count += len(found)
    return count


def stopped_backlogs(connection: Connection, run_ids: Collection[int]) -> frozenset[int]:
    """Return which backlogs were stopped, whether they have ended or not."""
    if not run_ids:
        return frozenset()
    stopped = select(runs.c.id).where(runs.c.id.in_(sorted(run_ids)), runs.c.stopped_at.is_not(None))
    return frozenset(connection.execute(stopped).scalars())


def _leave_backlogs(connection: Connection, network_id: int, rows: Sequence[Row[*tuple[Any, ...]]]) -> None:
    if not rows:
        return
    theirs = (work.c.network_id == network_id) & work.c.media_id.in_([row.id for row in rows])
    connection.execute(update(work).where(theirs).values(run_id=None))
    left = moved(rows, network_id=network_id, left=WorkState.PENDING, reached=None)
    reached = [replace(one, run_id=None, media=-one.media, cost_ms=-one.cost_ms) for one in left]
    add_deltas(connection, [*left, *reached])


def retry(
    connection: Connection, *, reason: str | None = None, network_id: int | None = None, until: datetime | None = None
) -> list[int]:
    """Let failed and quarantined media be tried again, as if they never had been.

    Args:
        connection: in a transaction that writes.
        reason: only those that failed for it; all by default.
        network_id: for which network; the active one by default.
        until: only those that failed until then: some may fail again meanwhile.

    Returns:
        The media that are pending again, at most ten thousand; none when all are.

    """
    if network_id is None:
        network_id = connection.execute(select(active.c.network_id)).scalar_one_or_none()
    if network_id is None:
        return []
    wanted = (
        select(work.c.media_id, work.c.state, work.c.reason, work.c.run_id, work.c.lane, work.c.cost_ms)
        .where(work.c.network_id == network_id, work.c.state >= int(WorkState.FAILED))
        .limit(AT_ONCE)
        .with_for_update()
    )
    if reason is not None:
        wanted = wanted.where(work.c.reason == reason)
    if until is not None:
        wanted = wanted.where(work.c.finished_at.is_(None) | (work.c.finished_at <= until))
    rows = connection.execute(wanted).all()
    media_ids = sorted(int(row.media_id) for row in rows)
    _reset(connection, network_id, media_ids)
    deltas: list[Delta] = []
    for state in (WorkState.FAILED, WorkState.QUARANTINED):
        left = [row for row in rows if row.state == state]
        deltas += moved(left, network_id=network_id, left=state, reached=WorkState.PENDING)
    add_deltas(connection, deltas)
    return media_ids


def _reset(connection: Connection, network_id: int, media_ids: Sequence[int]) -> None:
    failed = update(work).where(work.c.network_id == network_id, work.c.media_id.in_(media_ids))
    connection.execute(
        failed.values(
            state=int(WorkState.PENDING),
            # The number goes on, as does that of what is told of it: whoever is told knows the next end from this one.
            attempts=text(NEXT_ATTEMPT),
            losses=text(NEXT_ATTEMPT),
            deaths=0,
            free_tries=0,
            suspect=False,
            session_id=None,
            deadline_at=None,
            not_before=None,
            finished_at=None,
            reason=None,
            message=None,
        )
    )
