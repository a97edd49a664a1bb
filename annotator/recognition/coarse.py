"""Scores of a gallery in bfloat16, rougher than the rough ones and computed in half the time.

Of a number, bfloat16 keeps eight bits. What that makes of a similarity is bounded by what was lost of the two vectors,
which is known: it is less than half of what might have been lost, at the worst.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from annotator.recognition.calibration import F64
from annotator.runtime.bfloat16 import UNIT_ROUNDOFF, from_bfloat16, to_bfloat16
from annotator.types import F32, I64

_GROUPS_AT_ONCE: Final = 1 << 10  # rounded, some megabytes
_ROUNDED_TWICE: Final = 2
"""Numbers of bfloat16 that stand for half of a level: what the first one lacks, the second one has."""


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


class CoarseScores:
    """Columns of a gallery in bfloat16. Safe to use from several threads."""

    def __init__(self, columns: F32, members: I64, *, pool: int, error: float) -> None:
        """Round the columns.

        Args:
            columns: f32 (C, D + 1): of at most unit length, and what is added to the similarities.
            members: i64 (groups, size), the columns of each group.
            pool: the first columns, of which each score is kept: these stay in float32.
            error: the most by which the same scores in float32 are off.

        """
        from annotator.runtime.maxima import GroupMaxima  # noqa: PLC0415 - heavy, and for large galleries only

        size = columns.shape[1] - 1
        vectors = np.empty((*members.shape, size + _ROUNDED_TWICE), np.uint16)
        lost = 0.0
        for start in range(0, len(members), _GROUPS_AT_ONCE):
            exact = columns[members[start : start + _GROUPS_AT_ONCE]]
            part = vectors[start : start + _GROUPS_AT_ONCE]
            part[..., :-1] = to_bfloat16(exact)
            rest = exact - from_bfloat16(part[..., :-1])
            part[..., -1] = to_bfloat16(rest[..., -1])
            rest[..., -1] -= from_bfloat16(part[..., -1])
            lost = max(lost, float(_lengths(rest[..., :-1]).max() + np.abs(rest[..., -1]).max()))
        self._lost = lost
        self._error = error
        self._maxima = GroupMaxima(vectors)
        self._pool = GroupMaxima(columns[:pool, None])
        self._pool_size = pool

    def pool(self, probes: F32) -> F32:
        """Return f32 (pool, t), the scores of the first columns for probes (t, D + 1).

        NumPy would compute them as quickly, on threads that then look out for more work, and take the processors from
        the threads that do it: for 30 milliseconds, as long as it takes to write the tops.
        """
        scores = np.empty((self._pool_size, len(probes)), np.float32)
        self._pool.into(scores, probes)
        return scores

    def tops_into(self, output: F32, probes: F64) -> Doubt:
        """Write the greatest score of each group.

        Args:
            output: f32 (groups, t), in one piece; written.
            probes: f64 (t, D), of at most unit length, or not finite: then nothing is said of them.

        Returns:
            By how much these can be off; it is not finite where a probe is not.

        """
        rounded = np.empty((len(probes), probes.shape[1] + _ROUNDED_TWICE), np.uint16)
        rounded[:, :-_ROUNDED_TWICE] = to_bfloat16(probes.astype(np.float32))
        rounded[:, -_ROUNDED_TWICE:] = to_bfloat16(np.ones(1, np.float32))
        self._maxima.into(output, rounded)
        lost = _lengths(probes - from_bfloat16(rounded[:, :-_ROUNDED_TWICE]))
        return Doubt(1.01 * (lost * (1.0 + self._lost) + self._lost + self._error), 1.01 * UNIT_ROUNDOFF)


def coarse_scores(columns: F32, members: I64, *, pool: int, error: float) -> CoarseScores | None:
    """Return what computes in bfloat16, or None where the processor does not do so, or not more quickly."""
    from annotator.runtime.maxima import has_quick_bfloat16  # noqa: PLC0415 - as above

    return CoarseScores(columns, members, pool=pool, error=error) if has_quick_bfloat16() else None


def _lengths(vectors: F32 | F64) -> F64:
    return np.asarray(np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=-1)), np.float64)
