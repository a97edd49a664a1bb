"""Boxes of the cascade and non-maximum suppression."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from annotator.detection.boxes import Overlap, half_open, moved, squares, suppress, within


def f32(*rows: Any) -> Any:
    return np.array(rows, np.float32)


def greedy(boxes: Any, scores: Any, limit: float, overlap: Overlap) -> list[int]:
    """Suppress one box after the other, as the original does."""
    one = float(overlap == "smaller")
    order, kept = list(np.argsort(-scores, kind="stable")), []
    while order:
        best = order.pop(0)
        kept.append(int(best))
        rest = []
        for other in order:
            a, b = boxes[best].astype(np.float32), boxes[other].astype(np.float32)
            sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]) + np.float32(one)
            common = np.prod(np.maximum(sides, 0))
            areas = [np.prod(c[2:] - c[:2] + np.float32(one)) for c in (a, b)]
            whole = min(areas) if overlap == "smaller" else sum(areas) - common
            if whole <= 0 or not common / whole > limit:
                rest.append(other)
        order = rest
    return kept


@st.composite
def crowded(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    count = draw(st.integers(0, 30))
    corners = draw(hnp.arrays(np.float32, (count, 2), elements=st.integers(0, 30).map(float)))
    sides = draw(hnp.arrays(np.float32, (count, 2), elements=st.integers(1, 20).map(float)))
    scores = draw(hnp.arrays(np.float32, count, elements=st.sampled_from([0.5, 0.75, 0.875, 1.0])))
    groups = draw(hnp.arrays(np.int64, count, elements=st.integers(0, 2)))
    return np.concatenate([corners, corners + sides], axis=1), scores, groups


@given(crowded(), st.sampled_from(["union", "smaller"]), st.sampled_from([0.3, 0.5, 0.7]))
@settings(deadline=None)
def test_what_stays_is_what_a_plain_greedy_loop_keeps_in_each_group(case: Any, overlap: Any, limit: float) -> None:
    boxes, scores, groups = case
    expected: list[int] = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        expected += [int(members[i]) for i in greedy(boxes[members], scores[members], limit, overlap)]
    kept = suppress(boxes, scores, groups, max_overlap=limit, overlap=overlap)
    assert kept.tolist() == expected


def test_hundreds_of_boxes_are_suppressed_as_a_few_are() -> None:
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 60, (300, 2)).astype(np.float32)
    boxes, scores = np.concatenate([corners, corners + 12], axis=1), rng.random(300).astype(np.float32)
    for overlap in ("union", "smaller"):
        kept = suppress(boxes, scores, np.zeros(300, np.int64), max_overlap=0.3, overlap=overlap)
        assert kept.tolist() == greedy(boxes, scores, 0.3, overlap)


def test_a_box_that_the_best_one_suppresses_cannot_suppress_a_third() -> None:
    boxes = f32([0, 0, 10, 10], [3, 0, 13, 10], [6, 0, 16, 10])
    kept = suppress(boxes, f32(0.9, 0.8, 0.7).ravel(), np.zeros(3, np.int64), max_overlap=0.5)
    assert kept.tolist() == [0, 2]


def test_nothing_in_nothing_out() -> None:
    assert (
        suppress(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), max_overlap=1).size == 0
    )


def test_squares_keep_the_centre_and_take_the_longer_side() -> None:
    np.testing.assert_allclose(squares(f32([10, 20, 20, 60])), f32([-5, 20, 35, 60]))


@pytest.mark.parametrize(("last_pixel", "expected"), [(0, [11, 18, 22, 40]), (1, [11.1, 17.9, 22.2, 40.0])])
def test_edges_move_by_parts_of_the_side_with_or_without_the_last_pixel(last_pixel: int, expected: Any) -> None:
    result = moved(f32([10, 20, 20, 40]), f32([0.1, -0.1, 0.2, 0.0]), last_pixel=last_pixel)
    np.testing.assert_allclose(result, f32(expected), atol=1e-5)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([1, 1, 10, 8], [0, 0, 10, 8]),
        ([-3.5, 0.2, 50, 50], [0, 0, 10, 8]),
        ([2.9, 3.9, 5.9, 6.9], [1, 2, 5, 6]),
        ([20, 1, 30, 8], [19, 0, 10, 8]),
    ],
)
def test_boxes_are_cut_to_the_whole_pixels_of_their_frame(box: Any, expected: Any) -> None:
    assert within(f32(box), np.array([[8, 10]])).tolist() == [expected]


def test_a_box_counted_from_one_becomes_half_open() -> None:
    assert half_open(f32([1, 1, 10, 8])).tolist() == [[0, 0, 10, 8]]
