"""What the scores of a fitted model are worth, told from its validation photographs and from strangers.

An experiment may have five people and ten such photographs. So where strangers are too few to show a threshold, the
highest of them are taken to fall off exponentially, and the highest rate there is a threshold for is used: it takes the
least of that guess. Both kinds of scores get one made-up outlier, which keeps a handful of well told faces from being
taken for certainty.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from annotator.recognition.building import BuildParams, trial_metrics
from annotator.recognition.bundle import ModelBundle
from annotator.recognition.calibration import F64, Calibration, SizePoint, fit_log_ratio
from annotator.recognition.photographs import FaceEmbedding
from annotator.recognition.trial import LeftOut, TrialScores, probe_tracks, run_trial, size_points
from annotator.types import I64, U8

MIN_EXPECTED: Final = 3.0
"""Strangers that must be expected over a threshold for it to be told from them alone."""

WIDENING: Final = 1.5
"""How many times slower scores are taken to fall off without strangers: the people of the labels stand for them, and
the network was fitted to tell these apart."""

TAIL_SHARE: Final = 0.2
"""Share of strangers, the nearest ones, that the tail is told from. With 60 strangers and a head over four people the
tail puts 1 % at 1.19 where 300 others have it at 1.13 to 1.15; a normal distribution puts it at 1.30."""


def calibrated(
    draft: ModelBundle,
    shown: U8,
    person: I64,
    *,
    strangers: U8,
    embedder: FaceEmbedding,
    params: BuildParams,
) -> tuple[Calibration, dict[str, Any]]:
    """Calibrate a bundle.

    Args:
        draft: the bundle, not yet calibrated.
        shown: u8 (N, side, side, 3), faces of its people that nothing was fitted to, cut for the embedder.
        person: i64 (N,), whom they show, by place in the bundle.
        strangers: u8 (S, side, side, 3), faces of others; S may be 0.
        embedder: of the bundle.
        params: sizes and rates.

    Returns:
        The calibration, and the shares of the faces that are found under it.

    """
    left_out = LeftOut(person, draft.prototypes[person], draft.photo_counts[person].astype(np.int64))
    trials: dict[int, tuple[TrialScores, TrialScores]] = {}
    for size in params.face_sizes_px:
        known = probe_tracks(shown, face_px=size, variants=params.variants, embedder=embedder)
        unknown = np.zeros((0, known.shape[1]))
        if len(strangers):
            unknown = probe_tracks(strangers, face_px=size, variants=params.variants, embedder=embedder)
        rule, plain = (
            run_trial(draft, left_out, probes=known, strangers=unknown, is_plain=is_plain) for is_plain in (False, True)
        )
        trials[size] = (rule, plain)
    rules = {size: rule for size, (rule, _) in trials.items()}
    points = careful_points(rules, params.rates, has_strangers=len(strangers) > 0)
    calibration = params.calibration(points)
    if params.max_false_positive_rate * len(strangers) < MIN_EXPECTED:
        calibration = calibration.at_rate(max(params.rates))
    return calibration, trial_metrics(trials, left_out, points, params)


def careful_points(
    trials: Mapping[int, TrialScores], rates: Sequence[float], *, has_strangers: bool
) -> tuple[SizePoint, ...]:
    """Fit thresholds and likelihood ratios as :func:`~annotator.recognition.trial.size_points`, but for few faces.

    Args:
        trials: by face size, px.
        rates: shares of strangers that may be named.
        has_strangers: whether any were shown.

    """
    sizes = sorted(trials)
    points = []
    for index, point in enumerate(size_points(trials, rates)):
        near = np.concatenate([trials[size].impostor for size in sizes[max(0, index - 1) : index + 2]])
        scores = [
            max(score, exponential_tail(near, rate, 1.0 if has_strangers else WIDENING))
            if rate * len(near) < MIN_EXPECTED or not has_strangers
            else score
            for score, rate in zip(point.min_scores, rates, strict=True)
        ]
        own, impostor = trials[sizes[index]].own, trials[sizes[index]].impostor
        slope, intercept = fit_log_ratio(np.append(own, impostor.mean()), np.append(impostor, own.mean()))
        min_scores = tuple(round(score, 6) for score in scores)
        points.append(replace(point, min_scores=min_scores, slope=round(slope, 6), intercept=round(intercept, 6)))
    return tuple(points)


def exponential_tail(scores: F64, rate: float, widening: float) -> float:
    """Return the score that a share ``rate`` of strangers reaches if the nearest of them fall off exponentially.

    Args:
        scores: f64 (N,), of strangers, N > 0.
        rate: under ``TAIL_SHARE``.
        widening: how many times slower than the nearest of them do.

    """
    start = float(np.quantile(scores, 1.0 - TAIL_SHARE))
    beyond = scores[scores > start] - start
    mean_excess = float(beyond.mean()) if len(beyond) else 0.0
    return start + widening * mean_excess * float(np.log(TAIL_SHARE / rate))
