"""How the counts went on, minute by minute, and what follows: the rate, and how long the rest will take.

Beat writes a row for each network, lane and minute while anything is to be done. Rate and remaining time are reckoned
in estimated cost: a minute with one film is no slower than one with a hundred GIFs.
"""

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from annotator.store.columns import utc_now
from annotator.store.queue.counts import Counts
from annotator.store.queue.lanes import LANES
from annotator.store.tables import WorkState, progress

KEPT: Final = timedelta(days=14)
WINDOW: Final = timedelta(minutes=10)
_THROUGH: Final = (WorkState.DONE, WorkState.FAILED, WorkState.QUARANTINED)
_IN_WORK: Final = (WorkState.PENDING, WorkState.CLAIMED)
_LEAST_MINUTES: Final = 3  # fewer say nothing about how much they differ
_LEAST_S: Final = 20.0  # a shorter time says nothing about a rate
# Quantiles of Student's t for an interval that holds in 95 of 100 cases, by degrees of freedom; the last one for more.
_T95: Final = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.2)


@dataclass(frozen=True, slots=True)
class Point:
    """The counts at a time, summed over some networks and lanes.

    Attributes:
        at: when.
        left: media pending or claimed.
        through: media done or failed.
        through_cost_ms: what these were estimated to cost.

    """

    at: datetime
    left: int
    through: int
    through_cost_ms: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """How fast it goes, and when it will be done.

    Attributes:
        media_per_s: of the last minutes; None where that is not known yet.
        remaining_s: until nothing is left, at this rate; None where that is not known, or nothing moves.
        least_s: if the rate is at the upper end of what the minutes allow; None where they are too few.
        most_s: if it is at the lower end; None where they are too few, or no end can be named.

    """

    media_per_s: float | None = None
    remaining_s: float | None = None
    least_s: float | None = None
    most_s: float | None = None


def forecast(points: Sequence[Point], *, left_cost_ms: int) -> Forecast:
    """Say how fast it goes, from the minutes in which there was something to do.

    The interval of the remaining time holds in 95 of 100 cases if the minutes to come differ as those gone by; it knows
    nothing of workers that come and go, nor of how well costs are estimated.

    Args:
        points: the last minutes in order of time, now included.
        left_cost_ms: estimated cost of what is pending or claimed.

    """
    steps = [
        (
            (after.at - before.at).total_seconds(),
            after.through - before.through,
            after.through_cost_ms - before.through_cost_ms,
        )
        for before, after in itertools.pairwise(points)
        if before.left > 0 and after.through >= before.through and after.through_cost_ms >= before.through_cost_ms
    ]  # what is less than before was queued anew: such a minute says nothing
    time_s = sum(step_s for step_s, _, _ in steps)
    if time_s < _LEAST_S:
        return Forecast()
    media_per_s = sum(media for _, media, _ in steps) / time_s
    speed = sum(cost for _, _, cost in steps) / time_s  # of estimated cost in milliseconds a second
    if speed <= 0:
        return Forecast(media_per_s)
    remaining_s = left_cost_ms / speed
    whole = [cost / step_s for step_s, _, cost in steps if step_s >= _LEAST_S]
    if len(whole) < _LEAST_MINUTES:
        return Forecast(media_per_s, remaining_s)
    quantile = _T95[min(len(whole) - 2, len(_T95) - 1)]
    half = quantile * statistics.stdev(whole) / math.sqrt(len(whole))
    most_s = left_cost_ms / (speed - half) if speed > half else None
    return Forecast(media_per_s, remaining_s, left_cost_ms / (speed + half), most_s)


def write_progress(connection: Connection, counts: Counts) -> bool:
    """Write the rows of this minute, unless they are there.

    Args:
        connection: in a writing transaction.
        counts: of now, of all networks.

    Returns:
        Whether rows were written.

    """
    now = connection.execute(select(utc_now())).scalar_one()
    minute = now.replace(second=0, microsecond=0)
    # What was written before the clock was put back is of the future, and none of these minutes.
    lately = progress.c.at.between(minute - timedelta(minutes=3), now)
    recent = connection.execute(select(progress).where(lately)).all()
    if any(row.at >= minute for row in recent):
        return False
    # The row after the last one with something to do says that it is done; then there is silence.
    newest = max((row.at for row in recent), default=None)
    if counts.media(*_IN_WORK) == 0 and not any(row.pending + row.claimed for row in recent if row.at == newest):
        return False
    keys = [(network_id, lane) for network_id in sorted({row.network_id for row in counts.rows}) for lane in LANES]
    rows = [
        {"network_id": network_id, "lane": lane, "at": now, **_row(counts, network_id, lane)}
        for network_id, lane in keys
    ]
    if rows:
        connection.execute(insert(progress), rows)
        connection.execute(delete(progress).where(progress.c.at < now - KEPT))
    return bool(rows)


def _row(counts: Counts, network_id: int, lane: str) -> dict[str, int]:
    of_lane = {"network_id": network_id, "lane": lane}
    return {
        "pending": counts.media(WorkState.PENDING, **of_lane),
        "claimed": counts.media(WorkState.CLAIMED, **of_lane),
        "done": counts.media(WorkState.DONE, **of_lane),
        "failed": counts.media(WorkState.FAILED, WorkState.QUARANTINED, **of_lane),
        "pending_cost_ms": counts.cost_ms(WorkState.PENDING, **of_lane),
        "done_cost_ms": counts.cost_ms(*_THROUGH, **of_lane),
    }


def read_points(
    connection: Connection,
    *,
    network_id: int | None = None,
    lanes: Sequence[str] = LANES,
    window: timedelta = WINDOW,
    every: int = 1,
) -> list[Point]:
    """Return the points of the last minutes, in order of time, each summed over the lanes and networks.

    Args:
        connection: any.
        network_id: of one network; all by default.
        lanes: of these lanes.
        window: how far to look back.
        every: for a picture of a long window: only each so many-th point, the newest, the oldest, and those with
            nothing left.

    """
    now = connection.execute(select(utc_now())).scalar_one()
    summed = select(
        progress.c.at,
        func.sum(progress.c.pending + progress.c.claimed).label("left"),
        func.sum(progress.c.done + progress.c.failed).label("through"),
        func.sum(progress.c.done_cost_ms).label("cost_ms"),
    ).where(progress.c.at.between(now - window, now), progress.c.lane.in_(lanes))
    if network_id is not None:
        summed = summed.where(progress.c.network_id == network_id)
    summed = summed.group_by(progress.c.at)
    if every > 1:
        place = (func.row_number().over(order_by=progress.c.at.desc()) - 1).label("place")
        placed = summed.add_columns(place, func.count().over().label("points")).subquery()
        kept = (placed.c.place % every == 0) | (placed.c.place == placed.c.points - 1) | (placed.c.left == 0)
        found = connection.execute(select(placed).where(kept).order_by(placed.c.at))
    else:
        found = connection.execute(summed.order_by(progress.c.at))
    return [Point(row.at, int(row.left), int(row.through), int(row.cost_ms)) for row in found]


def point_of_now(connection: Connection, counts: Counts) -> Point:
    """Return the counts as a point."""
    now = connection.execute(select(utc_now())).scalar_one()
    return Point(now, counts.media(*_IN_WORK), counts.media(*_THROUGH), counts.cost_ms(*_THROUGH))
