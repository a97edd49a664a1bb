"""How deep the queue is and how old its oldest parts: a few small reads by index, whatever the size of the backlog.

All ages are by the database's clock. How many media are in which state stands in ``annotator.store.queue.counts``.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, select, text

from annotator.store.columns import age_s, utc_now
from annotator.store.dialect import is_postgres
from annotator.store.queue.lanes import LANES
from annotator.store.queue.sessions import is_open, last_sessions, living_sessions, networks_of
from annotator.store.tables import ChunkState, chunks, outbox, scaling, worker_sessions

MOST_COUNTED: Final = 100_000
"""Call-backs are counted up to here: more of them are no news."""


@dataclass(frozen=True, slots=True)
class LaneDepth:
    """The chunks of a lane.

    Attributes:
        lane: its name.
        published: how many are in the broker or in the hands of workers.
        published_age_s: how long ago the oldest of these was published; None where there is none.
        waiting_age_s: how long ago the oldest chunk was made that is due and not published yet, of the networks that
            living workers run, or where nobody lives that the last ones ran; None where there is none.

    """

    lane: str
    published: int
    published_age_s: float | None
    waiting_age_s: float | None


@dataclass(frozen=True, slots=True)
class QueueScaling:
    """How many workers a queue should have.

    Attributes:
        queue: its name.
        desired: what was written last.
        age_s: how long ago.

    """

    queue: str
    desired: int
    age_s: float


@dataclass(frozen=True, slots=True)
class QueueDepths:
    """What :func:`read_depths` has found.

    Attributes:
        lanes: one for each lane.
        workers: sessions that have said lately that they live.
        workers_silent: sessions that have not, and that no sweeper has ended yet.
        workers_by_queue: living sessions by a queue that they consume.
        scaling: one for each queue that has a row.
        callbacks: call-backs that are to be delivered, up to :data:`MOST_COUNTED`.
        callback_age_s: how long ago the oldest of these was made; None where there is none.
        database_bytes: size of the database.

    """

    lanes: tuple[LaneDepth, ...]
    workers: int
    workers_silent: int
    workers_by_queue: dict[str, int]
    scaling: tuple[QueueScaling, ...]
    callbacks: int
    callback_age_s: float | None
    database_bytes: int


def read_depths(connection: Connection, *, session_timeout_s: float) -> QueueDepths:
    """Read all of it.

    Args:
        connection: any.
        session_timeout_s: silence after which a worker does not count as living.

    """
    now = connection.execute(select(utc_now())).scalar_one()
    seen = connection.execute(select(worker_sessions.c.seen_at, worker_sessions.c.queues).where(is_open())).all()
    alive = [row for row in seen if (now - row.seen_at).total_seconds() < session_timeout_s]
    wanted = connection.execute(select(scaling).order_by(scaling.c.queue)).all()
    callbacks, oldest = _callbacks(connection)
    networks = networks_of(living_sessions(connection, timeout_s=session_timeout_s) or last_sessions(connection))
    return QueueDepths(
        lanes=tuple(_lane(connection, lane, now, networks) for lane in LANES),
        workers=len(alive),
        workers_silent=len(seen) - len(alive),
        workers_by_queue=dict(Counter(queue for row in alive for queue in row.queues or ())),
        scaling=tuple(QueueScaling(row.queue, row.desired_workers, age_s(now, row.updated_at)) for row in wanted),
        callbacks=callbacks,
        callback_age_s=None if oldest is None else age_s(now, oldest),
        database_bytes=_database_bytes(connection),
    )


def _lane(connection: Connection, lane: str, now: datetime, networks: frozenset[int] | None) -> LaneDepth:
    # Few are published at a time: the feeder's cap.
    of_lane = (chunks.c.state == ChunkState.PUBLISHED) & (chunks.c.lane == lane)
    published, oldest = connection.execute(select(func.count(), func.min(chunks.c.published_at)).where(of_lane)).one()
    waiting = list(_oldest_waiting(connection, lane, networks))
    return LaneDepth(
        lane=lane,
        published=published,
        published_age_s=None if oldest is None else age_s(now, oldest),
        waiting_age_s=age_s(now, min(waiting)) if waiting else None,
    )


def _oldest_waiting(connection: Connection, lane: str, networks: frozenset[int] | None) -> Iterator[datetime]:
    """Yield the oldest chunk of each priority: a step down the index by which the feeder chooses, for each of them.

    What waits for its time, or for a network that nobody runs any more, is passed over: nobody is late with it.
    """
    waiting = (chunks.c.state == ChunkState.WAITING) & (chunks.c.lane == lane)
    waiting &= chunks.c.not_before.is_(None) | (chunks.c.not_before <= utc_now())
    if networks is not None:
        waiting &= chunks.c.network_id.in_(sorted(networks))
    order = (chunks.c.lane, chunks.c.priority.desc(), chunks.c.id)
    first = select(chunks.c.priority, chunks.c.created_at).where(waiting).order_by(*order).limit(1)
    found = connection.execute(first).one_or_none()
    while found is not None:
        yield found.created_at
        found = connection.execute(first.where(chunks.c.priority < found.priority)).one_or_none()


def _callbacks(connection: Connection) -> tuple[int, datetime | None]:
    due = outbox.c.delivered_at.is_(None) & outbox.c.given_up_at.is_(None)
    some = select(outbox.c.id).where(due).limit(MOST_COUNTED).subquery()
    count = connection.execute(select(func.count()).select_from(some)).scalar_one()
    oldest = list(_oldest_due(connection, due)) if count else []
    return count, min(oldest, default=None)


def _oldest_due(connection: Connection, due: ColumnElement[bool]) -> Iterator[datetime]:
    """Yield the oldest call-back of each backlog: a step down the index of what is due, for each of them.

    What was delivered is left in the table for days; looking for the oldest by number would read all of that first.
    """
    first = select(outbox.c.run_id, outbox.c.created_at).where(due).order_by(outbox.c.run_id, outbox.c.id).limit(1)
    found = connection.execute(first).one_or_none()
    while found is not None:
        yield found.created_at
        found = connection.execute(first.where(outbox.c.run_id > found.run_id)).one_or_none()


def _database_bytes(connection: Connection) -> int:
    if is_postgres(connection):
        return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    pages = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    return int(connection.execute(text(pages)).scalar_one())
