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

from annotator.accuracy.intervals import F64, Interval, bootstrap, interval_of, share, wilson

Flags = NDArray[np.bool_]
I64 = NDArray[np.int64]

PRIORS: Final = (0.5, 0.1, 0.02, 0.005)
"""Shares of tracks that show somebody of the gallery, at which everything is told."""

RATES: Final = (0.01, 0.003, 0.001)
"""Shares of strangers' tracks that get a name (FPIR)."""

MIN_EXPECTED: Final = 10.0
"""Of fewer subjects than this a rate tells little more than a bound."""

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
        is_named: bool (N,), whether the nearest person's name is given, at the model's own threshold.
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
    """Return which share of the names that are at least so sure are right; None where there is none.

    Where few strangers got such a name, or none, drawing them anew cannot tell how many might: the lower end counts as
    many as the interval of :func:`strangers_named` has.
    """
    is_given = judged.confidences(prior) >= confidence

    def measure(counts: F64) -> F64:
        weights = _weights(judged, counts, prior) * is_given
        total = weights.sum()
        return np.array([(weights * judged.is_right).sum() / total if total > 0 else np.nan])

    found, named = _measured(judged, measure), strangers_named(judged, confidence=confidence, prior=prior)
    if found is None or named is None:
        return found
    known = max(int(judged.is_known.sum()), 1)
    right, given = (float((is_given & of & judged.is_known).sum()) / known for of in (judged.is_right, judged.is_known))
    least = prior * right / (prior * given + (1.0 - prior) * named.high) if given else 0.0
    is_few = _subjects(judged, is_given & ~judged.is_known) < MIN_EXPECTED
    return Interval(found.value, min(found.low, least) if is_few else found.low, found.high)


def recall_at(judged: JudgedTracks, *, confidence: float, prior: float) -> Interval | None:
    """Return which share of known people's tracks get their name at least so surely; None where there are none."""
    is_found = (judged.confidences(prior) >= confidence) & judged.is_right
    return _share_of(judged, is_found, judged.is_known)


def found_over(judged: JudgedTracks, min_log_ratio: float) -> Interval | None:
    """Return which share of known people's tracks is found over a threshold that was chosen elsewhere."""
    return _share_of(judged, (judged.log_ratios > min_log_ratio) & judged.is_right, judged.is_known)


def strangers_over(judged: JudgedTracks, min_log_ratio: float) -> Interval | None:
    """Return which share of strangers' tracks gets a name over a threshold that was chosen elsewhere."""
    return _share_of(judged, judged.log_ratios > min_log_ratio, ~judged.is_known)


def nearest_is_right(judged: JudgedTracks) -> Interval | None:
    """Return for which share of known people's tracks the nearest person is the right one."""
    return _share_of(judged, judged.is_right, judged.is_known)


def strangers_named(judged: JudgedTracks, *, confidence: float, prior: float) -> Interval | None:
    """Return which share of strangers' tracks get a name at least so surely; None where there are none."""
    return _share_of(judged, judged.confidences(prior) >= confidence, ~judged.is_known)


def strangers_over_threshold(judged: JudgedTracks) -> Interval | None:
    """Return which share of strangers' tracks get a name at the model's own threshold; None where there are none."""
    return _share_of(judged, judged.is_named, ~judged.is_known)


def found_over_threshold(judged: JudgedTracks) -> Interval | None:
    """Return which share of known people's tracks get their name at the model's own threshold; None without any."""
    return _share_of(judged, judged.is_named & judged.is_right, judged.is_known)


def calibration_error(judged: JudgedTracks, *, prior: float, least: float = 0.0) -> Interval | None:
    """Return how far confidences are from precisions, in the mean over names, weighted by how many they are.

    Of names that are at least so sure: of all, most are strangers' nearest people at low priors, whose confidence and
    precision both are nearly nothing.

    The expected calibration error over bins with equally many names. Source: M. P. Naeini and others, «Obtaining well
    calibrated probabilities using Bayesian binning», 2015.
    """

    def measure(counts: F64) -> F64:
        curve = _curve(judged, counts, prior, least)
        total = sum(point.share for point in curve)
        apart = sum(point.share * abs(point.said - point.precision) for point in curve)
        return np.array([apart / total if total > 0 else np.nan])

    return _measured(judged, measure)


def calibration_curve(judged: JudgedTracks, *, prior: float) -> list[CurvePoint]:
    """Return how right names of rising confidence are."""
    return _curve(judged, np.ones(len(judged)), prior, 0.0)


def score_at_rate(scores: F64, counts: F64, rate: float) -> float:
    """Return the score above which at most this share of strangers is, each counted so often; nan of none."""
    total = float(counts.sum())
    if total <= 0:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    is_over = np.cumsum(counts[order]) > rate * total + 1e-9
    return float(scores[order[int(is_over.argmax())]])


def _curve(judged: JudgedTracks, counts: F64, prior: float, least: float) -> list[CurvePoint]:
    said, weights = judged.confidences(prior), _weights(judged, counts, prior)
    order = np.argsort(said, kind="stable")
    order = order[(said[order] > 0) & (said[order] >= least) & (weights[order] > 0)]
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


def _share_of(judged: JudgedTracks, hits: Flags, which: Flags) -> Interval | None:
    """Return which share of some tracks are hits.

    Of few subjects that are hit, or few that are not, drawing anew tells too little, and of none nothing: the interval
    is at least Wilson's over as many subjects.
    """
    found = _measured(judged, lambda counts: np.array([share(hits, counts * which)]))
    subjects = _subjects(judged, which)
    few = min(_subjects(judged, hits & which), _subjects(judged, ~hits & which))
    if found is None or few >= MIN_EXPECTED:
        return found
    least = wilson(round(found.value * subjects), subjects)
    return found if least is None else Interval(found.value, min(found.low, least.low), max(found.high, least.high))


def _subjects(judged: JudgedTracks, which: Flags) -> int:
    return len({one for one, is_meant in zip(judged.subjects, which.tolist(), strict=True) if is_meant})


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
