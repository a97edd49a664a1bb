"""The sessions of workers: how one begins, says that it lives, and ends; which of them live, and what they run."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, insert, select, update

from annotator.store.columns import utc_now
from annotator.store.connection import open_engine, reading
from annotator.store.dialect import later_value
from annotator.store.partitions import use_labelling
from annotator.store.queue.lanes import LANES
from annotator.store.tables import worker_sessions

# Where sessions and chunks of programs before 0002 do not say it.
FIRST_QUEUE: Final = "gpu"
_WITHOUT_NETWORKS: Final = frozenset({"default", "trainer"})
_SESSIONS_LOOKED_AT: Final = 1_000  # the newest, for who was there last
_TOGETHER: Final = timedelta(minutes=1)


def is_open() -> ColumnElement[bool]:
    """Return the condition that a session has not ended."""
    return worker_sessions.c.ended_at.is_(None)


def is_living(connection: Connection, *, timeout_s: float) -> ColumnElement[bool]:
    """Return the condition that a session lives, by the database's clock.

    Args:
        connection: any.
        timeout_s: silence after which a session does not count as living.

    """
    return is_open() & (worker_sessions.c.seen_at >= later_value(connection, -timeout_s))


@dataclass(frozen=True, slots=True)
class AnnotatingSession:
    """A session of a worker that annotates.

    Attributes:
        queues: what it consumes.
        network_id: which network it runs; None where it does not say.
        started_at: when it began.
        seen_at: when it said last that it lives.

    """

    queues: frozenset[str]
    network_id: int | None
    started_at: datetime
    seen_at: datetime


def living_sessions(connection: Connection, *, timeout_s: float) -> list[AnnotatingSession]:
    """Return the living sessions of workers that annotate.

    Args:
        connection: any.
        timeout_s: silence after which a session does not count as living.

    """
    return _annotating(connection, _described().where(is_living(connection, timeout_s=timeout_s)))


def last_sessions(connection: Connection, *, queue: str | None = None) -> list[AnnotatingSession]:
    """Return the annotating sessions that lived last, all within a minute; none where there never was one.

    Where versions were switched, the workers of the former one have gone while those of the newer one went on.

    Args:
        connection: any.
        queue: of those that consumed it; of all by default.

    """
    newest = _described().order_by(worker_sessions.c.id.desc()).limit(_SESSIONS_LOOKED_AT)
    found = [one for one in _annotating(connection, newest) if queue is None or queue in one.queues]
    last = max((one.seen_at for one in found), default=None)
    return [one for one in found if last is not None and last - one.seen_at <= _TOGETHER]


def networks_of(sessions: Iterable[AnnotatingSession]) -> frozenset[int] | None:
    """Return which networks sessions run; None where that is not known: there are none, or one does not say."""
    found = {one.network_id for one in sessions}
    known = frozenset(network_id for network_id in found if network_id is not None)
    return known if found and known == found else None


def _described() -> Select[*tuple[Any, ...]]:
    sessions = worker_sessions.c
    return select(sessions.queues, sessions.network_id, sessions.started_at, sessions.seen_at)


def _annotating(connection: Connection, wanted: Select[*tuple[Any, ...]]) -> list[AnnotatingSession]:
    """Leave out who only keeps house: such a worker loads no networks."""
    sessions = (
        AnnotatingSession(frozenset(row.queues or (FIRST_QUEUE,)), row.network_id, row.started_at, row.seen_at)
        for row in connection.execute(wanted)
    )
    return [one for one in sessions if annotates(one.queues)]


def annotates(queues: Collection[str]) -> bool:
    """Say whether a worker of these queues annotates; one of an earlier version says nothing of queues, and does.

    >>> annotates(["default", "trainer"]), annotates(["gpu", "default"]), annotates([])
    (False, True, True)
    """
    return not queues or not _WITHOUT_NETWORKS.issuperset(queues)


def open_session(
    connection: Connection,
    *,
    worker: str,
    queues: Collection[str] = (),
    device: str | None = None,
    network_id: int | None = None,
    labelling_id: int | None = None,
) -> int:
    """Open a session and return its id.

    Args:
        connection: in a writing transaction.
        worker: host and process, e.g. ``"gpu-7:4711"``.
        queues: whose messages it takes, e.g. ``("gpu",)``.
        device: what its networks run on, e.g. ``"cpu"``; None where it loads none.
        network_id: which network it runs.
        labelling_id: what labels its results: it is not retired while the session is open.

    """
    if labelling_id is not None:
        use_labelling(connection, labelling_id)
    row = {"worker": worker, "lanes": sorted(LANES), "queues": sorted(queues), "device": device, "in_hand": 0}
    what = {"network_id": network_id, "labelling_id": labelling_id}
    opened = insert(worker_sessions).values(started_at=utc_now(), seen_at=utc_now(), **what, **row)
    return int(connection.execute(opened.returning(worker_sessions.c.id)).scalar_one())


def heartbeat(
    connection: Connection,
    session_id: int,
    *,
    in_hand: int,
    busy: Mapping[str, float] | None = None,
    media_done: int | None = None,
) -> bool:
    """Say that a session lives, and what it does.

    Args:
        connection: in a writing transaction.
        session_id: which.
        in_hand: media that it has claimed and not reported.
        busy: share of the time since the last heartbeat that each stage was busy, 0 to 1; None where nobody measures.
        media_done: media that it has reported since it was opened; None where nobody counts.

    Returns:
        False if the session has been ended by a sweeper: drop all in hand and open a new one.

    """
    measured = {"busy": None if busy is None else dict(busy), "media_done": media_done}
    said = {"in_hand": in_hand} | {name: value for name, value in measured.items() if value is not None}
    beat = (
        update(worker_sessions).where(worker_sessions.c.id == session_id, is_open()).values(seen_at=utc_now(), **said)
    )
    return connection.execute(beat).rowcount == 1


def is_session_open(connection: Connection, session_id: int) -> bool:
    """Say whether a session has not ended."""
    found = select(worker_sessions.c.id).where(worker_sessions.c.id == session_id, is_open())
    return connection.execute(found).first() is not None


def close_session(connection: Connection, session_id: int) -> None:
    """End a session in an orderly way; give back what it has in hand first."""
    closed = update(worker_sessions).where(worker_sessions.c.id == session_id, is_open())
    connection.execute(closed.values(ended_at=utc_now(), in_hand=0))


def end_sessions_of(connection: Connection, worker: str) -> None:
    """End the sessions of a process that is known to be dead, so that the next sweep takes its media back at once.

    Args:
        connection: in a writing transaction.
        worker: host and process, as given to :func:`open_session`.

    """
    of_process = (worker_sessions.c.worker == worker) & is_open()
    connection.execute(update(worker_sessions).where(of_process).values(ended_at=utc_now()))


def is_worker_ready(database_url: str, pid: int) -> bool:
    """Say whether a worker process has an open session: it is warmed up and takes work."""
    engine = open_engine(database_url)
    try:
        with reading(engine) as connection:
            of_process = worker_sessions.c.worker.like(f"%:{pid}") & is_open()
            found = select(func.count()).select_from(worker_sessions).where(of_process)
            return connection.execute(found).scalar_one() > 0
    finally:
        engine.dispose()
