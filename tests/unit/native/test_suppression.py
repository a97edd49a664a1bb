"""What suppression of boxes is given; that it is right, ``tests/unit/detection/test_boxes.py`` holds."""

from typing import Any

import numpy as np
import pytest

from annotator.native import staying

BOXES = np.array([[0, 0, 9, 9], [0, 0, 9, 9], [50, 50, 60, 60]], np.float32)


def stays(boxes: Any, starts: Any) -> list[bool]:
    return staying(boxes, starts, limit=0.5, last_pixel=0, is_of_smaller=False).tolist()


def test_of_equal_boxes_the_first_stays_in_each_group() -> None:
    assert stays(BOXES, np.array([0, 3])) == [True, False, True]
    assert stays(BOXES, np.array([0, 1, 1, 3])) == [True, True, True]
    assert stays(BOXES[:0], np.array([0])) == []


def test_boxes_may_lie_in_memory_in_any_way() -> None:
    memory = np.zeros(BOXES.nbytes + 1, np.uint8)
    askew = memory[1:].view(np.float32).reshape(4, 3).T
    askew[...] = BOXES
    for boxes in (BOXES.astype(np.float64), np.repeat(BOXES, 2, axis=1)[:, ::2], np.asfortranarray(BOXES), askew):
        assert stays(boxes, np.array([0, 3])) == [True, False, True]


@pytest.mark.parametrize(
    "starts",
    [[], [0], [0, 2], [0, 4], [1, 3], [-1, 3], [0, 2, 1, 3], [0, 4, 3], [0, 2**63 - 1, -2, 3], [0, -(2**63), 3]],
    ids=str,
)
def test_groups_that_are_not_those_of_all_boxes_side_by_side_are_refused(starts: list[int]) -> None:
    with pytest.raises(ValueError, match="groups must"):
        stays(BOXES, np.array(starts, np.int64))


@pytest.mark.parametrize("starts", [np.array([0, 3], np.int32), np.array([[0, 3]]), np.array([0, 1, 3, 3])[::2]])
def test_starts_of_another_kind_are_refused(starts: Any) -> None:
    with pytest.raises(TypeError, match="starts"):
        stays(BOXES, starts)


@pytest.mark.parametrize("boxes", [BOXES[:, :3], BOXES[0], BOXES[None], np.float32(3)], ids=["three", "1", "3", "none"])
def test_what_is_no_table_of_boxes_is_refused(boxes: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        stays(boxes, np.array([0, 3]))
