"""What is assumed of the release's scores, since neither photographs nor strangers came with it.

The centres of its people stand for strangers to each other: how near they come to somebody else's centre, and further
out an exponential tail, says where names begin. That half of the known people would be found there, and
the confidence that follows from it, is a guess; the model card says so.
"""

from typing import Final

import numpy as np

from annotator.errors import ModelError
from annotator.recognition.building import BuildParams
from annotator.recognition.calibration import F64, Calibration, SizePoint
from annotator.recognition.evidence import unit
from annotator.types import F32
from trainer.export.calibrating import WIDENING, exponential_tail

ASSUMED_FOUND: Final = 0.5
"""Share of known people's tracks that are taken to reach a threshold."""

_FACE_PX: Final = 112.0
_MIN_STEP: Final = 1e-3
"""Least distance of two thresholds: all centres may be one."""


def unit_centres(centres: F32) -> F32:
    """Return centres (P, D) at unit length.

    Raises:
        ModelError: one has none, or is no number.

    """
    norms = np.linalg.norm(centres.astype(np.float64), axis=1)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise ModelError(
            "a class of the checkpoint has no centre: it was not fitted with the centre loss of the release"
        )
    return np.asarray(centres / norms[:, None], np.float32)


def assumed_calibration(prototypes: F32, mean: F32) -> Calibration:
    """Return thresholds and confidence, f32 (P, D) and (D,) given.

    The normalisation of scores moves them down by what centres have in common; the plain centred cosine is an upper
    bound of it, so that thresholds are strict rather than loose.
    """
    params = BuildParams()
    nearest = _nearest_others(prototypes.astype(np.float64), mean.astype(np.float64))
    scores = [exponential_tail(nearest, rate, WIDENING) for rate in params.rates]
    scores = [score + place * _MIN_STEP for place, score in enumerate(scores)]
    ratios = np.log([ASSUMED_FOUND / rate for rate in params.rates])
    slope = float((ratios[-1] - ratios[0]) / (scores[-1] - scores[0]))
    point = SizePoint(
        face_px=_FACE_PX,
        min_scores=tuple(round(score, 6) for score in scores),
        slope=round(slope, 6),
        intercept=round(float(ratios[0] - slope * scores[0]), 6),
    )
    return params.calibration((point,))


def _nearest_others(prototypes: F64, mean: F64) -> F64:
    """Return f64 (P,), the cosine of each centred prototype to the nearest other."""
    centred = unit(prototypes - mean)
    nearest = np.zeros(len(centred))
    for index, one in enumerate(centred):  # a row at a time: the whole matrix of 2,306 people takes 43 MB
        similarities = centred @ one
        similarities[index] = -np.inf
        nearest[index] = similarities.max() if len(centred) > 1 else 0.0
    return nearest
