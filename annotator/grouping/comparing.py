"""Which groups points are similar enough to: all groups, thousands of points against hundreds of thousands.

Where the compiled part is quicker than float32, most groups are compared in whole numbers of 16 bits, laid out as they
were some time ago; those that have changed since then, and new ones, in float32. On the grid both are exact.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotator.grouping.points import I16
from annotator.grouping.table import GroupTable
from annotator.native import GreatestProducts
from annotator.runtime.blas import side_by_side
from annotator.types import F32, I64

_ROWS_AT_ONCE: Final = 4096  # with 512 points a product of 8 MiB, which is looked at before it leaves the cache
_SIDE_BY_SIDE: Final = 4

_MEMBERS: Final = 32
"""Rows of which the greatest product is found: of fewer, more would have to be looked at."""

_TILES_AT_ONCE: Final = 32
_LEAST_LAID_OUT: Final = 1 << 13  # rows from which on it pays
_MOST_CHANGED: Final = 0.125
"""Share of rows that may be new or have changed until all are laid out anew."""

Candidates = list[tuple[float, int]]
"""By how much thresholds are exceeded, in units of ``1 / ONE``, and the rows."""

_Reached = tuple[I64, I64, F32]  # rows, points and by how much, (n,) each


class Comparing:
    """Compares points with the groups of a table."""

    def __init__(self, table: GroupTable) -> None:
        """Take the table; it may change, if it is said what has."""
        self._table = table
        self._laid_out: GreatestProducts | None = None
        self._size = 0  # rows that are laid out
        self._changed: set[int] = set()

    def note(self, row: int) -> None:
        """Note that a row has changed."""
        self._changed.add(row)

    def reached(self, vectors: I16, probes: F32) -> list[Candidates]:
        """Return for each point the groups whose threshold it reaches; some may come twice.

        What is laid out only says where to look: the scores are of the rows as they are. Thresholds of rows that have
        not changed only rise, so that none is missed.

        Args:
            vectors: i16 (t, E), the points.
            probes: f32 (t, E + 1), the same, and ones.

        """
        self._lay_out()
        candidates: list[Candidates] = [[] for _ in probes]
        of_laid_out = () if self._laid_out is None else self._by_whole_numbers(self._laid_out, vectors, probes)
        for rows, points, scores in chain(of_laid_out, self._by_float32(probes)):
            for row, point, score in zip(rows.tolist(), points.tolist(), scores.tolist(), strict=True):
                candidates[point].append((score, row))
        return candidates

    def _lay_out(self) -> None:
        """Lay out all rows anew, where too many have changed."""
        size = self._table.size // _MEMBERS * _MEMBERS
        changed = len(self._changed) + self._table.size - self._size
        if size < _LEAST_LAID_OUT or changed <= _MOST_CHANGED * size or not GreatestProducts.is_quick():
            return
        columns = self._table.columns(0, size)
        columns = columns.reshape(-1, _MEMBERS, columns.shape[1])
        vectors = columns[:, :, :-1].astype(np.int16)
        self._laid_out = GreatestProducts(vectors, columns[:, :, -1].astype(np.int32), unit=1.0)
        self._size = size
        self._changed.clear()

    def _by_whole_numbers(self, laid_out: GreatestProducts, vectors: I16, probes: F32) -> Iterator[_Reached]:
        greatest = np.empty((self._size // _MEMBERS, len(probes)), np.float32)

        def write(tiles: slice) -> None:
            laid_out.into(greatest, vectors, tiles=tiles)

        parts = [slice(at, at + _TILES_AT_ONCE) for at in range(0, len(laid_out), _TILES_AT_ONCE)]
        for _ in side_by_side(write, parts, limit=_SIDE_BY_SIDE):
            pass
        groups, points = np.nonzero(greatest >= 0.0)
        for group, point in zip(groups.tolist(), points.tolist(), strict=True):
            start = group * _MEMBERS
            scores = self._table.columns(start, start + _MEMBERS) @ probes[point]
            (rows,) = (scores >= 0.0).nonzero()
            yield start + rows, np.full(len(rows), point), scores[rows]

    def _by_float32(self, probes: F32) -> Iterator[_Reached]:
        changed = np.array(sorted(row for row in self._changed if row < self._size), np.int64)
        parts = [changed[at : at + _ROWS_AT_ONCE] for at in range(0, len(changed), _ROWS_AT_ONCE)]
        stops = range(self._size + _ROWS_AT_ONCE, self._table.size + _ROWS_AT_ONCE, _ROWS_AT_ONCE)
        parts += [np.arange(stop - _ROWS_AT_ONCE, min(stop, self._table.size)) for stop in stops]
        turned = np.ascontiguousarray(probes.T)

        def compare(rows: NDArray[np.int64]) -> _Reached:
            scores = self._table.columns_of(rows) @ turned
            places = np.flatnonzero(scores >= 0.0)
            among, points = np.divmod(places, len(probes))
            return rows[among], points, scores.ravel()[places]

        yield from side_by_side(compare, parts, limit=_SIDE_BY_SIDE)
