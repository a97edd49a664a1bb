"""Scores of a gallery in fewer bits, rougher than the rough ones and computed in half the time.

Of a number, bfloat16 keeps eight bits, and a whole number of 16 bits has fourteen after the point here. What that makes
of a similarity is bounded by what was lost of the two vectors, which is known: it is less than half of what might have
been lost, at the worst.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from annotator.native import GreatestProducts
from annotator.recognition.calibration import F64
from annotator.runtime.bfloat16 import UNIT_ROUNDOFF, from_bfloat16, to_bfloat16
from annotator.runtime.blas import keep_blas_to_one_thread
from annotator.types import F32, I64

_GROUPS_AT_ONCE: Final = 1 << 10  # rounded, some megabytes
_ROUNDED_TWICE: Final = 2
"""Numbers of bfloat16 that stand for half of a level: what the first one lacks, the second one has."""

_STEPS: Final = 1 << 14
"""Whole numbers between 0 and 1. Products have 2**28 of them, so that sums between -8 and 8 fit into 32 bits: of a
similarity and half of a level, also of nobody's."""

_TILES_AT_ONCE: Final = 1 << 7  # of eight groups, by one thread: 3 ms with 256 probes
_WHOLE_ROUNDOFF: Final = 2.0**-23
"""By at most so much of itself a sum is moved: it has up to 32 bits, and float32 has 24."""


@dataclass(frozen=True, slots=True, eq=False)
class Doubt:
    """By how much the rough scores of some probes can be off.

    Attributes:
        errors: f64 (t,), of what was multiplied, for each probe.
        share: of the result, rounded once more.

    """

    errors: F64
    share: float

    def at_most(self, rough: F64) -> F64:
        """Return f64 (t,), what no score is above where the rough ones are at most these (t,)."""
        return rough + self.share * np.abs(rough) + self.errors

    def at_least(self, rough: F64) -> F64:
        """Return f64 (t,), what a score is not below where the rough one is one of these (t,), or the other way."""
        return rough - self.share * np.abs(rough) - self.errors

    def of(self, places: I64) -> "Doubt":
        """Return the doubt about some of the probes (s,)."""
        return Doubt(self.errors[places], self.share)


class CoarseScores(ABC):
    """Columns of a gallery in fewer bits. Safe to use from several threads.

    What is computed here is shared out among threads of its own. NumPy's would then look out for more work for 30
    milliseconds, as long as it takes to write the tops, and take the processors from the threads that do it.
    """

    def __init__(self, *, error: float) -> None:
        """Begin; ``error`` is the most by which the same scores in float32 are off."""
        self._error = error
        self._lost = 0.0

    @abstractmethod
    def pool(self, probes: F32) -> F32:
        """Return f32 (pool, t), the scores in float32 of the first columns for probes (t, D + 1)."""

    @abstractmethod
    def tops_into(self, output: F32, probes: F64) -> Doubt:
        """Write the greatest score of each group.

        Args:
            output: f32 (groups, t), in one piece; written.
            probes: f64 (t, D), of at most unit length, or not finite: then nothing is said of them.

        Returns:
            By how much these can be off; it is not finite where a probe is not.

        """

    def _note_lost(self, lost: F32 | F64) -> None:
        """Note the lengths of vectors that columns have lost."""
        self._lost = max(self._lost, float(lost.max()))

    def _errors(self, lost: F64) -> F64:
        """Return f64 (t,), by how much scores can be off of probes that have lost vectors of these lengths (t,)."""
        return 1.01 * (lost * (1.0 + self._lost) + self._lost + self._error)


