"""Which columns of a gallery are worth an exact score: rough scores of all of them, with a bound of their error.

A rough score is the similarity of a probe less half the level of a column, in float32 and by a matrix product. Nobody
ever sees one: it only says whom an exact score has to be computed for. Most are not even kept: of each group of columns
only the greatest one is, so that what is kept stays in a processor's cache. Where many probes are compared with a large
gallery, most of the rough scores are computed in fewer bits, if the processor is quicker with them.
"""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from annotator.recognition.calibration import F64
from annotator.recognition.coarse import CoarseScores, Doubt, coarse_scores
from annotator.types import F32, I64

_log: Final = logging.getLogger(__name__)

_BLOCK_COLUMNS: Final = 4096
"""Columns of one product: with 256 probes 4 MiB, which are looked at before they leave the outer cache, also where two
blocks of tracks are named side by side."""

_MAX_TOPS: Final = 1 << 22
_MIN_PROBES: Final = 32
_MAX_PROBES: Final = 256
"""Probes compared at once. With fewer, a product spends its time on bringing the columns near; more gain little. From
131,072 columns on there are fewer, so that what is kept takes no more than 16 MiB; from 1,048,576 on there are so few
that they stay, and it takes 16 bytes for each column."""

_GROUP: Final = 8
_MIN_GROUPS: Final = 128
"""Columns of a group, and groups of a larger group; powers of two, smaller where there would be too few groups."""

_GROUPS_AT_ONCE: Final = 1 << 10  # each with a probe, compared anew: 4 MiB

_MIN_COARSE_COLUMNS: Final = 1 << 15
_MIN_COARSE_PROBES: Final = 128
"""Columns beyond the pool, and probes at once, from which on fewer bits are tried; for the largest galleries, as many
probes as are ever compared at once. It takes half a second to begin, and saves 30 or 40 ms for 256 probes and 100,000
people. The tracks of one clip are fewer, those of an archive more."""

_NOBODY: Final = 4.0
"""Taken from columns that are nobody's: similarities and levels are in [-1, 1], so somebody's are always greater."""

_UNIT_ROUNDOFF: Final = 2.0**-24


@dataclass(frozen=True, slots=True, eq=False)
class Rough:
    """Rough scores of some probes.

    Attributes:
        probes: f32 (t, D + 1), the probes, and ones.
        pool: f32 (pool, t), the rough scores of the first columns.
        tops: f32 (groups, t), the greatest rough score of each group of columns.
        summits: f32 (larger groups, t), the greatest of each group of groups.
        doubt: by how much ``tops`` and ``summits`` can be off; ``pool`` is off by less.

    """

    probes: F32
    pool: F32
    tops: F32
    summits: F32
    doubt: Doubt

    @property
    def is_coarse(self) -> bool:
        """Whether other threads than NumPy's made it, and go on with the next."""
        return self.doubt.share > 0.0

    def highest(self) -> F64:
        """Return f64 (t,), what no score of a probe is above."""
        return self.doubt.at_most(self.summits.max(axis=0).astype(np.float64))


