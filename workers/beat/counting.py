"""What beat does about counts: sums the deltas up, notes how it goes on, says how many workers there should be."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from sqlalchemy import Connection, Engine, delete, func, select, text

from annotator.settings import ScalingSettings, Settings
from annotator.store.columns import utc_now
from annotator.store.connection import reading, writing
from annotator.store.dialect import now as now_sql
from annotator.store.locks import try_lock
from annotator.store.queue.counts import MAX_SUMMED, Counts, read_counts, sum_up
from annotator.store.queue.feeding import living_queues
from annotator.store.queue.lanes import LANES
from annotator.store.queue.progress import WINDOW, Point, read_points, write_progress
from annotator.store.queue.sessions import (
    FIRST_QUEUE,
    AnnotatingSession,
    last_sessions,
    living_sessions,
    networks_of,
)
from annotator.store.schema import count_once
from annotator.store.tables import ChunkState, WorkState, active, chunks, runs, scaling, worker_sessions
from workers.beat.routing import QUEUES_OF

EVERY_S: Final = 10.0
"""How often it should run."""
_LEAST_WORKER_S: Final = 60.0  # worker time that tells something about speed
_SPEEDS: Final = (0.05, 100.0)  # estimated seconds that a worker does in one; beyond these something else is wrong
_LEAST_TIME_LEFT_S: Final = 60.0
Costs = Mapping[tuple[int, int | None], float]
"""Seconds of cost by network and backlog; None: of no backlog."""
_SESSIONS_LOOKED_AT: Final = 5_000  # the newest: far more than may live at once


def count_all(engine: Engine, settings: Settings) -> None:
    """Sum the deltas up, write this minute's progress, say how many workers there should be.

    It may run in several processes at once, and be killed at any time.

    Args:
        engine: of the database.
        settings: which queues are scaled, and how fast things should be done.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    count_once(engine)
    while True:
        with writing(engine) as connection:
            if sum_up(connection) < MAX_SUMMED:
                break
    with reading(engine) as connection:
        counts = read_counts(connection)
        wanted = _wanted(connection, counts, settings)
    with writing(engine) as connection:
        if try_lock(connection, "counting"):
            write_progress(connection, counts)
            _write_scaling(connection, wanted)


# ----------------------------------------------------------------------------------------------------------- scaling


@dataclass(frozen=True, slots=True)
class Demand:
    """What a backlog still asks of the workers of a queue.

    Attributes:
        cost_s: estimated cost of its media pending and claimed.
        time_left_s: until its deadline; None where it has none.
        budget_left_s: worker time that it may still use; None where that is not limited.

    """

    cost_s: float
    time_left_s: float | None = None
    budget_left_s: float | None = None


def desired_workers(demands: Sequence[Demand], *, speed: float, settings: ScalingSettings) -> int:
    """Return how many workers should do all that is asked for.

    So many that everything is done in the target time, and each backlog with a deadline before it; but no time is asked
    for that a backlog may not use any more.

    Args:
        demands: of all backlogs.
        speed: estimated seconds of cost that a worker does in a second.
        settings: target and bounds.

    >>> hour = ScalingSettings(target_drain_s=3600, max_workers=50)
    >>> two_hours = Demand(7200.0)
    >>> [desired_workers([two_hours], speed=speed, settings=hour) for speed in (1.0, 2.0)]
    [2, 1]
    >>> desired_workers([Demand(7200.0, time_left_s=720.0)], speed=1.0, settings=hour)
    10
    >>> desired_workers([Demand(7200.0, budget_left_s=100.0)], speed=1.0, settings=hour)
    1
    >>> desired_workers([], speed=1.0, settings=hour)
    0
    """
    worker_s = [_worker_s(one, speed) for one in demands]
    needed = sum(worker_s) / settings.target_drain_s
    until = 0.0
    due = (
        (one.time_left_s, time_s) for one, time_s in zip(demands, worker_s, strict=True) if one.time_left_s is not None
    )
    for time_left_s, time_s in sorted(due):  # whatever is due earlier goes first
        until += time_s
        needed = max(needed, until / max(time_left_s, _LEAST_TIME_LEFT_S))
    return max(settings.min_workers, min(math.ceil(needed), settings.max_workers))


def _worker_s(demand: Demand, speed: float) -> float:
    worker_s = demand.cost_s / speed
    return worker_s if demand.budget_left_s is None else min(worker_s, max(demand.budget_left_s, 0.0))


