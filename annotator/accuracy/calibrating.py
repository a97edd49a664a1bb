"""Thresholds and confidence of a gallery, told from drawn clips instead of made-up tracks.

Faces in clips are shifted against photographs, all the same way: their mean is what tracks are centred by.

The logarithm of the likelihood ratio of «it is this person» to «it is somebody else» is a plane over the score and the
logarithm of the face's size: a logistic regression of right names over all tracks, of which known people's and
strangers' weigh the same. A known person's track whose nearest person is another counts among the wrong ones.

Thresholds lie on its contour lines: at each size the score at which a name is as likely, so that over all sizes a share
of the strangers gets one.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from annotator.accuracy.measures import Flags, JudgedTracks, score_at_rate
from annotator.accuracy.trial import Trial
from annotator.errors import ConfigError
from annotator.recognition.calibration import F64, Calibration, SizePoint
from annotator.recognition.evidence import pool_track, unit
from annotator.recognition.prior import KnownTracks

SIZES_PX: Final = (32.0, 48.0, 64.0, 96.0, 128.0)
"""Of the points. Between them slopes, intercepts and thresholds are taken to be straight, beyond them level."""

MIN_TRACKS: Final = 200
"""Of known people, and of strangers: of fewer no plane is fitted."""

_MIDDLE_PX: Final = 64.0
_STEPS: Final = 100
_LARGEST_STEP: Final = 5.0
_TOLERANCE: Final = 1e-10
_RIDGE: Final = 1e-3
"""Newton's method for a logistic plane; the ridge keeps it finite where the two kinds do not overlap."""

_LOG_SCALES: Final = (-2.0, 4.0)
_SCALES: Final = 601
"""Scales that are tried, in steps of a hundredth."""

_LEAST_SLOPE: Final = 1.0
_DIGITS: Final = 6
_ROUNDING: Final = 10.0**-_DIGITS
_TINY: Final = 1e-12


def calibrate(trial: Trial) -> Calibration:
    """Return the calibration of the trial's gallery with another centre and other points, fitted to its tracks.

    Args:
        trial: drawn clips; none of its people may be among those on whom the result is reported.

    Raises:
        ConfigError: there are too few tracks.

    """
    now = replace(trial.held.bundle.calibration, clip_centre=_clip_centre(trial))
    held = replace(trial.held, bundle=replace(trial.held.bundle, calibration=now))
    folds = Trial(held, trial.clips).folds
    sizes = face_sizes(trial, folds)
    points = fit_points(folds.scores, sizes, is_known=folds.is_known, is_right=folds.is_right, rates=now.rates)
    return replace(now, points=points)


def known_tracks(trial: Trial) -> KnownTracks:
    """Return what tracks of known people look like, told from a trial's tracks by the calibration of its gallery.

    The share of tracks whose nearest person is right is a logistic curve over the logarithm of the face's size. The
    scale is the likeliest one where known people's tracks and strangers' weigh the same.

    Args:
        trial: drawn clips; none of its people may be among those on whom the result is reported.

    Raises:
        ConfigError: there are too few tracks.

    """
    folds = trial.folds.of(np.isfinite(trial.folds.log_ratios))
    known = folds.is_known
    if (least := min(int(known.sum()), int((~known).sum()))) < MIN_TRACKS:
        raise ConfigError(f"a calibration needs {MIN_TRACKS} tracks of known people and of strangers, not {least}")
    level = _level(face_sizes(trial, folds))
    design = np.stack([level[known], np.ones(int(known.sum()))], axis=1)
    curve = _fitted(design, np.ones(len(design), np.bool_), folds.is_right[known])
    right = 1.0 / (1.0 + np.exp(-(_level(np.array(SIZES_PX)) * curve[0] + curve[1])))
    seldom = 1.0 - 1.0 / (1.0 + np.exp(-(level * curve[0] + curve[1])))
    weights = np.where(known, 0.5 / known.sum(), 0.5 / (~known).sum())

    def likelihood(scale: float) -> float:
        ratios = seldom + scale * np.exp(folds.log_ratios)
        return float((weights * (np.where(known, np.log(ratios), 0.0) - np.log1p(ratios))).sum())

    scale = max(np.exp(np.linspace(*_LOG_SCALES, _SCALES)).tolist(), key=likelihood)
    return KnownTracks(SIZES_PX, tuple(round(one, _DIGITS) for one in right.tolist()), round(scale, 4))


def face_sizes(trial: Trial, judged: JudgedTracks) -> F64:
    """Return f64 (N,), the sizes that judged tracks count as; 1 of those without a usable face."""
    return np.array([_face_px(trial, number) for number in judged.tracks.tolist()], np.float64)


