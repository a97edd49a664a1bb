"""How right names are, in numbers with intervals.

How many of the faces are strangers decides what a name is worth, so each share is told at a **prior**, the share of
tracks that show somebody of the gallery: tracks of known people and of strangers are weighted until they stand as the
prior says, whatever was drawn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotator.accuracy.intervals import F64, Interval, bootstrap, interval_of, share

Flags = NDArray[np.bool_]
I64 = NDArray[np.int64]

PRIORS: Final = (0.5, 0.1, 0.02, 0.005)
"""Shares of tracks that show somebody of the gallery, at which everything is told."""

RATES: Final = (0.01, 0.003, 0.001)
"""Shares of strangers' tracks that get a name (FPIR)."""

MIN_EXPECTED: Final = 10.0
"""Of fewer errors than this a rate tells little more than a bound."""

_BINS: Final = 15
_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class JudgedTracks:
    """What was said of tracks whose people are known.

    Attributes:
        is_known: bool (N,), whether a track shows somebody of the gallery.
        is_right: bool (N,), whether the nearest person is the one who is seen; never for a stranger.
        scores: f64 (N,), of the nearest person; -inf where there is none, or the faces are too poor.
        log_ratios: f64 (N,), logarithm of «it is this person» to «it is a stranger»; -inf likewise.
        is_named: bool (N,), whether the model's own threshold is reached.
        tracks: i64 (N,), which of the tracks that were judged; one may be judged before several galleries.
        subjects: who is seen, strangers too: their tracks are drawn together, for they are no independent samples.

    """

    is_known: Flags
    is_right: Flags
    scores: F64
    log_ratios: F64
    is_named: Flags
    tracks: I64
    subjects: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self.is_known)

    def of(self, which: Flags) -> "JudgedTracks":
        """Return some of the tracks, bool (N,)."""
        return JudgedTracks(
            is_known=self.is_known[which],
            is_right=self.is_right[which],
            scores=self.scores[which],
            log_ratios=self.log_ratios[which],
            is_named=self.is_named[which],
            tracks=self.tracks[which],
            subjects=tuple(one for one, is_meant in zip(self.subjects, which.tolist(), strict=True) if is_meant),
        )

    def confidences(self, prior: float) -> F64:
        """Return f64 (N,), how sure the names are at a prior."""
        return np.asarray(1.0 / (1.0 + np.exp(-(self.log_ratios + np.log(prior / (1.0 - prior))))), np.float64)


@dataclass(frozen=True, slots=True)
class AtRate:
    """What is found where so many strangers get a name.

    Attributes:
        rate: share of strangers' tracks that get a name (FPIR).
        expected: strangers' tracks that do; under ``MIN_EXPECTED`` the rate is a bound more than a number.
        min_score: that a name needs.
        found: share of known people's tracks that get the right name (TPIR).

    """

    rate: float
    expected: float
    min_score: float
    found: Interval


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Names of about one confidence.

    Attributes:
        said: their confidence, in the mean.
        precision: how many are right.
        share: of all tracks, how many they are.

    """

    said: float
    precision: float
    share: float


def precision_at(judged: JudgedTracks, *, confidence: float, prior: float) -> Interval | None:
    """Return which share of the names that are at least so sure are right; None where there is none."""
    is_given = judged.confidences(prior) >= confidence

    def measure(counts: F64) -> F64:
        weights = _weights(judged, counts, prior) * is_given
        total = weights.sum()
        return np.array([(weights * judged.is_right).sum() / total if total > 0 else np.nan])

    return _measured(judged, measure)


def recall_at(judged: JudgedTracks, *, confidence: float, prior: float) -> Interval | None:
    """Return which share of known people's tracks get their name at least so surely; None where there are none."""
    is_found = (judged.confidences(prior) >= confidence) & judged.is_right
    return _measured(judged, lambda counts: np.array([share(is_found, counts * judged.is_known)]))


def found_at(judged: JudgedTracks, rate: float) -> AtRate | None:
    """Return what is found at a rate of strangers' names; None where strangers are too few to tell it.

    The threshold is drawn anew with the strangers, so that the interval has what is uncertain about it, too.
    """
    strangers = ~judged.is_known
    expected = rate * float(strangers.sum())
    if expected < 1.0 - 1e-9:
        return None

    def measure(counts: F64) -> F64:
        least = score_at_rate(judged.scores[strangers], counts[strangers], rate)
        return np.array([share((judged.scores > least) & judged.is_right, counts * judged.is_known)])

    found = _measured(judged, measure)
    least = score_at_rate(judged.scores[strangers], np.ones(int(strangers.sum())), rate)
    return None if found is None else AtRate(rate, expected, least, found)


