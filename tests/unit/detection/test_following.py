"""Which frames are searched in full, and where the others are looked at."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.detection.following import neighbours, searched_frames, squares_around
from annotator.types import FaceDetections


def grey(*levels: int) -> list[Any]:
    return [np.full((40, 60, 3), level, np.uint8) for level in levels]


def faces(*boxes: tuple[float, float, float, float]) -> FaceDetections:
    count = len(boxes)
    return FaceDetections(
        np.array(boxes, np.float32).reshape(-1, 4), np.ones(count, np.float32), np.zeros((count, 5, 2), np.float32)
    )


@pytest.mark.parametrize(
    ("levels", "every", "searched"),
    [
        ([], 5, []),
        ([9], 5, [0]),
        ([9, 9], 5, [0]),
        ([9] * 8, 3, [0, 3, 6]),
        ([9] * 4, 1, [0, 1, 2, 3]),
        ([9, 9, 200, 200, 200], 5, [0, 2]),  # a cut
        ([0, 6, 12, 18, 24, 30], 9, [0, 3]),  # a slow change adds up
    ],
)
def test_one_frame_in_so_many_is_searched_and_what_has_changed(
    levels: list[int], every: int, searched: list[int]
) -> None:
    assert searched_frames(grey(*levels), every=every, max_change=15).tolist() == searched


@given(st.lists(st.integers(0, 255), min_size=1, max_size=30), st.integers(1, 9))
@settings(deadline=None)
def test_no_frame_is_far_from_a_searched_one(levels: list[int], every: int) -> None:
    searched = searched_frames(grey(*levels), every=every, max_change=15).tolist()
    assert searched[0] == 0
    assert all(0 < after - before <= every for before, after in pairwise([*searched, len(levels)]))
    for number, around in enumerate(neighbours(len(levels), np.array(searched))):
        assert (around == ()) == (number in searched)
        if around:
            before, after = around[0], around[1] if len(around) == 2 else len(levels)
            assert before < number < after
            assert (after < len(levels)) == (number < searched[-1])
            assert abs(levels[number] - levels[before]) <= 15


def test_a_face_is_looked_for_where_it_was_and_a_little_beside() -> None:
    boxes = squares_around([faces((10, 10, 30, 30)), faces(), faces((50, 20, 60, 40))])
    assert boxes.shape == (10, 4)
    np.testing.assert_allclose(boxes[0], [11, 11, 30, 30])  # counted from 1, the last pixel included
    np.testing.assert_allclose(boxes[5], [46, 21, 65, 40])  # a square around its centre
    np.testing.assert_allclose(boxes[1] - boxes[0], [0.15 * 19, 0, 0.15 * 19, 0], rtol=1e-5)
    sides = boxes[:, 2:] - boxes[:, :2]
    np.testing.assert_allclose(sides, 19, rtol=1e-5)


def test_no_faces_around_give_nowhere_to_look() -> None:
    assert squares_around([faces(), faces()]).shape == (0, 4)
    assert squares_around([]).shape == (0, 4)
