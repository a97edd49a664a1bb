"""What a score is worth: thresholds and confidence by face size.

The same score means more for a small face: known people's scores fall with the size of their faces, and strangers'
hardly rise, so what is high for its size is surer. Thresholds and the likelihood ratio are fitted at a few face sizes
and interpolated between them, linearly in the logarithm of the size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ConfigError, ModelError
from annotator.types import F32

F64 = NDArray[np.float64]

MAX_LOG_RATIO: Final = 12.0
"""Likelihood ratios are cut at e^12: more cannot be learnt from a few thousand examples."""

_FIT_STEPS: Final = 100
_FIT_TOLERANCE: Final = 1e-10
_FIT_RIDGE: Final = 1e-3
"""Newton's method for a logistic curve; the ridge keeps it finite where the two kinds do not overlap."""


@dataclass(frozen=True, slots=True)
class SizePoint:
    """What was found for faces of one size.

    Attributes:
        face_px: side in source pixels of the square that is aligned to 112 x 112.
        min_scores: score from which a track is named, for each of the calibration's rates.
        slope: of the logarithm of the likelihood ratio over the score; positive.
        intercept: that logarithm at score 0.

    """

    face_px: float
    min_scores: tuple[float, ...]
    slope: float
    intercept: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds and confidence of a gallery.

    Attributes:
        points: by ascending face size, at least one.
        rates: shares of strangers' tracks that get a name (FPIR) for which there are thresholds.
        max_false_positive_rate: the one of them that is used.
        prior: assumed share of tracks that show somebody of the gallery; the confidence is stated under it.
        min_face_px: faces smaller than this say nothing: «too poor».
        sharp_below_px: faces smaller than this must also reach ``min_quality``.
        min_quality: quality (``annotator.quality.face_quality``) that small faces must reach.
        cohort: neighbours whose similarities normalise a score.
        min_confidence: names that are less sure are not given, even if their score reaches the threshold; 0 leaves the
            thresholds alone.
        clip_centre: (E,), mean embedding of faces in clips, where the prototypes are: what tracks are centred by.
            Faces in clips are smaller and poorer than photographs, and all shifted the same way; empty: by the mean of
            the gallery.

    """

    points: tuple[SizePoint, ...]
    rates: tuple[float, ...]
    max_false_positive_rate: float
    prior: float
    min_face_px: float
    sharp_below_px: float
    min_quality: float
    cohort: int
    min_confidence: float = 0.0
    clip_centre: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check.

        Raises:
            ModelError: a number is out of range.

        """
        sizes = [point.face_px for point in self.points]
        numbers = [
            number
            for point in self.points
            for number in (*point.min_scores, point.face_px, point.slope, point.intercept)
        ]
        fine = (
            len(sizes) > 0
            and sizes == sorted(set(sizes))
            and sizes[0] > 0
            and all(point.slope > 0 for point in self.points)
            and bool(np.isfinite(numbers).all())
            and 0.0 < self.prior < 1.0
            and all(0.0 < rate < 1.0 for rate in self.rates)
            and self.max_false_positive_rate in self.rates
            and all(len(point.min_scores) == len(self.rates) for point in self.points)
            and 0.0 <= self.min_quality <= 1.0
            and 0.0 <= self.min_face_px <= self.sharp_below_px < np.inf
            and self.cohort > 0
            and 0.0 <= self.min_confidence < 1.0
            and bool((np.abs(self.clip_centre) <= 1.0).all())
        )
        if not fine:
            raise ModelError("the calibration of the model bundle is out of range: build the bundle again")

    def min_scores(self, face_px: F64) -> F64:
        """Return the scores from which faces of these sizes (T,) are named: infinite where no score is sure enough."""
        return self._min_scores_at(self.rates.index(self.max_false_positive_rate), face_px)

    def _min_scores_at(self, rate: int, face_px: F64) -> F64:
        thresholds = self._between([point.min_scores[rate] for point in self.points], face_px)
        return np.maximum(thresholds, self._sure_scores(face_px)) if self.min_confidence else thresholds

    def _sure_scores(self, face_px: F64) -> F64:
        """Return (T,), the scores from which a name is as sure as ``min_confidence`` asks."""
        log_ratio = _log_odds(self.min_confidence) - _log_odds(self.prior)
        if log_ratio > MAX_LOG_RATIO:
            return np.full(len(face_px), np.inf)
        slope, intercept = self._curve(face_px)
        return (log_ratio - intercept) / slope

    @property
    def max_confidence(self) -> float:
        """The confidence that no name exceeds under ``prior``, whatever its score."""
        return float(1.0 / (1.0 + np.exp(-(MAX_LOG_RATIO + _log_odds(self.prior)))))

    def confidences(self, scores: F64, face_px: F64) -> F64:
        """Return how sure names with these scores are.

        Args:
            scores: f64 (T, …), normalised similarities.
            face_px: f64 (T,), face sizes.

        Returns:
            f64 (T, …), in (0, 1), growing with the score: the likelihood ratio of «it is this person» to «it is a
            stranger», as fitted, times the odds of ``prior``. An estimate, not a measured precision.

        """
        log_ratios = self.log_ratios(scores, face_px)
        return np.asarray(1.0 / (1.0 + np.exp(-(log_ratios + _log_odds(self.prior)))), np.float64)

    def log_ratios(self, scores: F64, face_px: F64) -> F64:
        """Return the logarithms of the likelihood ratios of «it is this person» to «it is a stranger».

        Args:
            scores: f64 (T, …), normalised similarities.
            face_px: f64 (T,), face sizes.

        Returns:
            f64 (T, …), cut at ``MAX_LOG_RATIO`` on either side; no prior is in them.

        """
        shape = (-1,) + (1,) * (scores.ndim - 1)
        slope, intercept = (values.reshape(shape) for values in self._curve(face_px))
        return np.asarray(np.clip(slope * scores + intercept, -MAX_LOG_RATIO, MAX_LOG_RATIO), np.float64)

    def _curve(self, face_px: F64) -> tuple[F64, F64]:
        """Return slope (T,) and intercept (T,) of the log ratio over the score."""
        slope = self._between([point.slope for point in self.points], face_px)
        return slope, self._between([point.intercept for point in self.points], face_px)

    def point_at(self, face_px: float) -> SizePoint:
        """Return what holds for faces of one size, between the sizes that were calibrated."""
        size = np.array([face_px])
        slope, intercept = self._curve(size)
        return SizePoint(
            face_px=face_px,
            min_scores=tuple(float(self._min_scores_at(rate, size)[0]) for rate in range(len(self.rates))),
            slope=float(slope[0]),
            intercept=float(intercept[0]),
        )

    def usable_faces(self, face_px: F32, quality: F32) -> NDArray[np.bool_]:
        """Return which faces (K,) are large and sharp enough to say who it is."""
        return (face_px >= self.min_face_px) & ((face_px >= self.sharp_below_px) | (quality >= self.min_quality))

    def _between(self, values: Sequence[float], face_px: F64) -> F64:
        sizes = np.log2([point.face_px for point in self.points])
        return np.asarray(np.interp(np.log2(np.maximum(face_px, 1.0)), sizes, values), np.float64)

    def at_rate(self, max_false_positive_rate: float) -> "Calibration":
        """Return the calibration with another operating point.

        Raises:
            ConfigError: there are no thresholds for this rate.

        """
        if max_false_positive_rate not in self.rates:
            known = ", ".join(f"{rate:g}" for rate in self.rates)
            raise ConfigError(
                f"the model has no thresholds for a false positive rate of {max_false_positive_rate:g}: {known}"
            )
        return replace(self, max_false_positive_rate=max_false_positive_rate)

    def with_wishes(self, *, prior: float | None, min_confidence: float | None) -> "Calibration":
        """Return the calibration with another prior, or for names that must be surer; None leaves what it has.

        Raises:
            ConfigError: a number is not between 0 and 1, or no name can be so sure under the prior.

        """
        for name, number in (("prior", prior), ("least confidence", min_confidence)):
            if number is not None and not 0.0 < number < 1.0:
                raise ConfigError(f"the {name} must be between 0 and 1, and neither of them, got {number:g}")
        wanted = replace(
            self,
            prior=self.prior if prior is None else prior,
            min_confidence=self.min_confidence if min_confidence is None else min_confidence,
        )
        if wanted.min_confidence > wanted.max_confidence:
            raise ConfigError(
                f"no name can have a confidence of {wanted.min_confidence:g}: with a prior of {wanted.prior:g} the"
                f" highest is {wanted.max_confidence:.6f}; ask for less"
            )
        return wanted

    def for_some(self, kept: int, of: int) -> "Calibration":
        """Return the calibration of a gallery that has lost people, for ``kept`` ``of`` those that it was fitted with.

        The nearest 300 of 1,226 are those over a certain quantile, and a level is their mean. Of fewer people the same
        share lies over it; 300 of 300 would be everybody, whose mean is far lower, and all scores would rise.
        """
        return replace(self, cohort=max(1, round(self.cohort * kept / max(of, 1))))

    def mark_beside(self, other: "Calibration") -> str:
        """Return what tells names under it from those under another calibration of the model; empty if nothing does.

        >>> from dataclasses import replace
        >>> own = Calibration((SizePoint(64.0, (0.3,), 10.0, -3.0),), (0.01,), 0.01, 0.1, 32.0, 48.0, 0.5, 20)
        >>> replace(own, prior=0.03, min_confidence=0.98).mark_beside(own)
        '+prior=0.03+min-precision=0.98'
        """
        prior = f"+prior={self.prior:g}" if self.prior != other.prior else ""
        sure = f"+min-precision={self.min_confidence:g}" if self.min_confidence != other.min_confidence else ""
        return prior + sure

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values; what changes nothing is left out, so that digests stay."""
        values = asdict(self)
        for name in ("min_confidence", "clip_centre"):
            if not values[name]:
                del values[name]
        return values

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Calibration":
        """Read it from JSON values.

        Raises:
            ModelError: a field is missing, unknown or out of range.

        """
        try:
            points = tuple(
                SizePoint(
                    face_px=float(point["face_px"]),
                    min_scores=tuple(float(score) for score in point["min_scores"]),
                    slope=float(point["slope"]),
                    intercept=float(point["intercept"]),
                )
                for point in value["points"]
            )
            rates = tuple(float(rate) for rate in value["rates"])
            clip_centre = tuple(float(number) for number in value.get("clip_centre", ()))
            read = ("points", "rates", "cohort", "clip_centre")
            rest = {name: float(number) for name, number in value.items() if name not in read}
            return cls(points=points, rates=rates, cohort=int(value["cohort"]), clip_centre=clip_centre, **rest)
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise ModelError(f"the calibration of the model bundle cannot be read ({error}): build it again") from error


def _log_odds(probability: float) -> float:
    return float(np.log(probability / (1.0 - probability)))


def score_at_rate(impostor: F64, rate: float) -> float:
    """Return the least score that at most a share ``rate`` of the impostors reaches."""
    ordered = np.sort(impostor)[::-1]
    allowed = int(np.floor(rate * len(ordered)))
    if allowed >= len(ordered):
        return float(ordered[-1])
    return float(np.nextafter(ordered[allowed], np.inf))


def fit_log_ratio(genuine: F64, impostor: F64) -> tuple[float, float]:
    """Fit log(p(score | genuine) / p(score | impostor)) = slope * score + intercept.

    Args:
        genuine: f64 (G,), scores that left-out people's tracks got for their own names.
        impostor: f64 (S,), best scores that strangers' tracks got. Both kinds weigh the same.

    Returns:
        Slope, positive, and intercept.

    """
    scores = np.concatenate([genuine, impostor])
    is_genuine = np.concatenate([np.ones(len(genuine)), np.zeros(len(impostor))])
    weights = np.where(is_genuine > 0, 0.5 / len(genuine), 0.5 / len(impostor))
    design = np.stack([scores, np.ones_like(scores)], axis=1)
    ridge = np.diag([_FIT_RIDGE / len(scores), 0.0])
    parameters = np.zeros(2)
    for _ in range(_FIT_STEPS):
        predicted = 1.0 / (1.0 + np.exp(-(design @ parameters)))
        gradient = design.T @ (weights * (predicted - is_genuine)) + ridge @ parameters
        curvature = (design * (weights * predicted * (1 - predicted))[:, None]).T @ design + ridge
        step = np.linalg.solve(curvature + 1e-12 * np.eye(2), gradient)
        parameters = parameters - step / max(1.0, float(np.abs(step).max()) / 5.0)
        if np.abs(step).max() < _FIT_TOLERANCE:
            break
    return max(float(parameters[0]), _FIT_RIDGE), float(parameters[1])
