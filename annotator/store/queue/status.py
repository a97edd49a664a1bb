"""How far a database has come, and how the queue is: read from counters and by index, whatever the size.

What has no counter is counted up to a bound and estimated beyond it: ``status`` never reads a big table.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, select, text

from annotator.store.columns import utc_now
from annotator.store.dialect import is_postgres
from annotator.store.queue.bottleneck import Busy, QueueState, Verdict, what_binds
from annotator.store.queue.counts import Counts, read_counts
from annotator.store.queue.depths import LaneDepth, read_depths
from annotator.store.queue.progress import Forecast, forecast, point_of_now, read_points
from annotator.store.queue.sessions import annotates, is_open
from annotator.store.retrainings import Retraining, list_retrainings
from annotator.store.tables import (
    ChunkState,
    WorkState,
    active,
    annotations,
    chunks,
    contents,
    identities,
    labellings,
    outbox,
    runs,
    sources,
    worker_sessions,
)
from annotator.store.upkeep import FollowedUpkeep, JobUpkeep, read_upkeep

MOST_COUNTED: Final = 100_000
"""Rows that are counted one by one; beyond it they are estimated or left out."""
SESSION_TIMEOUT_S: Final = 45.0
_FAILED: Final = (WorkState.FAILED, WorkState.QUARANTINED)
_IN_WORK: Final = (WorkState.PENDING, WorkState.CLAIMED)
_MOST_BACKLOGS: Final = 20
_MOST_SESSIONS: Final = 100
_RETRAININGS: Final = 3


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """A worker session that has not ended.

    Attributes:
        worker: host and process.
        queues: what it consumes.
        device: what its networks run on; None where it loads none.
        in_hand: media claimed and not reported.
        media_done: media reported in this session.
        seen_s: how long ago it said that it lives.
        is_silent: so long ago that it is taken for dead.
        busy: share of time that each stage was busy; None where it has not told yet.
        network_id: which network it runs; None where it does not say.

    """

    worker: str
    queues: tuple[str, ...]
    device: str | None
    in_hand: int
    media_done: int
    seen_s: float
    is_silent: bool
    busy: Mapping[str, float] | None
    network_id: int | None = None


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """The chunks of a lane.

    Attributes:
        depth: those that are published, and ages.
        waiting: chunks that the feeder has not published, up to :data:`MOST_COUNTED`.
        pending: media that nobody has claimed.

    """

    depth: LaneDepth
    waiting: int
    pending: int


@dataclass(frozen=True, slots=True)
class BacklogStatus:
    """A backlog that goes on, or ended within the last day.

    Attributes:
        run_id: its number.
        uri: what was asked for: source and prefix.
        priority: higher goes first.
        by_state: its media by state: pending, claimed, done, failed, quarantined.
        is_listed: all its media are registered.
        deadline_at: when what is pending is no longer wanted.
        stop_reason: why it was stopped; None where it was not.
        finished_at: when nothing was left to be done.
        followed_s: how long ago whoever follows its bucket has last got on; None where nobody is to.
        is_silent: so long ago that nobody seems to follow any more.
        gone_refused: known media that its last listing lacked, more than may be gone: none was marked; else None.

    """

    run_id: int
    uri: str
    priority: int
    by_state: Mapping[str, int]
    is_listed: bool
    deadline_at: datetime | None
    stop_reason: str | None
    finished_at: datetime | None
    followed_s: float | None = None
    is_silent: bool = False
    gone_refused: int | None = None


@dataclass(frozen=True, slots=True)
class CallbackStatus:
    """Call-backs: how many are to be delivered, and how many were given up; both up to :data:`MOST_COUNTED`."""

    waiting: int
    given_up: int


@dataclass(frozen=True, slots=True)
class Status:
    """How far a database has come, for one network.

    Attributes:
        model: the active labelling as users see it; None where nothing was annotated yet.
        media: media that have a fate under the network.
        contents: different contents among those that were read, by whatever network.
        is_estimated: ``contents`` is the planner's estimate: there are more than :data:`MOST_COUNTED`.
        by_state: media by state: pending, claimed, done, failed, quarantined.
        failures: failed and quarantined media by reason.
        damaged: contents of which only a part could be read; None where there are too many contents to look.
        identities: people whom the database knows.
        forecast: rate of the last ten minutes and remaining time.
        verdict: what holds the queue up.
        sessions: open worker sessions, the one seen last first.
        lanes: the queue, by lane.
        backlogs: the newest first.
        callbacks: of backlogs.
        retrainings: the newest first.
        overdue: slow jobs of beat that have not gone well for too long.

    """

    model: str | None
    media: int
    contents: int
    is_estimated: bool
    by_state: Mapping[str, int]
    failures: Mapping[str, int]
    damaged: int | None
    identities: int
    forecast: Forecast
    verdict: Verdict
    sessions: tuple[SessionStatus, ...]
    lanes: tuple[LaneStatus, ...]
    backlogs: tuple[BacklogStatus, ...]
    callbacks: CallbackStatus
    retrainings: tuple[Retraining, ...] = ()
    overdue: tuple[JobUpkeep, ...] = ()

    @property
    def workers(self) -> int:
        """Workers that have said lately that they live."""
        return sum(not session.is_silent for session in self.sessions)


def read_status(
    connection: Connection, *, network_id: int | None = None, session_timeout_s: float = SESSION_TIMEOUT_S
) -> Status:
    """Return how far the database has come.

    Args:
        connection: any.
        network_id: for which network; the active one by default, or the only one where none is active yet.
        session_timeout_s: silence after which a worker counts as lost.

    """
    pointed = select(active.c.network_id, labellings.c.model)
    pointer = connection.execute(
        pointed.join_from(active, labellings, labellings.c.id == active.c.labelling_id)
    ).one_or_none()
    if network_id is None and pointer is not None:
        network_id = pointer.network_id
    every = read_counts(connection)
    known = {row.network_id for row in every.rows}
    if network_id is None and len(known) == 1:
        (network_id,) = known
    counts = Counts(tuple(row for row in every.rows if row.network_id == network_id))
    depths = read_depths(connection, session_timeout_s=session_timeout_s)
    sessions = _read_sessions(connection, session_timeout_s)
    lanes = tuple(_lane(connection, depth, counts) for depth in depths.lanes)
    found, is_estimated = _count_contents(connection)
    upkeep = read_upkeep(connection)
    return Status(
        model=None if pointer is None else pointer.model,
        media=counts.media(),
        contents=found,
        is_estimated=is_estimated,
        by_state=_by_state(counts),
        failures=failures_by_reason(counts),
        damaged=None if is_estimated else _count(connection, _damaged(network_id)),
        identities=_count(connection, select(identities.c.id).where(identities.c.merged_into.is_(None))),
        forecast=_forecast(connection, counts, network_id),
        verdict=_verdict(connection, counts, _annotating(sessions, network_id), lanes),
        sessions=sessions,
        lanes=lanes,
        backlogs=_read_backlogs(connection, every, upkeep.followed),
        callbacks=CallbackStatus(
            waiting=depths.callbacks,
            given_up=_count(connection, select(outbox.c.id).where(outbox.c.given_up_at.is_not(None))),
        ),
        retrainings=tuple(list_retrainings(connection, limit=_RETRAININGS)),
        overdue=tuple(job for job in upkeep.jobs if job.is_overdue),
    )


def _count(connection: Connection, wanted: Select[Any]) -> int:
    """Count rows, up to the bound."""
    some = wanted.limit(MOST_COUNTED).subquery()
    return int(connection.execute(select(func.count()).select_from(some)).scalar_one())


def _count_contents(connection: Connection) -> tuple[int, bool]:
    """Return the number of contents, and whether it is an estimate."""
    counted = _count(connection, select(contents.c.id))
    if counted < MOST_COUNTED:
        return counted, False
    if is_postgres(connection):
        estimate = connection.execute(text("SELECT reltuples FROM pg_class WHERE oid = 'contents'::regclass"))
        return max(counted, round(estimate.scalar_one())), True
    return int(connection.execute(select(func.max(contents.c.id))).scalar_one()), True


def _damaged(network_id: int | None) -> Select[Any]:
    of_network = annotations.c.network_id == network_id
    return select(annotations.c.content_id).where(of_network, annotations.c.damage.is_not(None))


def _by_state(counts: Counts) -> dict[str, int]:
    return {state.name.lower(): counts.media(state) for state in WorkState}


def failures_by_reason(counts: Counts) -> dict[str, int]:
    """Return failed and quarantined media by reason, most first."""
    by_reason: Counter[str] = Counter()
    for row in counts.rows:
        if row.state in _FAILED:
            by_reason[row.reason or "unknown"] += row.media
    return dict(sorted(by_reason.items(), key=lambda item: (-item[1], item[0])))


def _forecast(connection: Connection, counts: Counts, network_id: int | None) -> Forecast:
    if network_id is None:
        return Forecast()
    points = [*read_points(connection, network_id=network_id), point_of_now(connection, counts)]
    return forecast(points, left_cost_ms=counts.cost_ms(*_IN_WORK))


def _verdict(
    connection: Connection,
    counts: Counts,
    annotating: tuple[list[SessionStatus], int],
    lanes: tuple[LaneStatus, ...],
) -> Verdict:
    living, others = annotating
    queue: QueueState = "empty"
    if counts.media(WorkState.CLAIMED) or any(lane.depth.published for lane in lanes):
        queue = "due"
    elif any(lane.waiting for lane in lanes):
        is_due = (chunks.c.state == ChunkState.WAITING) & _is_null_or_past(chunks.c.not_before)
        queue = "due" if connection.execute(select(chunks.c.id).where(is_due).limit(1)).first() else "later"
    left = counts.media(*_IN_WORK)
    return what_binds(Busy.mean(one.busy for one in living), left=left, workers=len(living), others=others, queue=queue)


def _annotating(sessions: Sequence[SessionStatus], network_id: int | None) -> tuple[list[SessionStatus], int]:
    """Return the living workers that annotate for a network, and how many do so for others."""
    living = [one for one in sessions if not one.is_silent and annotates(one.queues)]
    ours = [one for one in living if network_id is None or one.network_id in {network_id, None}]
    return ours, len(living) - len(ours)


def _is_null_or_past(column: ColumnElement[Any]) -> ColumnElement[bool]:
    return column.is_(None) | (column <= utc_now())


def _read_sessions(connection: Connection, timeout_s: float) -> tuple[SessionStatus, ...]:
    now = connection.execute(select(utc_now())).scalar_one()
    opened = select(worker_sessions).where(is_open())
    newest = opened.order_by(worker_sessions.c.seen_at.desc(), worker_sessions.c.id).limit(_MOST_SESSIONS)
    ages = ((row, max((now - row.seen_at).total_seconds(), 0.0)) for row in connection.execute(newest))
    return tuple(
        SessionStatus(
            worker=row.worker,
            queues=tuple(row.queues or ()),
            device=row.device,
            in_hand=row.in_hand,
            media_done=row.media_done,
            seen_s=age_s,
            is_silent=age_s >= timeout_s,
            busy=row.busy,
            network_id=row.network_id,
        )
        for row, age_s in ages
    )


def _lane(connection: Connection, depth: LaneDepth, counts: Counts) -> LaneStatus:
    waiting = select(chunks.c.id).where(chunks.c.state == ChunkState.WAITING, chunks.c.lane == depth.lane)
    return LaneStatus(depth, _count(connection, waiting), counts.media(WorkState.PENDING, lane=depth.lane))


def _read_backlogs(
    connection: Connection, counts: Counts, followed: Sequence[FollowedUpkeep]
) -> tuple[BacklogStatus, ...]:
    by_run = {one.run_id: one for one in followed}
    now = connection.execute(select(utc_now())).scalar_one()
    goes_on = runs.c.finished_at.is_(None) | (runs.c.finished_at >= now - timedelta(days=1))
    newest = (
        select(runs, (sources.c.uri + runs.c.prefix).label("uri"))
        .join_from(runs, sources, sources.c.id == runs.c.source_id)
        .where(goes_on)
        .order_by(runs.c.id.desc())
        .limit(_MOST_BACKLOGS)
    )
    return tuple(
        BacklogStatus(
            run_id=row.id,
            uri=row.uri,
            priority=row.priority,
            by_state=_by_state(Counts(tuple(one for one in counts.rows if one.run_id == row.id))),
            is_listed=row.listed_at is not None,
            deadline_at=row.deadline_at,
            stop_reason=None if row.stopped_at is None else row.stop_reason or "stopped",
            finished_at=row.finished_at,
            followed_s=by_run[row.id].age_s if row.id in by_run else None,
            is_silent=row.id in by_run and by_run[row.id].is_silent,
            gone_refused=row.gone_refused,
        )
        for row in connection.execute(newest)
    )