@dataclass(frozen=True, slots=True)
class _Backlogs:
    now: datetime
    stopped: frozenset[int]
    begun: Mapping[int | None, datetime]
    limits: Mapping[int, tuple[datetime | None, float | None]]

    def demand(self, run_id: int | None, cost_s: float) -> Demand:
        deadline_at, budget_left_s = self.limits.get(run_id, (None, None)) if run_id is not None else (None, None)
        time_left_s = None if deadline_at is None else (deadline_at - self.now).total_seconds()
        return Demand(cost_s, time_left_s, budget_left_s)


def _wanted(connection: Connection, counts: Counts, settings: Settings) -> dict[str, int]:
    chosen = settings.scaling
    living = living_queues(connection, timeout_s=settings.worker.session_timeout_s)
    annotating = living_sessions(connection, timeout_s=settings.worker.session_timeout_s)
    lanes_of: dict[str, list[str]] = {queue: [] for queue in chosen.queues}
    for lane in LANES:
        for queue in queues_for(QUEUES_OF[lane], scaled=chosen.queues, living=living):
            lanes_of[queue].append(lane)
    backlogs = _read_backlogs(connection)
    has_chunks: dict[str, bool] = {lane: _has_chunks(connection, lane) for lane in LANES}
    wanted = {}
    for queue, lanes in lanes_of.items():
        costs = _costs(counts, lanes, backlogs.stopped, has_chunks)
        living_here = [one for one in annotating if queue in one.queues]
        crew = living_here or last_sessions(connection, queue=queue)
        networks = networks_of(crew) if crew else _newest_network(connection, costs)
        demands = _demands(costs, networks, backlogs)
        speed = _measured_speed(connection, queue, lanes) if demands else None
        wanted[queue] = desired_workers(demands, speed=speed or 1.0, settings=chosen)
        if crew and not living_here and not wanted[queue] and _is_untried(connection, crew, costs, backlogs):
            wanted[queue] = min(1, chosen.max_workers)
    return wanted


def _demands(costs: Costs, networks: frozenset[int] | None, backlogs: _Backlogs) -> list[Demand]:
    """Return what each backlog asks for of some networks; None: of all."""
    asked: dict[int | None, float] = defaultdict(float)
    for (network_id, run_id), cost_s in costs.items():
        if networks is None or network_id in networks:
            asked[run_id] += cost_s
    return [backlogs.demand(run_id, cost_s) for run_id, cost_s in asked.items() if cost_s > 0]


def _newest_network(connection: Connection, costs: Costs) -> frozenset[int]:
    """Return the newest network with work, for a queue that never had a worker; a former one is in nobody's hands."""
    in_use = connection.execute(select(active.c.network_id)).scalar_one_or_none() or 0
    asked = [network_id for (network_id, _), cost_s in costs.items() if cost_s > 0 and network_id >= in_use]
    return frozenset({max(asked)} if asked else ())


def _is_untried(connection: Connection, crew: Sequence[AnnotatingSession], costs: Costs, backlogs: _Backlogs) -> bool:
    """Say whether anything was asked for, or shown, since the last worker of a queue without any began.

    Versions may have been switched meanwhile, and nobody knows before a worker runs. One that does not run what is
    asked for has tried: nothing more is asked for until something new is.
    """
    began = max(one.started_at for one in crew)
    shown = connection.execute(select(active.c.network_id, active.c.switched_at)).one_or_none()
    return any(
        cost_s > 0
        and (
            (run_id in backlogs.begun and backlogs.begun[run_id] > began)
            or (shown is not None and shown.network_id == network_id and shown.switched_at > began)
        )
        for (network_id, run_id), cost_s in costs.items()
    )


def queues_for(preferred: Iterable[str], *, scaled: Sequence[str], living: Sequence[frozenset[str]]) -> list[str]:
    """Return the scaled queues that a lane counts for.

    The better one, so that its workers are started; and the one whose workers do it meanwhile, so that these stay.

    Args:
        preferred: queues that may have the lane, the better one first.
        scaled: queues whose workers are started as needed.
        living: what each living worker consumes.

    >>> queues_for(("cpu", "gpu"), scaled=("gpu", "cpu"), living=[frozenset({"gpu"})])
    ['cpu', 'gpu']
    >>> queues_for(("cpu", "gpu"), scaled=("gpu",), living=[])
    ['gpu']
    """
    may_have = [queue for queue in preferred if queue in scaled]
    consumed = [queue for queue in may_have if any(queue in one for one in living)]
    return list(dict.fromkeys([*may_have[:1], *consumed[:1]]))


