"""What the feeder reads and writes: who consumes which queue, what is published, which chunks are due.

A row that is gone stays in the indexes as long as an old snapshot may see it (an analyst's query, a backup), and a
search from the beginning of an index reads all of these first. So a search goes on where the last one ended
(:class:`Cursors`); chunks that came back before there are found by a full search, which the feeder makes as often as it
is cheap.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, func, select, text, true, update

from annotator.store.columns import utc_now
from annotator.store.dialect import is_postgres
from annotator.store.queue.chunks import Chunk, put_back
from annotator.store.queue.lanes import Lane
from annotator.store.queue.requeue import stopped_backlogs
from annotator.store.queue.sessions import FIRST_QUEUE, is_living
from annotator.store.tables import ChunkState, chunks, worker_sessions

_NOTHING_BELOW: Final = -(1 << 15) - 1  # no priority is lower
_NOTHING_BEHIND: Final = (1 << 63) - 1  # no id is higher
# These searches must follow their index whatever the statistics say: they are made each second, and a plan that sorts
# the chunks of a hundred million media takes seconds.
_FOLLOW_INDEXES: Final = "; ".join(f"SET LOCAL enable_{way} = off" for way in ("seqscan", "bitmapscan", "sort"))


_Search = tuple[Lane, int | None]  # what a search looks through: a lane, of one network or of all


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a search by priority goes on: behind this chunk."""

    priority: int
    id: int


@dataclass(slots=True)
class Cursors:
    """Where each search goes on; what is missing begins at the beginning.

    Attributes:
        by_priority: by lane and network.
        by_age: by lane and network, the id of a chunk.
        published_since: no published chunk is older.

    """

    by_priority: dict[_Search, Cursor] = field(default_factory=dict)
    by_age: dict[_Search, int] = field(default_factory=dict)
    published_since: datetime | None = None

    def forget(self) -> None:
        """Let all searches begin at the beginning."""
        self.by_priority.clear()
        self.by_age.clear()
        self.published_since = None


def follow_indexes(connection: Connection) -> None:
    """Let the transaction's searches go through the indexes."""
    if is_postgres(connection):
        connection.execute(text(_FOLLOW_INDEXES))


def living_queues(connection: Connection, *, timeout_s: float) -> list[frozenset[str]]:
    """Return what each living worker session consumes.

    Args:
        connection: any.
        timeout_s: silence after which a session does not count as living.

    """
    living = select(worker_sessions.c.queues).where(is_living(connection, timeout_s=timeout_s))
    return [frozenset(queues or (FIRST_QUEUE,)) for queues in connection.execute(living).scalars()]


