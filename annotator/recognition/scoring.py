"""Scores of embeddings against a gallery: centred cosines, less what a face or a prototype resembles everybody.

All is float64 and rounded at the end, so that the order in which a processor sums up does not show. Float32, or
bfloat16, only says who is worth a score, with a margin for its errors: the scores that come out are the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotator.recognition.calibration import F64
from annotator.recognition.evidence import unit
from annotator.recognition.gallery import Gallery
from annotator.recognition.shortlist import Rough, RoughScores
from annotator.types import I64

MAX_COHORT_POOL: Final = 5000
"""Prototypes that the cohort is chosen among; of a larger bundle every n-th is taken."""

SCORE_DECIMALS: Final = 6
_SLACK: Final = 10.0**-SCORE_DECIMALS  # rounding lifts a score, or lowers it, by half of it at most
_BLOCK_SCORES: Final = 1 << 17
"""Exact similarities computed at once: 1 MiB, which stays in a processor's own cache. More at once is no quicker."""

_ONE_THREAD: Final = 1 << 18
"""Products that OpenBLAS sums up without threads."""

_PAIRS: Final = 1 << 12  # scored at once: some megabytes

_MORE_THAN_COHORT: Final = 1.25
"""How many nearest prototypes the quick bound of a face's level aims at, in cohorts: with fewer there is no bound, with
more it is looser."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTerms:
    """What scores are made of: a score is the cosine, less half of the sum of the two levels.

    Attributes:
        cosines: f64 (T, C), of each embedding to each person's prototype, both centred.
        probe_levels: f64 (T, C), mean cosine of the embedding to its nearest prototypes other than the person's.
        prototype_levels: f64 (T, C), mean cosine of the person's prototype to its nearest other ones.

    """

    cosines: F64
    probe_levels: F64
    prototype_levels: F64


class Scorer:
    """Scores of embeddings against a gallery. Immutable; safe to use from several threads."""

    def __init__(self, gallery: Gallery, *, cohort: int, clip_centre: Sequence[float] = ()) -> None:
        """Centre the gallery and measure how alike its people are.

        Args:
            gallery: whom to compare with.
            cohort: neighbours that normalise a score; fewer where the bundle has fewer people.
            clip_centre: (E,), what embeddings of clips are centred by; by default the gallery's mean.

        """
        bundle = gallery.bundle
        self._comparable = bundle.comparable
        self._centre = bundle.mean.astype(np.float64)
        self._clip_centre = np.array(clip_centre, np.float64) if len(clip_centre) else self._centre
        step = -(-len(bundle.prototypes) // MAX_COHORT_POOL) if len(bundle.prototypes) else 1
        pool = self._centred(bundle.prototypes[::step].astype(np.float64))
        prototypes = self._centred(gallery.prototypes.astype(np.float64))
        # Columns of the pool that are the person's own; one beyond the last for those who are not in it.
        in_pool = (gallery.own_column < len(bundle.prototypes)) & (gallery.own_column % step == 0)
        self._own = np.where(in_pool, gallery.own_column // step, len(pool))
        self._pool_size = len(pool)
        self._cohort = min(cohort, len(pool) - 1)
        self._prototype_level = self._own_levels(pool, prototypes)
        self._keep_columns(pool, prototypes)
        self._keep_spread(pool)

    def _keep_columns(self, pool: F64, prototypes: F64) -> None:
        """Keep the pool and those prototypes that are none of it: nearly all are both, and are compared with once."""
        padded = np.concatenate([pool, np.full((1, pool.shape[1]), np.nan)])
        other = np.flatnonzero((padded[self._own] != prototypes).any(axis=1))
        self._column_of = self._own.copy()
        self._column_of[other] = len(pool) + np.arange(len(other))
        self._columns = np.concatenate([pool, prototypes[other]])
        self._person_of = np.zeros(len(self._columns), np.int64)  # of columns that are somebody's
        self._person_of[self._column_of] = np.arange(len(prototypes))
        half_levels = np.full(len(self._columns), np.inf)  # of columns that are nobody's
        half_levels[self._column_of] = 0.5 * self._prototype_level
        self._rough = RoughScores(self._columns, half_levels, pool_size=len(pool))

    def _keep_spread(self, pool: F64) -> None:
        """Keep mean and square of the pool: they say how a face's similarities are spread, before any is sorted."""
        self._pool_mean = pool.mean(axis=0) if len(pool) else np.zeros(pool.shape[1])
        self._pool_square = pool.T @ pool / max(len(pool), 1)
        share = _MORE_THAN_COHORT * (self._cohort + 1) / max(len(pool), 1)
        self._deviations = NormalDist().inv_cdf(1.0 - share) if self._cohort > 0 and share < 1.0 else None

    def scores(self, embeddings: F64) -> F64:
        """Return f64 (T, P), the normalised similarities of embeddings (T, D) of any length to each person."""
        size = max(1, _BLOCK_SCORES // max(len(self._columns), 1))
        found = [
            self._normalised(self._probes(embeddings[start : start + size]) @ self._columns.T)
            for start in range(0, len(embeddings), size)
        ]
        return np.concatenate(found) if found else np.zeros((0, len(self._prototype_level)))

    def best(self, embeddings: F64, count: int) -> tuple[I64, F64]:
        """Return the nearest people of embeddings (T, D) of any length.

        Args:
            embeddings: f64 (T, D).
            count: how many people, if the gallery has so many.

        Returns:
            Columns of the gallery i64 (T, count), best first, of equal ones the first; their scores f64 (T, count). An
            embedding that is not finite is near to nobody: the first columns, and scores of -inf.

        """
        rows, found, found_scores = self.best_that_reach(
            embeddings, count, min_scores=np.full(len(embeddings), -np.inf)
        )
        columns = np.tile(np.arange(found.shape[1]), (len(embeddings), 1))
        scores = np.full(columns.shape, -np.inf)
        columns[rows], scores[rows] = found, found_scores
        return columns, scores

    def terms(self, embeddings: F64, people: I64) -> ScoreTerms:
        """Return what the scores of some people are made of, for whoever explains them.

        Args:
            embeddings: f64 (T, D), of any length.
            people: i64 (T, C), for each embedding columns of the gallery, as :meth:`best` returns them.

        """
        probes = self._probes(embeddings)
        rows = np.repeat(np.arange(len(people)), people.shape[1])
        cosines = _dots(probes, rows, self._columns, self._column_of[people.ravel()]).reshape(people.shape)
        if self._cohort <= 0:
            return ScoreTerms(cosines, np.zeros(people.shape), np.zeros(people.shape))
        nearness = np.full((len(probes), self._pool_size + 1), -np.inf)
        nearness[:, :-1] = probes @ self._columns[: self._pool_size].T
        own = np.take_along_axis(nearness, self._own[people], axis=1)
        return ScoreTerms(
            cosines, self._levels(self._cohorts(nearness)[:, :, None], own), self._prototype_level[people]
        )

    def best_that_reach(self, embeddings: F64, count: int, *, min_scores: F64) -> tuple[I64, I64, F64]:
        """Return the nearest people of those embeddings whose best score reaches a threshold.

        Most strangers are told by a bound of their best score, which costs a fraction of the score; of the others, only
        those people are scored who may be among the best.

        Args:
            embeddings: f64 (T, D), of any length.
            count: as of :meth:`best`.
            min_scores: f64 (T,), the threshold of each.

        Returns:
            Which rows of ``embeddings`` are finite and reach it i64 (N,); columns and scores (N, count), as of
            :meth:`best`.

        """
        width = min(count, len(self._prototype_level))
        rows, columns, scores = [np.zeros(0, np.int64)], [np.zeros((0, width), np.int64)], [np.zeros((0, width))]
        asked = np.flatnonzero(min_scores < np.inf)
        for start in range(0, len(asked), self._rough.block):
            block = asked[start : start + self._rough.block]
            probes, wanted = self._probes(embeddings[block]), min_scores[block]
            rough = self._rough.of(probes)
            # No bound holds for what is not a number: it would be compared with everybody.
            is_finite = np.isfinite(probes).all(axis=1)
            places = np.flatnonzero(is_finite & self._may_reach(probes, rough, wanted))
            found, found_scores = self._best(probes[places], places, rough=rough, count=width)
            reach = found_scores[:, 0] >= wanted[places]
            rows.append(block[places[reach]])
            columns.append(found[reach])
            scores.append(found_scores[reach])
        return np.concatenate(rows), np.concatenate(columns), np.concatenate(scores)

    def _probes(self, embeddings: F64) -> F64:
        return unit(self._comparable(unit(embeddings)) - self._clip_centre)

    def _centred(self, embeddings: F64) -> F64:
        return unit(embeddings - self._centre)

    def _best(self, probes: F64, places: I64, *, rough: Rough, count: int) -> tuple[I64, F64]:
        """Return the best people of probes (t, D), which stand at ``places``, and their scores, (t, count) each."""
        slack = np.full(len(probes), _SLACK)
        if self._cohort > 0:
            nearness = np.full((len(probes), self._pool_size + 1), -np.inf)
            multiply = _write_product_alone if rough.is_coarse else _write_product
            multiply(nearness[:, :-1], probes, self._columns[: self._pool_size].T)
            cohorts = self._cohorts(self._nearest(nearness, self._limits(probes, rough)))
            slack += 0.5 * (cohorts[0] - cohorts[2]) / self._cohort  # by so much one's own place in the cohort lifts
        rows, columns = self._rough.shortlist(rough, places, count=count, slack=slack)
        people = self._person_of[columns]
        scores = _dots(probes, rows, self._columns, columns)
        if self._cohort > 0:
            levels = self._levels(cohorts[:, rows], nearness[rows, self._own[people]])
            scores = scores - 0.5 * (levels + self._prototype_level[people])
        scores = np.round(scores, SCORE_DECIMALS)
        order = np.lexsort((people, -scores, rows))
        best = order[np.searchsorted(rows, np.arange(len(probes)))[:, None] + np.arange(count)]
        return people[best], scores[best]

    def _normalised(self, similarities: F64) -> F64:
        """Return (t, P), the scores of (t, columns) similarities."""
        scores = similarities[:, self._column_of]
        if self._cohort > 0:
            nobody = np.full((len(similarities), 1), -np.inf)
            nearness = np.concatenate([similarities[:, : self._pool_size], nobody], axis=1)
            levels = self._levels(self._cohorts(nearness)[:, :, None], nearness[:, self._own])
            scores = scores - 0.5 * (levels + self._prototype_level)
        return np.round(scores, SCORE_DECIMALS)

    def _cohorts(self, nearness: F64) -> F64:
        """Return (4, t): of each probe's nearest prototypes the greatest similarity, the last, the next, and the sum.

        Args:
            nearness: f64 (t, N), the greatest similarities to the pool, or all of them, in any order.

        """
        following = nearness.shape[1] - self._cohort - 1
        highest = np.partition(nearness, following, axis=1)[:, following:]  # the first one is the least of them
        cohort = highest[:, 1:]
        return np.stack([cohort.max(axis=1), cohort.min(axis=1), highest[:, 0], cohort.sum(axis=1)])

    def _levels(self, cohorts: F64, own: F64) -> F64:
        """Return the mean similarity to the nearest prototypes other than the person's, which is ``own``."""
        _, last, following, total = cohorts
        return np.asarray(np.where(own >= last, total + following - own, total) / self._cohort, np.float64)

    def _nearest(self, nearness: F64, limits: F64) -> F64:
        """Return (t, N) of (t, pool + 1) similarities those that may be of the nearest prototypes, and -inf to fill up.

        A tenth is above the limits, and of a tenth the nearest are found in a fraction of the time.
        """
        is_above = nearness > limits[:, None]
        counts = np.count_nonzero(is_above, axis=1)
        if not len(counts) or counts.min() <= self._cohort:
            return nearness
        nearest = np.full((len(nearness), counts.max()), -np.inf)
        nearest[np.arange(nearest.shape[1]) < counts[:, None]] = nearness[is_above]
        return nearest

    def _may_reach(self, probes: F64, rough: Rough, min_scores: F64) -> NDArray[np.bool_]:
        """Say of which probes (t,) the best score may reach its threshold."""
        if self._deviations is None or not np.isfinite(min_scores).any():
            return np.ones(len(probes), np.bool_)
        bound = rough.highest() - 0.5 * self._least_levels(probes, rough)
        return np.asarray(bound >= min_scores - _SLACK, np.bool_)

    def _limits(self, probes: F64, rough: Rough) -> F64:
        """Return (t,), what rather more similarities to the pool are above than a cohort has; -inf if it is small."""
        if self._deviations is None:
            return np.full(len(probes), -np.inf)
        mean, squares = (probes * self._pool_mean).sum(axis=1), np.empty_like(probes)
        (_write_product_alone if rough.is_coarse else _write_product)(squares, probes, self._pool_square)
        variance = (squares * probes).sum(axis=1) - mean**2
        return np.asarray(mean + self._deviations * np.sqrt(np.maximum(variance, 0.0)), np.float64)

    def _least_levels(self, probes: F64, rough: Rough) -> F64:
        """Return (t,), a bound that no level of a probe is below, -inf where there is none.

        A level is the mean over the nearest prototypes, perhaps without the very nearest. The mean over more of them,
        also without the very nearest, is at most as high. Those are summed up that are above a limit, which needs no
        sorting; the spread of a probe's similarities says where to put it.
        """
        pool, limit = rough.pool, self._limits(probes, rough).astype(np.float32)
        excess = pool + self._rough.half_levels()[:, None]
        excess -= limit
        np.maximum(excess, 0.0, out=excess)
        above = np.count_nonzero(excess, axis=0)
        total = excess.sum(axis=0) * (1.0 - 2.0**-23 * len(pool))  # float32 may have summed up to more
        means = limit + (total - excess.max(axis=0)) / np.maximum(above - 1, 1)
        # Each is off by one error, and the one left out may be two below the nearest.
        return np.asarray(np.where(above > self._cohort, means - 3.0 * self._rough.error, -np.inf), np.float64)

    def _own_levels(self, pool: F64, prototypes: F64) -> F64:
        """Return (P,), each prototype's mean similarity to its nearest other prototypes."""
        levels = np.zeros(len(prototypes))
        if self._cohort <= 0:
            return levels
        size = max(1, _BLOCK_SCORES // len(pool))
        for start in range(0, len(prototypes), size):
            part = slice(start, start + size)
            nearness = np.concatenate([prototypes[part] @ pool.T, np.zeros((len(prototypes[part]), 1))], axis=1)
            nearness[np.arange(len(nearness)), self._own[part]] = -np.inf
            levels[part] = _highest(nearness[:, :-1], self._cohort).mean(axis=1)
        return levels


def _highest(values: F64, count: int) -> F64:
    """Return the ``count`` highest of each row, highest first."""
    part = np.partition(values, values.shape[1] - count, axis=1)[:, values.shape[1] - count :]
    return np.asarray(np.sort(part, axis=1)[:, ::-1], np.float64)


def _write_product(output: F64, left: F64, right: F64) -> None:
    np.matmul(left, right, out=output)


def _write_product_alone(output: F64, left: F64, right: F64) -> None:
    """Write the product of matrices in parts so small that OpenBLAS takes no threads to it.

    Its threads look out for more work for 30 milliseconds, and take the processors from those who have some.
    """
    width = max(1, min(_ONE_THREAD // max(1, left.size), right.shape[1]))
    count = right.shape[1] // width
    whole = count * width
    parts = right[:, :whole].reshape(len(right), count, width).transpose(1, 0, 2)
    np.matmul(left, parts, out=output[:, :whole].reshape(len(left), count, width).transpose(1, 0, 2))
    np.matmul(left, right[:, whole:], out=output[:, whole:])


def _dots(probes: F64, rows: I64, columns: F64, chosen: I64) -> F64:
    """Return (N,), the products of pairs of a probe and a column."""
    parts = [slice(start, start + _PAIRS) for start in range(0, len(rows), _PAIRS)]
    found = [np.einsum("nd,nd->n", probes[rows[part]], columns[chosen[part]]) for part in parts]
    return np.concatenate(found) if found else np.zeros(0)