def _bounded(interval: Interval | None, judged: JudgedTracks, which: Flags) -> Interval | None:
    """Return an interval that reaches as far as a share of none may, which drawing anew cannot tell.

    Of n subjects of whom none is counted, with 95 % no more than ``1 - 0.05 ** (1 / n)`` of all would be: about 3 / n.
    """
    if interval is None or interval.value > 0.0:
        return interval
    count = len({one for one, is_meant in zip(judged.subjects, which.tolist(), strict=True) if is_meant})
    return Interval(0.0, 0.0, max(interval.high, 1.0 - 0.05 ** (1.0 / max(count, 1))))


def found_over(judged: JudgedTracks, min_score: float) -> Interval | None:
    """Return which share of known people's tracks is found with a score above a threshold that was chosen elsewhere."""
    is_found = (judged.scores > min_score) & judged.is_right
    return _measured(judged, lambda counts: np.array([share(is_found, counts * judged.is_known)]))


def strangers_over(judged: JudgedTracks, min_score: float) -> Interval | None:
    """Return which share of strangers' tracks gets a score above a threshold that was chosen elsewhere."""
    is_over = judged.scores > min_score
    found = _measured(judged, lambda counts: np.array([share(is_over, counts * ~judged.is_known)]))
    return _bounded(found, judged, ~judged.is_known)


def nearest_is_right(judged: JudgedTracks) -> Interval | None:
    """Return for which share of known people's tracks the nearest person is the right one."""
    return _measured(judged, lambda counts: np.array([share(judged.is_right, counts * judged.is_known)]))


def strangers_named(judged: JudgedTracks, *, confidence: float, prior: float) -> Interval | None:
    """Return which share of strangers' tracks get a name at least so surely; None where there are none."""
    is_given = judged.confidences(prior) >= confidence
    found = _measured(judged, lambda counts: np.array([share(is_given, counts * ~judged.is_known)]))
    return _bounded(found, judged, ~judged.is_known)


def calibration_error(judged: JudgedTracks, *, prior: float) -> Interval | None:
    """Return how far confidences are from precisions, in the mean over names, weighted by how many they are.

    The expected calibration error over bins with equally many names. Source: M. P. Naeini and others, «Obtaining well
    calibrated probabilities using Bayesian binning», 2015.
    """

    def measure(counts: F64) -> F64:
        curve = _curve(judged, counts, prior)
        total = sum(point.share for point in curve)
        apart = sum(point.share * abs(point.said - point.precision) for point in curve)
        return np.array([apart / total if total > 0 else np.nan])

    return _measured(judged, measure)


def calibration_curve(judged: JudgedTracks, *, prior: float) -> list[CurvePoint]:
    """Return how right names of rising confidence are."""
    return _curve(judged, np.ones(len(judged)), prior)


def score_at_rate(scores: F64, counts: F64, rate: float) -> float:
    """Return the score above which at most this share of strangers is, each counted so often; nan of none."""
    total = float(counts.sum())
    if total <= 0:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    is_over = np.cumsum(counts[order]) > rate * total + 1e-9
    return float(scores[order[int(is_over.argmax())]])


def _curve(judged: JudgedTracks, counts: F64, prior: float) -> list[CurvePoint]:
    said, weights = judged.confidences(prior), _weights(judged, counts, prior)
    order = np.argsort(said, kind="stable")
    order = order[(said[order] > 0) & (weights[order] > 0)]
    points = []
    for part in np.array_split(order, _BINS):
        total = weights[part].sum()
        if total > _TINY:
            mean, precision = (float((weights[part] * of[part]).sum() / total) for of in (said, judged.is_right))
            points.append(CurvePoint(mean, precision, float(total)))
    return points


def _weights(judged: JudgedTracks, counts: F64, prior: float) -> F64:
    """Return f64 (N,), that add up to one, the known ones to the prior."""
    known, strangers = counts * judged.is_known, counts * ~judged.is_known
    of_known, of_strangers = max(known.sum(), _TINY), max(strangers.sum(), _TINY)
    return np.asarray(prior * known / of_known + (1.0 - prior) * strangers / of_strangers, np.float64)


def _measured(judged: JudgedTracks, measure: Callable[[F64], F64]) -> Interval | None:
    if not len(judged):
        return None
    value, replicates = bootstrap(judged.subjects, measure)
    return interval_of(float(value[0]), replicates[:, 0])


def joined(parts: Sequence[JudgedTracks]) -> JudgedTracks:
    """Return tracks of several galleries as those of one."""
    return JudgedTracks(
        is_known=np.concatenate([part.is_known for part in parts]),
        is_right=np.concatenate([part.is_right for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        log_ratios=np.concatenate([part.log_ratios for part in parts]),
        is_named=np.concatenate([part.is_named for part in parts]),
        tracks=np.concatenate([part.tracks for part in parts]),
        subjects=tuple(subject for part in parts for subject in part.subjects),
    )