class Bfloat16Scores(CoarseScores):
    """Columns in bfloat16, multiplied by OpenVINO."""

    def __init__(self, columns: F32, members: I64, *, pool: int, error: float) -> None:
        """Round the columns; arguments as of :func:`coarse_scores`."""
        from annotator.runtime.maxima import GroupMaxima  # noqa: PLC0415 - heavy, and for large galleries only

        super().__init__(error=error)
        vectors = np.empty((*members.shape, columns.shape[1] - 1 + _ROUNDED_TWICE), np.uint16)
        for part, exact in _parts(vectors, columns, members):
            part[..., :-1] = to_bfloat16(exact)
            rest = exact - from_bfloat16(part[..., :-1])
            part[..., -1] = to_bfloat16(rest[..., -1])
            rest[..., -1] -= from_bfloat16(part[..., -1])
            self._note_lost(_lengths(rest[..., :-1]) + np.abs(rest[..., -1]))
        self._maxima = GroupMaxima(vectors)
        self._pool = GroupMaxima(columns[:pool, None])
        self._pool_size = pool

    def pool(self, probes: F32) -> F32:
        """See :class:`CoarseScores`."""
        scores = np.empty((self._pool_size, len(probes)), np.float32)
        self._pool.into(scores, probes)
        return scores

    def tops_into(self, output: F32, probes: F64) -> Doubt:
        """See :class:`CoarseScores`."""
        rounded = np.empty((len(probes), probes.shape[1] + _ROUNDED_TWICE), np.uint16)
        rounded[:, :-_ROUNDED_TWICE] = to_bfloat16(probes.astype(np.float32))
        rounded[:, -_ROUNDED_TWICE:] = to_bfloat16(np.ones(1, np.float32))
        self._maxima.into(output, rounded)
        lost = _lengths(probes - from_bfloat16(rounded[:, :-_ROUNDED_TWICE]))
        return Doubt(self._errors(lost), 1.01 * UNIT_ROUNDOFF)


class WholeNumberScores(CoarseScores):
    """Columns in whole numbers of 16 bits, of whose products the sums fit into 32, multiplied by the compiled part."""

    def __init__(self, columns: F32, members: I64, *, pool: int, error: float) -> None:
        """Round the columns; arguments as of :func:`coarse_scores`."""
        super().__init__(error=error)
        keep_blas_to_one_thread()
        vectors = np.empty((*members.shape, columns.shape[1] - 1), np.int16)
        for part, exact in _parts(vectors, columns, members):
            part[:] = np.rint(exact[..., :-1] * _STEPS)
            self._note_lost(_lengths(exact[..., :-1] - part / _STEPS) + 1.0 / _STEPS**2)
        added = np.rint(columns[members, -1].astype(np.float64) * _STEPS**2).astype(np.int32)
        self._greatest = GreatestProducts(vectors, added, unit=1.0 / _STEPS**2)
        self._pool = columns[:pool]
        self._threads = ThreadPoolExecutor(len(os.sched_getaffinity(0)), "greatest")

    def pool(self, probes: F32) -> F32:
        """See :class:`CoarseScores`."""
        scores: F32 = np.matmul(self._pool, probes.T)
        return scores

    def tops_into(self, output: F32, probes: F64) -> Doubt:
        """See :class:`CoarseScores`."""
        rounded = np.rint(np.nan_to_num(probes, posinf=0.0, neginf=0.0) * _STEPS).astype(np.int16)
        parts = (slice(at, at + _TILES_AT_ONCE) for at in range(0, len(self._greatest), _TILES_AT_ONCE))
        for done in [self._threads.submit(self._greatest.into, output, rounded, tiles=part) for part in parts]:
            done.result()
        return Doubt(self._errors(_lengths(probes - rounded / _STEPS)), _WHOLE_ROUNDOFF)


def coarse_scores(columns: F32, members: I64, *, pool: int, error: float) -> CoarseScores | None:
    """Return what this processor computes more quickly than float32, if there is anything.

    Args:
        columns: f32 (C, D + 1): of at most unit length, and what is added to the similarities.
        members: i64 (groups, size), the columns of each group.
        pool: the first columns, of which each score is kept.
        error: the most by which the same scores in float32 are off.

    """
    from annotator.runtime.maxima import has_quick_bfloat16  # noqa: PLC0415 - as above

    if has_quick_bfloat16():
        return Bfloat16Scores(columns, members, pool=pool, error=error)
    return WholeNumberScores(columns, members, pool=pool, error=error) if GreatestProducts.is_quick() else None


def _parts(output: NDArray[np.generic], columns: F32, members: I64) -> Iterator[tuple[Any, F32]]:
    """Yield parts of the output, and the columns that are to be written there."""
    for start in range(0, len(members), _GROUPS_AT_ONCE):
        part = slice(start, start + _GROUPS_AT_ONCE)
        yield output[part], columns[members[part]]


def _lengths(vectors: F32 | F64) -> F64:
    return np.asarray(np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=-1)), np.float64)
