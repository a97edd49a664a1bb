"""The groups that there are, as arrays: the sum of each one's points, and where that points to."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.grouping.points import I16, centre_of
from annotator.grouping.threshold import MOST_SUMMED, needed
from annotator.types import F32, I64

I32 = NDArray[np.int32]

_FIRST_ROWS: Final = 1024


class StoredGroup(NamedTuple):
    """A group as it is kept between runs.

    Attributes:
        number: what it is called.
        tracks: how many tracks it has.
        total: i32 (E,), the sum of their points, or of as many as are summed up.
        is_kept: whether a person has decided what it is: it never joins another one that is kept.

    """

    number: int
    tracks: int
    total: I32
    is_kept: bool


class GroupTable:
    """Rows of groups. A row is a group's as long as the table lives, its number for ever.

    Attributes:
        size: rows that are used.
        founded: groups that were ever founded, those that have joined others included.

    """

    def __init__(self, dimensions: int, *, founded: int = 0, next_number: int = 1) -> None:
        """Make an empty one.

        Args:
            dimensions: of the points, E.
            founded: groups that were ever founded.
            next_number: what the next group is called.

        """
        self.size = 0
        self.founded = founded
        self.next_number = next_number
        self._columns = np.zeros((_FIRST_ROWS, dimensions + 1), np.float32)
        self._totals = np.zeros((_FIRST_ROWS, dimensions), np.int32)
        self._tracks: list[int] = []
        self._numbers: list[int] = []
        self._is_kept: list[bool] = []
        self._into: dict[int, int] = {}

    def restore(self, groups: Sequence[StoredGroup], *, step: int) -> range:
        """Take in groups that were there before; return their rows."""
        rows = range(self.size, self.size + len(groups))
        for one in groups:
            self._new_row(one.number, tracks=one.tracks, is_kept=one.is_kept)
        if groups:
            mine = slice(rows.start, rows.stop)
            self._totals[mine] = [one.total for one in groups]
            self._columns[mine, :-1] = centre_of(self._totals[mine])
            self._columns[mine, -1] = self._least(mine, step)
        return rows

    def found(self, point: I16, *, step: int) -> int:
        """Make a group of one track; return its row."""
        row = self._new_row(self.next_number, tracks=1, is_kept=False)
        self.next_number += 1
        self.founded += 1
        self._totals[row] = point
        self._move(row, step)
        return row

    def join(self, row: int, point: I16, *, step: int) -> None:
        """Add a track to a group."""
        if self._tracks[row] < MOST_SUMMED:
            self._totals[row] += point
        self._tracks[row] += 1
        self._move(row, step)

    def unite(self, row: int, other: int, *, step: int) -> tuple[int, int]:
        """Make two groups one: the kept one, else the older one, remains. Return its row, and that of the other."""
        first, second = sorted((row, other), key=lambda one: (not self._is_kept[one], self._numbers[one]))
        if self._tracks[first] + self._tracks[second] <= MOST_SUMMED:
            self._totals[first] += self._totals[second]
        self._tracks[first] += self._tracks[second]
        self._move(first, step)
        self._into[second] = first
        self._columns[second, :-1] = 0.0  # nothing is similar to it any more
        return first, second

    def may_unite(self, row: int, other: int, *, step: int) -> bool:
        """Say whether two groups are alike enough, and not both kept by a person."""
        if row == other or (self._is_kept[row] and self._is_kept[other]):
            return False
        similarity = self._columns[row, :-1] @ self._columns[other, :-1]
        return bool(similarity >= needed(self._summed(row), self._summed(other), step))

    def raise_thresholds(self, step: int) -> None:
        """Write the thresholds of a step into all rows."""
        rows = slice(0, self.size)
        self._columns[rows, -1] = self._least(rows, step)

    def columns(self, start: int, stop: int) -> F32:
        """Return f32 (stop - start, E + 1): centres, and less their threshold. Whole numbers."""
        return self._columns[start:stop]

    def columns_of(self, rows: I64) -> F32:
        """Return the same of some rows i64 (n,)."""
        return self._columns[rows]

    def row_now(self, row: int) -> int:
        """Return the row of the group that a row's group has become."""
        while row in self._into:
            row = self._into[row]
        return row

    def number(self, row: int) -> int:
        """Return what a row's group is called."""
        return self._numbers[row]

    def stored(self, row: int) -> StoredGroup:
        """Return a row as it is kept between runs."""
        total = self._totals[row].copy()
        return StoredGroup(self._numbers[row], self._tracks[row], total, self._is_kept[row])

    def _summed(self, row: int) -> int:
        return min(self._tracks[row], MOST_SUMMED)

    def _least(self, rows: slice, step: int) -> F32:
        """Return the last column of some rows, f32 (n,): less what a track must be similar to them."""
        summed, which = np.unique(np.minimum(self._tracks[rows], MOST_SUMMED), return_inverse=True)
        return np.array([-needed(one, 1, step) for one in summed.tolist()], np.float32)[which]

    def _move(self, row: int, step: int) -> None:
        self._columns[row, :-1] = centre_of(self._totals[row])
        self._columns[row, -1] = -needed(self._summed(row), 1, step)

    def _new_row(self, number: int, *, tracks: int, is_kept: bool) -> int:
        if self.size == len(self._columns):
            self._columns = np.concatenate([self._columns, np.zeros_like(self._columns)])
            self._totals = np.concatenate([self._totals, np.zeros_like(self._totals)])
        self._tracks.append(tracks)
        self._numbers.append(number)
        self._is_kept.append(is_kept)
        self.size += 1
        return self.size - 1
