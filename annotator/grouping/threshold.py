"""From which similarity on a track belongs to a group, and two groups are one."""

from bisect import bisect_left
from functools import cache, lru_cache
from itertools import accumulate, repeat
from math import sqrt
from operator import mul
from statistics import NormalDist
from typing import Final

from annotator.grouping.points import ONE

STRANGERS_SPREAD: Final = 0.09
"""Standard deviation of the similarity of two people."""

WRONG_GROUPS: Final = 0.003
"""Groups of somebody else that a track may reach, of all that there are, were similarities normally distributed. Their
upper tail is longer: people have look-alikes. Both numbers were chosen on people of the gallery who are not those that
``benchmarks/strangers.py`` reports on."""

LEAST_GROUPS: Final = 1000
"""The threshold of fewer groups is theirs: a group that begins wrong stays wrong, and people of one archive are more
alike than photographs of anybody, by light and by camera."""

MOST_SUMMED: Final = 1 << 15
"""Members whose points are summed up. Those that come later do not move a centre any more, and sums stay exact."""

_STEP: Final = 1.1  # how much an archive grows until the threshold is raised
_DIGITS: Final = 4  # of the threshold: a last bit of a logarithm does not matter
_MOST_STEPS: Final = 256  # tens of millions of millions of groups
_SIZES: Final = tuple(accumulate(repeat(_STEP, _MOST_STEPS), mul, initial=float(LEAST_GROUPS)))
_KEPT: Final = 1 << 16


def step_of(groups: int) -> int:
    """Return the step that an archive of so many groups is at; the threshold rises with it.

    >>> step_of(0), step_of(1_500), step_of(1_000_000)
    (0, 5, 73)
    """
    return bisect_left(_SIZES, groups)


@cache
def threshold_at(step: int) -> float:
    """Return the similarity from which two single tracks are one person's.

    The more groups there are, the more alike the likest of them are, whoever the track shows.

    >>> [threshold_at(step_of(groups)) for groups in (10, 10_000, 100_000, 1_000_000)]
    [0.4074, 0.4506, 0.4887, 0.5243]
    """
    reached = WRONG_GROUPS / (LEAST_GROUPS * _STEP**step)
    return round(-STRANGERS_SPREAD * NormalDist().inv_cdf(reached), _DIGITS)


@lru_cache(maxsize=_KEPT)
def needed(members: int, others: int, step: int) -> int:
    """Return the similarity that two groups need to be one, in units of ``1 / ONE``.

    The centre of many tracks has less noise than one track: it is more similar to whomever it shows. Were the
    similarity of two tracks of a person one half, that of centres would grow as the square of what is taken here; that
    of different people grows too, so the threshold goes half the way.

    Args:
        members: tracks of the one, at least 1.
        others: tracks of the other; 1 for a track that looks for its group.
        step: as of :func:`step_of`.

    """
    gain = (2 * members / (members + 1)) * (2 * others / (others + 1))
    return round(ONE * threshold_at(step) * sqrt(sqrt(gain)))  # unlike a power, the same on any machine
