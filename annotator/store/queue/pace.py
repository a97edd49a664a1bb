"""How fast it went over time, for a picture: the points of a window in stretches of equal length."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from annotator.store.queue.progress import Point


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a window.

    Attributes:
        begin: when it begins.
        end: when it ends.
        media_per_s: media that were through, done or failed, in a second; None where nothing was to be done.

    """

    begin: datetime
    end: datetime
    media_per_s: float | None


def pace(points: Sequence[Point], *, end: datetime, window: timedelta, stretches: int) -> tuple[Stretch, ...]:
    """Cut a window into stretches, each with its rate; what went on between two points is spread evenly.

    Args:
        points: in order of time.
        end: of the window.
        window: how long it is.
        stretches: into how many parts it is cut.

    """
    begin, step = end - window, window / stretches
    media, busy_s = [0.0] * stretches, [0.0] * stretches
    for before, after in itertools.pairwise(points):
        span = after.at - before.at
        # Where something was queued anew it is less than before, and says nothing; with nothing left nobody is slow.
        if before.left <= 0 or after.through < before.through or span <= timedelta(0):
            continue
        first = max(int((before.at - begin) / step), 0)
        last = min(int((after.at - begin) / step), stretches - 1)
        for place in range(first, last + 1):
            overlap = min(after.at, begin + (place + 1) * step) - max(before.at, begin + place * step)
            if overlap > timedelta(0):
                media[place] += (after.through - before.through) * (overlap / span)
                busy_s[place] += overlap.total_seconds()
    rates = [done / time_s if time_s else None for done, time_s in zip(media, busy_s, strict=True)]
    return tuple(Stretch(begin + place * step, begin + (place + 1) * step, rate) for place, rate in enumerate(rates))


def mean_rate(points: Sequence[Point]) -> float | None:
    """Return media in a second over the time in which something was to be done; None where there was none."""
    if len(points) < 2:
        return None
    begin, end = points[0].at, points[-1].at
    if end <= begin:
        return None
    return pace(points, end=end, window=end - begin, stretches=1)[0].media_per_s
