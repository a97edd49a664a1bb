"""Scores of embeddings against a gallery: centred cosines, less what a face or a prototype resembles everybody.

All is float64 and rounded at the end, so that the order in which a processor sums up does not show.
"""

from collections.abc import Iterator
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotator.recognition.calibration import F64
from annotator.recognition.evidence import unit
from annotator.recognition.gallery import Gallery
from annotator.types import I64

MAX_COHORT_POOL: Final = 5000
"""Prototypes that the cohort is chosen among; of a larger bundle every n-th is taken."""

SCORE_DECIMALS: Final = 6
_SLACK: Final = 10.0**-SCORE_DECIMALS  # rounding lifts a score by half of it at most
_BLOCK_SCORES: Final = 1 << 17
"""Scores computed at once: 1 MiB, which stays in a processor's own cache. More at once is no quicker."""

_MIN_PROBES: Final = 32
"""Embeddings compared at once, however many people there are: with fewer, a product waits for memory."""

_MORE_THAN_COHORT: Final = 1.25
"""How many nearest prototypes the quick bound of a face's level aims at, in cohorts: with fewer there is no bound, with
more it is looser."""


class Scorer:
    """Scores of embeddings against a gallery. Immutable; safe to use from several threads."""

    def __init__(self, gallery: Gallery, *, cohort: int) -> None:
        """Centre the gallery and measure how alike its people are.

        Args:
            gallery: whom to compare with.
            cohort: neighbours that normalise a score; fewer where the bundle has fewer people.

        """
        bundle = gallery.bundle
        self._comparable = bundle.comparable
        self._centre = bundle.mean.astype(np.float64)
        step = -(-len(bundle.prototypes) // MAX_COHORT_POOL) if len(bundle.prototypes) else 1
        pool = self._centred(bundle.prototypes[::step].astype(np.float64))
        prototypes = self._centred(gallery.prototypes.astype(np.float64))
        # Columns of the pool that are the person's own; one beyond the last for those who are not in it.
        in_pool = (gallery.own_column < len(bundle.prototypes)) & (gallery.own_column % step == 0)
        own = np.where(in_pool, gallery.own_column // step, len(pool))
        self._pool_size = len(pool)
        self._cohort = min(cohort, len(pool) - 1)
        self._prototype_level = self._own_levels(pool, prototypes, own)
        self._keep_columns(pool, prototypes, own)
        self._keep_spread(pool)

    def _keep_columns(self, pool: F64, prototypes: F64, own: I64) -> None:
        """Keep the pool and those prototypes that are none of it: nearly all are both, and are compared with once."""
        padded = np.concatenate([pool, np.full((1, pool.shape[1]), np.nan)])
        other = np.flatnonzero((padded[own] != prototypes).any(axis=1))
        column_of = own.copy()
        column_of[other] = len(pool) + np.arange(len(other))
        self._columns = np.concatenate([pool, prototypes[other]])
        self._people = _as_slice(column_of)
        has_own = np.flatnonzero(own < len(pool))
        self._has_own, self._own = _as_slice(has_own, of=len(own)), _as_slice(own[has_own])
        self._half_level = np.full(len(self._columns), np.inf)  # of columns that are nobody's
        self._half_level[column_of] = 0.5 * self._prototype_level

    def _keep_spread(self, pool: F64) -> None:
        """Keep mean and square of the pool: they say how a face's similarities are spread, before any is sorted."""
        self._pool_mean = pool.mean(axis=0) if len(pool) else np.zeros(pool.shape[1])
        self._pool_square = pool.T @ pool / max(len(pool), 1)
        share = _MORE_THAN_COHORT * (self._cohort + 1) / max(len(pool), 1)
        self._deviations = NormalDist().inv_cdf(1.0 - share) if 0.0 < share < 1.0 else None

    def scores(self, embeddings: F64) -> F64:
        """Return f64 (T, P), the normalised similarities of embeddings (T, D) of any length to each person."""
        found = [self._normalised(probes @ self._columns.T) for probes in self._blocks(embeddings)]
        return np.concatenate(found) if found else np.zeros((0, len(self._prototype_level)))

    def best(self, embeddings: F64, count: int) -> tuple[I64, F64]:
        """Return the nearest people of embeddings (T, D) of any length.

        Args:
            embeddings: f64 (T, D).
            count: how many people, if the gallery has so many.

        Returns:
            Columns of the gallery i64 (T, count), best first, of equal ones the first; their scores f64 (T, count).

        """
        rows = np.full(len(embeddings), -np.inf)
        _, columns, scores = self.best_that_reach(embeddings, count, min_scores=rows)
        return columns, scores

    def best_that_reach(self, embeddings: F64, count: int, *, min_scores: F64) -> tuple[I64, I64, F64]:
        """Return the nearest people of those embeddings whose best score reaches a threshold.

        Most strangers are told by a bound of their best score, which costs a fraction of the score.

        Args:
            embeddings: f64 (T, D), of any length.
            count: as of :meth:`best`.
            min_scores: f64 (T,), the threshold of each.

        Returns:
            Which rows of ``embeddings`` reach it i64 (N,); columns and scores (N, count), as of :meth:`best`.

        """
        rows, columns, scores = [], [], []
        start = 0
        for probes in self._blocks(embeddings):
            wanted = min_scores[start : start + len(probes)]
            similarities = probes @ self._columns.T
            candidates = np.flatnonzero(self._may_reach(probes, similarities, wanted))
            if len(candidates):
                found, found_scores = _best_columns(self._normalised(similarities[candidates]), count)
                reach = found_scores[:, 0] >= wanted[candidates]
                rows.append(start + candidates[reach])
                columns.append(found[reach])
                scores.append(found_scores[reach])
            start += len(probes)
        if not rows:
            width = min(count, len(self._prototype_level))
            return np.zeros(0, np.int64), np.zeros((0, width), np.int64), np.zeros((0, width))
        return np.concatenate(rows), np.concatenate(columns), np.concatenate(scores)

    def _blocks(self, embeddings: F64) -> Iterator[F64]:
        """Yield the probes of embeddings, as many as the cache holds scores of, but not too few."""
        size = max(_MIN_PROBES, _BLOCK_SCORES // max(len(self._columns), 1))
        for start in range(0, len(embeddings), size):
            yield self._centred(self._comparable(unit(embeddings[start : start + size])))

    def _centred(self, embeddings: F64) -> F64:
        return unit(embeddings - self._centre)

    def _normalised(self, similarities: F64) -> F64:
        """Return (t, P), the scores of (t, columns) similarities."""
        nearness = similarities[:, : self._pool_size]
        scores = similarities[:, self._people]
        if self._cohort > 0:
            scores = scores - 0.5 * (self._levels(nearness) + self._prototype_level)
        return np.round(scores, SCORE_DECIMALS)

    def _levels(self, nearness: F64) -> F64:
        """Return (t, P), each probe's mean similarity to its nearest prototypes other than the column's person."""
        least = nearness.shape[1] - self._cohort - 1
        highest = np.partition(nearness, least, axis=1)[:, least:]  # the first one is the least of them
        cohort = highest[:, 1:]
        total, kth = cohort.sum(axis=1, keepdims=True), cohort.min(axis=1, keepdims=True)
        own = np.full((len(nearness), len(self._prototype_level)), -np.inf)
        own[:, self._has_own] = nearness[:, self._own]
        levels = np.where(own >= kth, total + highest[:, :1] - own, total)
        return np.asarray(levels / self._cohort, np.float64)

    def _may_reach(self, probes: F64, similarities: F64, min_scores: F64) -> NDArray[np.bool_]:
        """Say of which probes (t,) the best score may reach its threshold."""
        if self._deviations is None or not np.isfinite(min_scores).any():
            return min_scores < np.inf
        highest = (similarities - self._half_level).max(axis=1)
        bound = highest - 0.5 * self._least_levels(probes, similarities[:, : self._pool_size])
        return np.asarray(bound >= min_scores - _SLACK, np.bool_)

    def _least_levels(self, probes: F64, nearness: F64) -> F64:
        """Return (t,), a bound that no level of a probe is below, -inf where there is none.

        A level is the mean over the nearest prototypes, perhaps without the very nearest. The mean over more of them,
        also without the very nearest, is at most as high. Those are summed up that are above a limit, which needs no
        sorting; the spread of a probe's similarities says where to put it.
        """
        deviations = self._deviations or 0.0
        mean = probes @ self._pool_mean
        variance = ((probes @ self._pool_square) * probes).sum(axis=1) - mean**2
        limit = mean + deviations * np.sqrt(np.maximum(variance, 0.0))
        above = np.count_nonzero(nearness > limit[:, None], axis=1)
        total = np.maximum(nearness, limit[:, None]).sum(axis=1) - (nearness.shape[1] - above) * limit
        means = (total - nearness.max(axis=1)) / np.maximum(above - 1, 1)
        return np.asarray(np.where(above > self._cohort, means, -np.inf), np.float64)

    def _own_levels(self, pool: F64, prototypes: F64, own: I64) -> F64:
        """Return (P,), each prototype's mean similarity to its nearest other prototypes."""
        levels = np.zeros(len(prototypes))
        if self._cohort <= 0:
            return levels
        size = max(1, _BLOCK_SCORES // len(pool))
        for start in range(0, len(prototypes), size):
            part = slice(start, start + size)
            nearness = np.concatenate([prototypes[part] @ pool.T, np.zeros((len(prototypes[part]), 1))], axis=1)
            nearness[np.arange(len(nearness)), own[part]] = -np.inf
            levels[part] = _highest(nearness[:, :-1], self._cohort).mean(axis=1)
        return levels


def _as_slice(columns: I64, *, of: int | None = None) -> I64 | slice:
    """Return columns as a slice where they are the first ones in order (and all there are): that copies nothing."""
    is_first = np.array_equal(columns, np.arange(len(columns))) and of in (None, len(columns))
    return slice(0, len(columns)) if is_first else columns


def _highest(values: F64, count: int) -> F64:
    """Return the ``count`` highest of each row, highest first."""
    part = np.partition(values, values.shape[1] - count, axis=1)[:, values.shape[1] - count :]
    return np.asarray(np.sort(part, axis=1)[:, ::-1], np.float64)


def _best_columns(scores: F64, count: int) -> tuple[I64, F64]:
    """Return the columns of each row's best scores, best first, of equal ones the first; and these scores."""
    count = min(count, scores.shape[1])
    rows = np.arange(len(scores))
    left = scores.copy()
    columns = np.zeros((len(scores), count), np.int64)
    for place in range(count):
        columns[:, place] = left.argmax(axis=1)
        left[rows, columns[:, place]] = -np.inf
    return columns, np.take_along_axis(scores, columns, axis=1)