def fit_points(
    scores: F64, face_px: F64, *, is_known: Flags, is_right: Flags, rates: Sequence[float]
) -> tuple[SizePoint, ...]:
    """Fit likelihood ratios and thresholds.

    Args:
        scores: f64 (N,), of the nearest person; -inf of tracks that are too poor.
        face_px: f64 (N,), sizes of the faces.
        is_known: bool (N,), whether somebody of the gallery is seen; else a stranger is.
        is_right: bool (N,), whether that is the nearest person.
        rates: shares of strangers' tracks that get a name, for which there are thresholds.

    Raises:
        ConfigError: there are too few tracks, or scores say nothing about who it is.

    """
    is_told = np.isfinite(scores)
    known, strangers = is_told & is_known, is_told & ~is_known
    least = min(int(known.sum()), int(strangers.sum()))
    if least < MIN_TRACKS:
        raise ConfigError(f"a calibration needs {MIN_TRACKS} tracks of known people and of strangers, not {least}")
    plane = _fitted(_design(scores[is_told], face_px[is_told]), is_known[is_told], is_right[is_told])
    ratios = np.full(int((~is_known).sum()), -np.inf)  # of strangers; those who are too poor get no name
    ratios[is_told[~is_known]] = _design(scores[strangers], face_px[strangers]) @ plane
    limits = [score_at_rate(ratios, np.ones(len(ratios)), rate) for rate in rates]
    if not np.isfinite(limits).all():
        raise ConfigError("nearly all strangers' faces are too small or too blurred: more and larger ones are needed")
    points = []
    for size in SIZES_PX:
        slope, intercept = _line(plane, size)
        if slope < _LEAST_SLOPE:
            raise ConfigError(
                f"at {size:g} pixels the scores of known people are no higher than strangers': nothing can be fitted"
            )
        # Rounded up: a name is given from the threshold on, and so many strangers may reach it at most.
        min_scores = tuple(round((limit - intercept) / slope + _ROUNDING, _DIGITS) for limit in limits)
        points.append(SizePoint(size, min_scores, round(slope, _DIGITS), round(intercept, _DIGITS)))
    return tuple(points)


def _clip_centre(trial: Trial) -> tuple[float, ...]:
    """Return (E,), the mean embedding of the tracks of living people, where the prototypes are."""
    pooled = [_pooled(trial, number) for number in np.unique(trial.folds.tracks).tolist()]
    usable = [embedding for embedding, size_px in pooled if size_px >= SIZES_PX[0]]
    if len(usable) < MIN_TRACKS:
        raise ConfigError(f"a calibration needs {MIN_TRACKS} tracks of {SIZES_PX[0]:g} pixels, not {len(usable)}")
    embeddings = np.stack(usable)
    centre = trial.held.bundle.comparable(unit(embeddings)).mean(axis=0)
    return tuple(round(number, _DIGITS) for number in centre.tolist())


def _face_px(trial: Trial, number: int) -> float:
    """Return the size that a track counts as, as the decision takes it."""
    return _pooled(trial, number)[1]


def _pooled(trial: Trial, number: int) -> tuple[F64, float]:
    """Return a track's embedding, f64 (D,), and its size, as the decision takes them; of no usable face nothing, 1."""
    evidence = trial.tracks[number].evidence
    sizes, quality = evidence.face_px.astype(np.float32), evidence.quality.astype(np.float32)
    is_usable = trial.held.bundle.calibration.usable_faces(sizes, quality)
    return pool_track(evidence, is_usable) if is_usable.any() else (np.zeros(0), 1.0)


def _level(face_px: F64) -> F64:
    """Return f64, how many times a size is twice that of the middle point."""
    return np.asarray(np.log2(np.clip(face_px, SIZES_PX[0], SIZES_PX[-1]) / _MIDDLE_PX), np.float64)


def _design(scores: F64, face_px: F64) -> F64:
    level = _level(face_px)
    return np.stack([scores, level, scores * level, np.ones_like(scores)], axis=1)


def _fitted(design: F64, is_known: Flags, is_right: Flags) -> F64:
    """Return f64 (C,), what the columns of a design (N, C) are multiplied by; the last is of ones. Newton's method."""
    weights = np.where(is_known, 0.5 / max(is_known.sum(), 1), 0.5 / max((~is_known).sum(), 1))
    ridge = np.diag([_RIDGE / len(design)] * (design.shape[1] - 1) + [0.0])
    plane = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        predicted = 1.0 / (1.0 + np.exp(-(design @ plane)))
        gradient = design.T @ (weights * (predicted - is_right)) + ridge @ plane
        curvature = (design * (weights * predicted * (1.0 - predicted))[:, None]).T @ design + ridge
        step = np.linalg.solve(curvature + _TINY * np.eye(len(plane)), gradient)
        plane = plane - step / max(1.0, float(np.abs(step).max()) / _LARGEST_STEP)
        if np.abs(step).max() < _TOLERANCE:
            break
    return plane


def _line(plane: F64, face_px: float) -> tuple[float, float]:
    """Return slope and intercept of the logarithm of the likelihood ratio over the score, at a size."""
    level = float(_level(np.array(face_px)))
    slope, of_size, of_both, intercept = plane.tolist()
    return slope + of_both * level, intercept + of_size * level
