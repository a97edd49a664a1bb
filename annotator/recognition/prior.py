"""Which share of tracks shows somebody of the gallery, estimated from the tracks themselves.

Each track's log ratio says how much likelier its best score is of somebody of the gallery than of a stranger. Of tracks
of both kinds in unknown parts, the share that makes what was seen likeliest is found by Newton's method: its
likelihood has one maximum. Tracks of one content are no independent samples, so the interval comes from drawing whole
contents again.

That log ratio is of the *nearest* person. Of somebody of the gallery whose face says little, somebody else is nearest,
as of a stranger: to count such tracks, too, one must know how often that is (:class:`KnownTracks`).

What somebody has said of a track says more than its log ratio and takes its place (:func:`with_answers`). That stays
right however tracks were chosen to be looked at by their scores, and errs only where they were chosen by the answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ModelError
from annotator.recognition.calibration import F64, MAX_LOG_RATIO
from annotator.types import I64

REPLICATES: Final = 1000
"""Draws of the bootstrap; the ends of an interval of 95 % rest on 25 draws each."""

_SEED: Final = 20
_STEP: Final = 0.01
"""Log ratios are counted in steps of it, which moves an estimate by less than its hundredth: a draw then is a count."""

_NEWTON_STEPS: Final = 60
_TOLERANCE: Final = 1e-10
_TAIL: Final = 0.025  # of either side of the interval


@dataclass(frozen=True, slots=True)
class KnownTracks:
    """What is known of tracks that show somebody of the gallery, whoever is nearest to them.

    Attributes:
        face_px: face sizes, ascending, at least one.
        nearest_is_right: at each size, for which share of these tracks the right person is nearest, in [0, 1].
        scale: what likelihood ratios of nearest people are multiplied by; 2 less that share, were they exact.

    """

    face_px: tuple[float, ...]
    nearest_is_right: tuple[float, ...]
    scale: float

    def __post_init__(self) -> None:
        """Check.

        Raises:
            ModelError: a number is out of range.

        """
        fine = (
            len(self.face_px) == len(self.nearest_is_right) > 0
            and list(self.face_px) == sorted(set(self.face_px))
            and self.face_px[0] > 0
            and all(0.0 <= one <= 1.0 for one in self.nearest_is_right)
            and 0.0 < self.scale < np.inf
        )
        if not fine:
            raise ModelError("what the model bundle says of known people's tracks is out of range: build it again")

    def log_ratios(self, log_ratios: F64, face_px: F64) -> F64:
        """Return how much likelier tracks are of somebody of the gallery than of a stranger.

        A track of somebody whose nearest person is another looks like a stranger's.

        Args:
            log_ratios: f64 (T,), of the nearest person of each.
            face_px: f64 (T,), face sizes.

        Returns:
            f64 (T,), logarithms of likelihood ratios, too.

        """
        sizes = np.log2(self.face_px)
        right = np.interp(np.log2(np.maximum(face_px, 1.0)), sizes, self.nearest_is_right)
        return np.asarray(np.log(1.0 - right + self.scale * np.exp(log_ratios)), np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "face_px": list(self.face_px),
            "nearest_is_right": list(self.nearest_is_right),
            "scale": self.scale,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "KnownTracks":
        """Read it from JSON values.

        Raises:
            ModelError: a field is missing or out of range.

        """
        try:
            sizes, right = (tuple(float(one) for one in value[name]) for name in ("face_px", "nearest_is_right"))
            return cls(sizes, right, float(value["scale"]))
        except (TypeError, KeyError, ValueError) as error:
            raise ModelError(
                f"what the model bundle says of known people's tracks cannot be read ({error}): build it again"
            ) from error


@dataclass(frozen=True, slots=True)
class PriorEstimate:
    """A share of tracks with its interval of 95 %.

    Attributes:
        prior: the likeliest share, in (0, 1): half a track of all is the least that is told.
        low: lower end.
        high: upper end; at least the share of contents of which one archive in forty of this size would show none.
        tracks: on how many it rests.
        contents: in how many contents these are.

    """

    prior: float
    low: float
    high: float
    tracks: int
    contents: int


def estimate_prior(log_ratios: F64, content_id: I64) -> PriorEstimate:
    """Estimate the share of tracks that show somebody of the gallery.

    Args:
        log_ratios: f64 (T,), of each usable track, T > 0: of «it shows somebody of the gallery» to «it shows a
            stranger», whoever is nearest.
        content_id: i64 (T,), which content each is of.

    Raises:
        ValueError: there is no track, or the arrays do not fit one another.

    """
    if not len(log_ratios) or log_ratios.shape != content_id.shape:
        raise ValueError(f"needs tracks with their contents, got {log_ratios.shape} and {content_id.shape}")
    steps, step_of = np.unique(np.round(log_ratios / _STEP), return_inverse=True)
    contents, content_of = np.unique(content_id, return_inverse=True)
    ratios = np.exp(steps * _STEP)
    estimate = _likeliest_share(ratios, np.bincount(step_of, minlength=len(steps)).astype(np.float64))
    draws = np.empty(REPLICATES)
    random = np.random.default_rng(_SEED)
    for place in range(REPLICATES):
        drawn = np.bincount(random.integers(0, len(contents), len(contents)), minlength=len(contents))
        counts = np.bincount(step_of, weights=drawn[content_of], minlength=len(steps))
        draws[place] = _likeliest_share(ratios, counts.astype(np.float64))
    low, high = np.quantile(draws, (_TAIL, 1.0 - _TAIL))
    unseen = 1.0 - _TAIL ** (1.0 / len(contents))
    return PriorEstimate(
        prior=estimate,
        low=float(min(low, estimate, 1.0 - unseen)),
        high=float(max(high, estimate, unseen)),
        tracks=len(log_ratios),
        contents=len(contents),
    )


def with_answers(log_ratios: F64, is_of_gallery: NDArray[np.int8]) -> F64:
    """Return log ratios, f64 (T,), with those of tracks replaced of which somebody has said whom they show.

    Args:
        log_ratios: f64 (T,).
        is_of_gallery: i8 (T,), 1 where they show somebody of the gallery, -1 where not, 0 where nobody has said it.

    """
    return np.where(is_of_gallery == 0, log_ratios, is_of_gallery * MAX_LOG_RATIO)


def _likeliest_share(ratios: F64, counts: F64) -> float:
    """Return the share p that maximises the sum of counts * log(1 + p * (ratio - 1)), which is concave in p.

    Args:
        ratios: f64 (N,), likelihood ratios.
        counts: f64 (N,), of how many tracks each is.

    """
    gains = ratios - 1.0
    least = 0.5 / (counts.sum() + 1.0)
    low, high = least, 1.0 - least
    share = 0.5
    for _ in range(_NEWTON_STEPS):
        terms = gains / (1.0 + share * gains)
        slope = float((counts * terms).sum())
        low, high = (share, high) if slope > 0.0 else (low, share)  # the maximum stays between them
        curvature = float((counts * terms * terms).sum())
        following = share + slope / curvature if curvature > 0.0 else low
        if not low < following < high:
            following = 0.5 * (low + high)
        if abs(following - share) < _TOLERANCE:
            break
        share = following
    return share


def names_of(log_ratios: F64, is_named: NDArray[np.bool_], *, prior: float, min_confidence: float) -> int:
    """Return how many names have at least a confidence under a prior.

    Args:
        log_ratios: f64 (T,), of the nearest person of each track.
        is_named: bool (T,), which tracks get a name.
        prior: share of tracks that show somebody of the gallery.
        min_confidence: the least confidence that counts.

    """
    needed = np.log(min_confidence / (1.0 - min_confidence)) - np.log(prior / (1.0 - prior))
    return int((is_named & (log_ratios >= needed)).sum())


def expected_right(log_ratios: F64, *, prior: float) -> float:
    """Return how many names are right if confidences under a prior are.

    Args:
        log_ratios: f64 (T,), of those who are named.
        prior: share of tracks that show somebody of the gallery.

    """
    return float((1.0 / (1.0 + np.exp(-log_ratios) * (1.0 - prior) / prior)).sum())