def _costs(counts: Counts, lanes: Sequence[str], stopped: frozenset[int], has_chunks: Mapping[str, bool]) -> Costs:
    """Return the seconds of cost that each backlog asks for."""
    costs: dict[tuple[int, int | None], float] = defaultdict(float)
    for row in counts.rows:
        # Nobody queues what is pending of a stopped backlog, nor files of one machine that are to be tried again there.
        is_queued = row.run_id not in stopped if row.run_id is not None else has_chunks[row.lane]
        is_asked_for = row.state == WorkState.CLAIMED or (row.state == WorkState.PENDING and is_queued)
        if row.lane in lanes and is_asked_for:
            costs[row.network_id, row.run_id] += row.cost_ms / 1000
    return costs


def _has_chunks(connection: Connection, lane: str) -> bool:
    # One question for each state: only so the partial indexes answer it. A lane without chunks is a common answer.
    of_lane = select(chunks.c.id).where(chunks.c.lane == lane).limit(1)
    waiting = of_lane.where(chunks.c.state == ChunkState.WAITING)
    published = of_lane.where(chunks.c.state == ChunkState.PUBLISHED)
    return any(connection.execute(one).first() is not None for one in (waiting, published))


def _read_backlogs(connection: Connection) -> _Backlogs:
    unfinished = select(
        runs.c.id,
        runs.c.started_at,
        runs.c.stopped_at,
        runs.c.deadline_at,
        (runs.c.max_worker_s - runs.c.worker_s).label("budget_left_s"),
    ).where(runs.c.finished_at.is_(None))
    rows = connection.execute(unfinished).all()
    return _Backlogs(
        now=connection.execute(select(utc_now())).scalar_one(),
        stopped=frozenset(row.id for row in rows if row.stopped_at is not None),
        begun={row.id: row.started_at for row in rows},
        limits={row.id: (row.deadline_at, row.budget_left_s) for row in rows},
    )


def _measured_speed(connection: Connection, queue: str, lanes: Sequence[str]) -> float | None:
    """Return how many estimated seconds of cost a worker of a queue did in a second; None where too little is known."""
    points = read_points(connection, lanes=lanes)
    spans = [(before, after) for before, after in pairwise(points) if before.left > 0]
    lives = _lives(connection, queue)
    cost_s = sum(after.through_cost_ms - before.through_cost_ms for before, after in spans) / 1000
    worker_s = sum(_overlap_s(span, life) for span in spans for life in lives)
    if worker_s < _LEAST_WORKER_S or cost_s <= 0:
        return None
    return min(max(cost_s / worker_s, _SPEEDS[0]), _SPEEDS[1])


def _lives(connection: Connection, queue: str) -> list[tuple[datetime, datetime]]:
    """Return from when to when each worker of a queue lived that was there lately."""
    sessions = worker_sessions.c
    newest = select(func.max(sessions.id) - _SESSIONS_LOOKED_AT).scalar_subquery()
    found = select(sessions.queues, sessions.started_at, sessions.seen_at).where(sessions.id > newest)
    since = connection.execute(select(utc_now())).scalar_one() - WINDOW
    rows = connection.execute(found.where(sessions.seen_at >= since))
    return [(row.started_at, row.seen_at) for row in rows if queue in (row.queues or (FIRST_QUEUE,))]


def _overlap_s(span: tuple[Point, Point], life: tuple[datetime, datetime]) -> float:
    overlap = min(span[1].at, life[1]) - max(span[0].at, life[0])
    return max(overlap, timedelta()).total_seconds()


def _write_scaling(connection: Connection, wanted: Mapping[str, int]) -> None:
    statement = text(
        f"INSERT INTO scaling (queue, desired_workers, updated_at) VALUES (:queue, :workers, {now_sql(connection)})"  # noqa: S608
        " ON CONFLICT (queue) DO UPDATE"
        " SET desired_workers = excluded.desired_workers, updated_at = excluded.updated_at"
    )
    for queue, workers in sorted(wanted.items()):
        connection.execute(statement, {"queue": queue, "workers": workers})
    gone = scaling.c.queue.not_in(sorted(wanted))
    connection.execute(delete(scaling).where(gone))
