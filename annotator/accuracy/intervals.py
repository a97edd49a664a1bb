"""Intervals of 95 %: of a share (Wilson), and by drawing people or families of photographs again (bootstrap)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb, sqrt
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

REPLICATES: Final = 1000
"""Draws of a bootstrap; the ends of an interval of 95 % then rest on 25 draws each."""

MIN_PEOPLE: Final = 20
"""Of so many people, people are drawn; of fewer, families: the interval then holds for these people only."""

_SEED: Final = 20
_Z: Final = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""

Unit = Literal["people", "families"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with its interval of 95 %.

    Attributes:
        value: as measured.
        low: lower end.
        high: upper end.

    """

    value: float
    low: float
    high: float

    def to_json(self) -> list[float]:
        """Return it as JSON, rounded."""
        return [round(self.value, 5), round(self.low, 5), round(self.high, 5)]


def wilson(count: int, total: int) -> Interval | None:
    """Return a share with its interval; None of nothing.

    Source: E. B. Wilson, «Probable inference, the law of succession, and statistical inference», 1927.

    >>> wilson(9, 10).to_json()
    [0.9, 0.59585, 0.98212]
    """
    if total == 0:
        return None
    share, square = count / total, _Z * _Z
    centre = (share + square / (2 * total)) / (1 + square / total)
    half = _Z * sqrt(share * (1 - share) / total + square / (4 * total * total)) / (1 + square / total)
    low = max(0.0, centre - half) if count else 0.0
    return Interval(share, low, min(1.0, centre + half) if count < total else 1.0)


def unit_kind(people: Sequence[str]) -> Unit:
    """Return what is drawn: people, where there are enough of them."""
    return "people" if len(set(people)) >= MIN_PEOPLE else "families"


def bootstrap(units: Sequence[str], measure: Callable[[F64], F64]) -> tuple[F64, F64]:
    """Measure, and measure again with units drawn anew.

    Args:
        units: of each sample; samples of one unit are drawn together.
        measure: takes how often each sample counts, f64 (N,), and returns f64 (M,); nan where it cannot be measured.

    Returns:
        f64 (M,), with every sample counted once; and f64 (REPLICATES, M).

    """
    names, unit_of = np.unique(np.asarray(units), return_inverse=True)
    random = np.random.default_rng(_SEED)
    value = measure(np.ones(len(units)))
    replicates = np.full((REPLICATES, len(value)), np.nan)
    for row in replicates:
        drawn = np.bincount(random.integers(0, len(names), len(names)), minlength=len(names))
        row[:] = measure(drawn[unit_of].astype(np.float64))
    return value, replicates


def interval_of(value: float, replicates: F64) -> Interval | None:
    """Return a value with the range of the middle 95 % of its replicates; None where it could not be measured."""
    drawn = replicates[np.isfinite(replicates)]
    if not np.isfinite(value) or not len(drawn):
        return None
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Interval(float(value), float(min(low, value)), float(max(high, value)))


def mcnemar(gained: int, lost: int) -> float:
    """Return the exact two-sided probability of so uneven a change, were gains and losses equally likely.

    Source: Q. McNemar, «Note on the sampling error of the difference between correlated proportions», 1947.

    >>> mcnemar(0, 5), mcnemar(3, 3)
    (0.0625, 1.0)
    """
    total = gained + lost
    tail = sum(comb(total, count) for count in range(min(gained, lost) + 1))
    return min(1.0, float(2 * tail / 2**total))


def share(hits: NDArray[np.bool_], weights: F64) -> float:
    """Return the weighted share of hits; nan of nothing."""
    total = float(weights.sum())
    return float((hits * weights).sum()) / total if total > 0 else float("nan")
