"""Area pooling: the plain mean over whole-pixel windows."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.detection import pooling
from annotator.detection.pooling import SumTables, window_edges

MAX_DIFFERENCE = 1e-3
"""Of means in 0-255: float32 rounding."""


def picture(height: int, width: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def plain_pool(pixels: Any, height: int, width: int) -> Any:
    """Compute the means one by one, from the definition."""
    result = np.zeros((height, width, 3))
    for i in range(height):
        for j in range(width):
            y, bottom = i * pixels.shape[0] // height, -(-(i + 1) * pixels.shape[0] // height)
            x, right = j * pixels.shape[1] // width, -(-(j + 1) * pixels.shape[1] // width)
            result[i, j] = pixels[y:bottom, x:right].reshape(-1, 3).mean(axis=0)
    return result


def pool(tables: SumTables, frame: int, height: int, width: int) -> Any:
    out = np.zeros((height, width, 3), np.float32)
    rows, columns = (window_edges(int(n), m) for n, m in zip(tables.shape_hw[frame], (height, width), strict=True))
    tables.pool(frame, rows, columns, out=out)
    return out


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_levels_are_the_plain_means_whether_shrunk_or_enlarged(h: int, w: int, height: int, width: int) -> None:
    pixels = picture(h, w)
    result = pool(SumTables([picture(3, 4), pixels]), 1, height, width)
    np.testing.assert_allclose(result, plain_pool(pixels, height, width), rtol=0, atol=MAX_DIFFERENCE)


@pytest.mark.parametrize("block", [1, 100, 1 << 20])
def test_blocks_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    tables = SumTables([picture(90, 70)])
    whole = pool(tables, 0, 41, 33)
    monkeypatch.setattr(pooling, "_BLOCK", block)
    np.testing.assert_array_equal(pool(tables, 0, 41, 33), whole)


def test_a_part_of_a_level_is_the_same_as_cut_from_the_whole() -> None:
    tables = SumTables([picture(90, 70)])
    rows, columns = window_edges(90, 41), window_edges(70, 33)
    out = np.zeros((20, 11, 3), np.float32)
    tables.pool(0, (rows[0][10:30], rows[1][10:30]), (columns[0][22:], columns[1][22:]), out=out)
    np.testing.assert_array_equal(out, pool(tables, 0, 41, 33)[10:30, 22:])


def test_crops_of_several_frames_are_the_plain_means_of_their_boxes() -> None:
    frames = [picture(50, 80, 1), picture(30, 20, 2)]
    owner = np.array([1, 0, 0, 1])
    boxes = np.array([[0, 0, 20, 30], [5, 7, 65, 50], [79, 49, 80, 50], [3, 4, 8, 30]])
    out = np.zeros((4, 24, 24, 3), np.float32)
    SumTables(frames).crop(owner, boxes, out=out)
    for crop, frame, (x1, y1, x2, y2) in zip(out, owner, boxes, strict=True):
        expected = plain_pool(frames[frame][y1:y2, x1:x2], 24, 24)
        np.testing.assert_allclose(crop, expected, rtol=0, atol=MAX_DIFFERENCE)


def test_sums_that_overflow_32_bits_still_give_the_right_means() -> None:
    white = np.full((3000, 3000, 3), 255, np.uint8)  # 2.3e9, more than 2^31
    np.testing.assert_allclose(pool(SumTables([white]), 0, 12, 12), 255, rtol=0, atol=MAX_DIFFERENCE)


def test_a_view_that_is_not_contiguous_is_read_as_it_looks() -> None:
    pixels = picture(40, 60)
    turned = pixels[::-1, ::2]
    expected = pool(SumTables([turned.copy()]), 0, 13, 13)
    np.testing.assert_array_equal(pool(SumTables([turned]), 0, 13, 13), expected)
