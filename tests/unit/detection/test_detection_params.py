"""What a user may choose about detection."""

from typing import Any

import pytest

from annotator.detection import DetectionParams
from annotator.errors import ConfigError


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"min_face_px": 11}, "min_face_px must be at least 12"),
        ({"min_face_fraction": 0.0}, "min_face_fraction"),
        ({"min_face_fraction": 1.5}, "min_face_fraction"),
        ({"thresholds": (0.6, 0.7, 1.0)}, "thresholds"),
        ({"pyramid_factor": 1.0}, "pyramid_factor"),
        ({"max_change": float("nan")}, "max_change must be at least 0"),
        ({"search_every": 0}, "search_every must be at least 1"),
    ],
)
def test_values_out_of_range_are_refused(value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DetectionParams(**value)


@pytest.mark.parametrize(("fraction", "expected"), [(None, 20), (0.05, 20), (0.1, 27)])
def test_the_larger_of_the_absolute_and_the_relative_smallest_face_counts(fraction: float, expected: float) -> None:
    assert DetectionParams(min_face_px=20, min_face_fraction=fraction).min_face_of(270, 480) == pytest.approx(expected)
