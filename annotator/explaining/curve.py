"""The calibration curve of a track as SVG: how sure a name is over its score, and where the track stands on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from annotator.explaining.explanation import ExplainedTrack
from annotator.recognition.calibration import F64, Calibration

_WIDTH: Final = 640
_HEIGHT: Final = 300
_LEFT: Final = 56
_RIGHT: Final = 16
_TOP: Final = 26
_BOTTOM: Final = 46
_POINTS: Final = 121

_LOW: Final = -0.1
_HIGH: Final = 0.8
_STEP: Final = 0.1
"""Scores that the axis shows at least, and between its ticks. Strangers' best ones are about 0.2, people's own 0.3 to
0.9."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where scores and confidences are in the picture."""

    low: float
    high: float

    def across(self, score: float) -> float:
        return _LEFT + (score - self.low) / (self.high - self.low) * (_WIDTH - _LEFT - _RIGHT)

    def down(self, confidence: float) -> float:
        return _HEIGHT - _BOTTOM - confidence * (_HEIGHT - _TOP - _BOTTOM)


def confidence_curve(track: ExplainedTrack, calibration: Calibration, *, description: str) -> str:
    """Return the curve for faces of the track's size, the threshold, and points for the two nearest people.

    Args:
        track: with at least one person.
        calibration: of the gallery.
        description: HTML; read out to those who do not see the picture.

    """
    two = track.people[:2]
    frame = _frame([one.score for one in two] + [track.min_score])
    scores = np.linspace(frame.low, frame.high, _POINTS)
    confidences = calibration.confidences(scores[None], np.array([track.point.face_px]))[0]
    marks = [
        f'<circle class="{kind}" cx="{frame.across(one.score):.1f}" cy="{frame.down(one.confidence):.1f}" r="6"/>'
        for one, kind in zip(two, ("nearest", "second"), strict=False)
    ]
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{description}">'
        f"{_grid(frame)}{_threshold(frame, track.min_score)}"
        f'<path class="curve" d="{_path(frame, scores, confidences)}"/>{"".join(reversed(marks))}</svg>'
    )


def _frame(scores: Sequence[float]) -> _Frame:
    """Return an axis of whole steps with room for all scores."""
    low = np.floor(min(_LOW, *scores) / _STEP + 1e-6) * _STEP
    high = np.ceil(max(_HIGH, *scores) / _STEP - 1e-6) * _STEP
    return _Frame(float(low), float(high))


def _grid(frame: _Frame) -> str:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = []
    for number in range(round(frame.low / _STEP), round(frame.high / _STEP) + 1):
        at = frame.across(number * _STEP)
        parts.append(f'<path class="grid" d="M{at:.1f} {_TOP}V{bottom}"/>')
        parts.append(f'<text x="{at:.1f}" y="{bottom + 17}" text-anchor="middle">{number * _STEP:.1f}</text>')
    for quarter in range(5):
        at = frame.down(quarter / 4)
        parts.append(f'<path class="grid" d="M{_LEFT} {at:.1f}H{right}"/>')
        parts.append(f'<text x="{_LEFT - 7}" y="{at + 4:.1f}" text-anchor="end">{quarter / 4:g}</text>')
    middle = (_TOP + bottom) / 2
    parts.append(f'<text x="{(_LEFT + right) / 2}" y="{bottom + 38}" text-anchor="middle">score</text>')
    parts.append(
        f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">confidence</text>'
    )
    return "".join(parts)


def _threshold(frame: _Frame, min_score: float) -> str:
    at = frame.across(min_score)
    return (
        f'<path class="threshold" d="M{at:.1f} {_TOP}V{_HEIGHT - _BOTTOM}"/>'
        f'<text x="{at:.1f}" y="{_TOP - 8}" text-anchor="middle">threshold {min_score:.3f}</text>'
    )


def _path(frame: _Frame, scores: F64, confidences: F64) -> str:
    points = zip(scores.tolist(), confidences.tolist(), strict=True)
    return "M" + "L".join(f"{frame.across(score):.1f} {frame.down(confidence):.1f}" for score, confidence in points)