def count_published(connection: Connection, cursors: Cursors) -> dict[tuple[str, str, int], int]:
    """Count the chunks in the broker and in the hands of workers, by lane, queue and network."""
    queue = func.coalesce(chunks.c.queue, FIRST_QUEUE).label("queue")
    key = (chunks.c.lane, queue, chunks.c.network_id)
    found = select(*key, func.count().label("published"), func.min(chunks.c.published_at).label("since"))
    found = found.where(chunks.c.state == ChunkState.PUBLISHED)
    if cursors.published_since is not None:
        found = found.where(chunks.c.published_at >= cursors.published_since)
    rows = connection.execute(found.group_by(*key)).all()
    cursors.published_since = (
        min(row.since for row in rows) if rows else connection.execute(select(utc_now())).scalar_one()
    )
    return {(row.lane, row.queue, row.network_id): row.published for row in rows}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which chunks are to be published.

    Attributes:
        lane: of this lane.
        queue: where they go.
        limit: at most so many.
        by_age: so many of them the oldest first, whatever their priority.
        network_id: of this network; None for all.

    """

    lane: Lane
    queue: str
    limit: int
    by_age: int = 0
    network_id: int | None = None

    @property
    def search(self) -> _Search:
        """What is looked through."""
        return self.lane, self.network_id


def take_due(connection: Connection, wanted: Wanted, *, cursors: Cursors) -> list[Chunk]:
    """Mark due chunks as published and return them; publish after the commit. Those of stopped backlogs are forgotten.

    Args:
        connection: in a writing transaction.
        wanted: which.
        cursors: where the searches go on; they are moved.

    """
    oldest = _take_by_age(connection, wanted, cursors)
    published = _publish(connection, wanted, oldest)
    left = wanted.limit - len(oldest)
    return published + _publish(connection, wanted, _take_by_priority(connection, wanted, left, cursors))


_Rows = Sequence[Row[*tuple[Any, ...]]]


def _take_by_age(connection: Connection, wanted: Wanted, cursors: Cursors) -> _Rows:
    if wanted.by_age <= 0:
        return []
    behind = chunks.c.id > cursors.by_age.get(wanted.search, 0)
    rows = connection.execute(_due(wanted).where(behind).order_by(chunks.c.id).limit(wanted.by_age)).all()
    cursors.by_age[wanted.search] = rows[-1].id if len(rows) == wanted.by_age else _NOTHING_BEHIND
    return rows


def _take_by_priority(connection: Connection, wanted: Wanted, limit: int, cursors: Cursors) -> list[Any]:
    """Take by (priority, id), as a range of the index for each of the two cases behind the cursor."""
    cursor = cursors.by_priority.get(wanted.search)
    conditions: list[ColumnElement[bool]] = [true()]
    if cursor is not None:
        same = (chunks.c.priority == cursor.priority) & (chunks.c.id > cursor.id)
        conditions = [same, chunks.c.priority < cursor.priority]
    rows: list[Any] = []
    for condition in conditions:
        if len(rows) < limit:
            found = _due(wanted).where(condition).order_by(chunks.c.priority.desc(), chunks.c.id)
            rows += connection.execute(found.limit(limit - len(rows))).all()
    if len(rows) == limit > 0:
        cursors.by_priority[wanted.search] = Cursor(rows[-1].priority, rows[-1].id)
    elif limit > 0:
        cursors.by_priority[wanted.search] = Cursor(_NOTHING_BELOW, 0)
    return rows


def _due(wanted: Wanted) -> Select[*tuple[Any, ...]]:
    is_due = chunks.c.not_before.is_(None) | (chunks.c.not_before <= utc_now())
    if wanted.network_id is not None:
        is_due &= chunks.c.network_id == wanted.network_id
    columns = (chunks.c.id, chunks.c.lane, chunks.c.media_ids, chunks.c.priority, chunks.c.run_id, chunks.c.network_id)
    return (
        select(*columns)
        .where(chunks.c.state == ChunkState.WAITING, chunks.c.lane == wanted.lane, is_due)
        .with_for_update(skip_locked=True)
    )


def _publish(connection: Connection, wanted: Wanted, rows: _Rows) -> list[Chunk]:
    # What was put back for later comes after its backlog has ended.
    stopped = stopped_backlogs(connection, {row.run_id for row in rows if row.run_id is not None})
    unwanted = [row.id for row in rows if row.run_id in stopped]
    if unwanted:
        connection.execute(delete(chunks).where(chunks.c.id.in_(unwanted)))
    kept = [row for row in rows if row.run_id not in stopped]
    taken = [Chunk(row.id, row.lane, tuple(row.media_ids), wanted.queue, row.network_id) for row in kept]
    if taken:
        published = update(chunks).where(chunks.c.id.in_([chunk.id for chunk in taken]))
        values = {"state": int(ChunkState.PUBLISHED), "queue": wanted.queue}
        connection.execute(published.values(published_at=utc_now(), **values))
    return taken


def put_back_stranded(connection: Connection, queues: Collection[str]) -> int:
    """Let chunks be published again that lie in queues which nobody consumes any more.

    Returns:
        How many chunks these are.

    """
    in_queues = func.coalesce(chunks.c.queue, FIRST_QUEUE).in_(sorted(queues))
    stranded = select(chunks.c.id).where(chunks.c.state == ChunkState.PUBLISHED, in_queues)
    return put_back(connection, list(connection.execute(stranded).scalars()))
