"""Pair rows with columns at the least total cost.

The Hungarian method with potentials, after Jonker and Volgenant (1987), row by row, as in common textbooks. SciPy has
the same, but importing it takes a third of the time that the program needs to say the first name; the tables here have
a few faces a side.
"""

import numpy as np
from numpy.typing import NDArray

from annotator.types import I64


def least_cost_pairs(cost: NDArray[np.floating]) -> tuple[I64, I64]:
    """Choose pairs so that as many as possible are made and the sum of their costs is least.

    Args:
        cost: f32 or f64 (R, C), finite.

    Returns:
        i64 (min(R, C),) rows, ascending, and i64 (min(R, C),) their columns.

    Raises:
        ValueError: a cost is not finite.

    """
    exact = np.asarray(cost, np.float64)
    if not np.isfinite(exact).all():
        raise ValueError("costs must be finite")
    if exact.shape[0] > exact.shape[1]:
        columns, rows = least_cost_pairs(exact.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    if exact.shape[0] == 1:  # as for most frames
        return np.zeros(1, np.int64), np.argmin(exact, axis=1)
    taken_by = np.full(exact.shape[1] + 1, -1, np.int64)  # the last column is where a search starts
    row_level = np.zeros(exact.shape[0])
    column_level = np.zeros(exact.shape[1] + 1)
    for row in range(exact.shape[0]):
        _give_a_column(row, exact, taken_by=taken_by, row_level=row_level, column_level=column_level)
    columns = np.flatnonzero(taken_by[:-1] >= 0)
    order = np.argsort(taken_by[columns])
    return np.arange(len(columns), dtype=np.int64), columns[order].astype(np.int64)


def _give_a_column(
    row: int,
    cost: NDArray[np.float64],
    *,
    taken_by: I64,
    row_level: NDArray[np.float64],
    column_level: NDArray[np.float64],
) -> None:
    """Find the cheapest way to a free column, moving rows that stand in it; changes the arrays in place."""
    start = cost.shape[1]
    taken_by[start] = row
    slack = np.full(start, np.inf)
    way = np.full(start, start, np.int64)
    seen = np.zeros(start + 1, bool)
    column = start
    while taken_by[column] >= 0:
        seen[column] = True
        here = taken_by[column]
        reduced = cost[here] - row_level[here] - column_level[:-1]
        better = ~seen[:-1] & (reduced < slack)
        slack[better] = reduced[better]
        way[better] = column
        following = int(np.argmin(np.where(seen[:-1], np.inf, slack)))
        step = slack[following]
        row_level[taken_by[seen]] += step
        column_level[seen] -= step
        slack[~seen[:-1]] -= step
        column = following
    while column != start:
        before = int(way[column])
        taken_by[column] = taken_by[before]
        column = before
    taken_by[start] = -1
