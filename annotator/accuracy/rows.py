"""Lines of the tables of a report: what is told of how many, and values with their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from annotator.accuracy.intervals import F64, Interval, bootstrap, interval_of, share
from annotator.accuracy.measures import Flags

_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table.

    Attributes:
        what: what is told of.
        count: of how many.
        values: by name; None where there is nothing to measure.

    """

    what: str
    count: int
    values: Mapping[str, Interval | None]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        values = {name: one.to_json() if one else None for name, one in self.values.items()}
        return {"what": self.what, "count": self.count, "values": values}


def share_of(hits: Sequence[bool] | Flags, units: Sequence[str]) -> Interval | None:
    """Return which share of something is so; None without any.

    Args:
        hits: (N,), whether each is.
        units: (N,), names of what may depend on each other, as faces of one clip do: they are drawn together.

    """
    if not len(units):
        return None
    flags = np.array(hits, np.bool_)
    value, replicates = bootstrap(units, lambda counts: np.array([share(flags, counts)]))
    return interval_of(float(value[0]), replicates[:, 0])


def mean_of(values: F64, units: Sequence[str]) -> Interval | None:
    """Return the mean of values (N,); units as for :func:`share_of`."""
    if not len(units):
        return None
    value, replicates = bootstrap(units, lambda counts: np.array([(values * counts).sum() / max(counts.sum(), _TINY)]))
    return interval_of(float(value[0]), replicates[:, 0])