class RoughScores:
    """The columns of a gallery in float32. Immutable; safe to use from several threads.

    Large galleries get threads of their own at the first comparison of many probes, which a process that is forked
    afterwards has not: make another one there.

    Attributes:
        error: the most by which a rough score in float32 can be off, also after two numbers of its size were added.
        block: how many probes are best compared at once.

    """

    def __init__(self, columns: F64, half_levels: F64, *, pool_size: int) -> None:
        """Round the columns.

        Args:
            columns: f64 (C, D), at most of unit length.
            half_levels: f64 (C,), what is taken from each column's similarities, in [-0.5, 0.5]; infinite for those
                that are nobody's.
            pool_size: first columns whose rough scores are all kept.

        """
        count, size = columns.shape
        self._pool_size = pool_size
        self._group = _group_size(count)
        self._larger = _group_size(count // self._group)
        step = self._group * self._larger
        self._columns = np.zeros((-(-count // step) * step, size + 1), np.float32)
        # Columns of a group are as far apart as they can be in a block: long rows are quickest to compare.
        spread = [np.arange(block.start, block.stop).reshape(self._group, -1).T for block in self._blocks()]
        self._members = np.concatenate(spread)
        self._columns[:count, :-1] = columns
        self._columns[:, -1] = -_NOBODY
        self._columns[:count, -1] = -np.minimum(half_levels, _NOBODY)
        self._is_somebodys = self._columns[:, -1] > -_NOBODY
        # A sum of n products is off by at most n roundings of the sum of their sizes, in whatever order it is made; the
        # factors were rounded before, and callers add two numbers. The tenth is for all that is smaller: the squares of
        # these, and the errors of what is float64.
        self.error = 1.1 * (size + 8) * _UNIT_ROUNDOFF * (1.0 + _NOBODY)
        self._making = threading.Lock()
        self._made: list[CoarseScores | None] = []
        self.block = max(_MIN_PROBES, min(_MAX_PROBES, _MAX_TOPS * self._group // max(count, 1)))

    def half_levels(self) -> F32:
        """Return f32 (pool,), what was taken from the similarities of the first columns."""
        return -self._columns[: self._pool_size, -1]

    def of(self, probes: F64) -> Rough:
        """Return rough scores of probes (t, D) of at most unit length."""
        rounded = np.ones((len(probes), self._columns.shape[1]), np.float32)
        rounded[:, :-1] = probes
        tops = np.empty((len(self._columns) // self._group, len(probes)), np.float32)
        coarse = self._coarse() if len(probes) >= min(_MIN_COARSE_PROBES, self.block) else None
        pool = coarse.pool(rounded) if coarse else np.matmul(self._columns[next(self._blocks())], rounded.T)
        first = len(pool) // self._group
        tops[:first] = pool.reshape(self._group, -1, len(probes)).max(axis=0)
        if coarse is None:
            self._write_tops(tops, rounded)
            doubt = Doubt(np.full(len(probes), self.error), 0.0)
        else:
            doubt = coarse.tops_into(tops[first:], probes)
        summits = tops.reshape(self._larger, -1, len(probes)).max(axis=0)
        return Rough(rounded, pool[: self._pool_size], tops, summits, doubt)

    def _coarse(self) -> CoarseScores | None:
        """Return what is quicker about the columns beyond the first block, if anything is; made once, when needed."""
        first = next(self._blocks()).stop
        if len(self._columns) - first < _MIN_COARSE_COLUMNS:
            return None
        with self._making:  # several threads may need it first
            if not self._made:
                members = self._members[first // self._group :]
                self._made.append(coarse_scores(self._columns, members, pool=first, error=self.error))
                _log.debug("rough scores beyond the pool: %s", type(self._made[0]).__name__)
        return self._made[0]

    def _write_tops(self, tops: F32, probes: F32) -> None:
        """Write the greatest rough scores of probes (t, D + 1) for all groups but those of the first block."""
        _, *blocks = self._blocks()
        made = np.empty((max((block.stop - block.start for block in blocks), default=0), len(probes)), np.float32)
        for block in blocks:
            found = np.matmul(self._columns[block], probes.T, out=made[: block.stop - block.start])
            while len(found) > (block.stop - block.start) // self._group:
                half = len(found) // 2
                found = np.maximum(found[:half], found[half:], out=found[:half])
            tops[block.start // self._group : block.stop // self._group] = found

    def _blocks(self) -> Iterator[slice]:
        """Yield whole groups of columns: first those with the pool, then as many as the cache holds products of."""
        first = min(-(-self._pool_size // self._group) * self._group, len(self._columns))
        yield slice(0, first)
        for start in range(first, len(self._columns), _BLOCK_COLUMNS):
            yield slice(start, min(start + _BLOCK_COLUMNS, len(self._columns)))

    def shortlist(self, rough: Rough, places: I64, *, count: int, slack: F64) -> tuple[I64, I64]:
        """Return whom the ``count`` best of some probes are among.

        Args:
            rough: what :meth:`of` returned.
            places: i64 (s,), which of its probes, finite ones.
            count: how many.
            slack: f64 (s,), by how much less than the last of the best a column of each may have and still count.

        Returns:
            Pairs of an index of ``places``, ascending, and of a column that is somebody's, i64 (N,) each.

        """
        mine = np.ascontiguousarray(rough.summits[:, places].T)
        wanted = least = np.full(len(places), -np.inf)
        if count <= mine.shape[1]:
            # So many groups have one that is as great: the last of the best is at least that.
            doubt, last = rough.doubt.of(places), np.partition(mine, -count, axis=1)[:, -count].astype(np.float64)
            wanted = doubt.at_least(last) - slack
            least = doubt.at_least(wanted)
        rows, larger = np.nonzero(mine >= least[:, None])
        found = rough.tops.reshape(self._larger, -1, len(rough.probes))[:, larger, places[rows]].T
        pairs, inside = np.nonzero(found >= least[rows, None])
        rows, groups = rows[pairs], larger[pairs] + inside * len(rough.summits)
        is_listed = np.zeros((len(rows), self._group), np.bool_)
        for start in range(0, len(rows), _GROUPS_AT_ONCE):
            part = slice(start, start + _GROUPS_AT_ONCE)
            found = self._scores_of(groups[part], rough.probes[places[rows[part]]])
            is_listed[part] = found >= wanted[rows[part], None] - self.error
        pairs, inside = np.nonzero(is_listed & self._is_somebodys[self._members[groups]])
        return rows[pairs], self._members[groups[pairs], inside]

    def _scores_of(self, groups: I64, probes: F32) -> F32:
        """Return f32 (N, columns of a group), the rough scores of pairs of a group (N,) and a probe (N, D + 1)."""
        columns = self._columns[self._members[groups]]
        return np.asarray((columns @ probes[:, :, None])[:, :, 0], np.float32)


def _group_size(count: int) -> int:
    """Return how many of so many columns, or groups, make a group."""
    return 1 << min(_GROUP.bit_length() - 1, max(0, (count // _MIN_GROUPS).bit_length() - 1))
