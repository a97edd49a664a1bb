"""Area pooling: the plain mean over whole-pixel windows."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.detection import pooling
from annotator.detection.pooling import FrameTables, SumTable, window_edges

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


def pool(table: SumTable, height: int, width: int) -> Any:
    out = np.zeros((height, width, 3), np.float32)
    rows, columns = (window_edges(n, m) for n, m in zip(table.shape_hw, (height, width), strict=True))
    table.pool(rows, columns, out=out)
    return out


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_levels_are_the_plain_means_whether_shrunk_or_enlarged(h: int, w: int, height: int, width: int) -> None:
    pixels = picture(h, w)
    result = pool(SumTable(pixels), height, width)
    np.testing.assert_allclose(result, plain_pool(pixels, height, width), rtol=0, atol=MAX_DIFFERENCE)


@pytest.mark.parametrize("block", [1, 100, 1 << 20])
def test_blocks_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    table = SumTable(picture(90, 70))
    whole = pool(table, 41, 33)
    monkeypatch.setattr(pooling, "_BLOCK", block)
    np.testing.assert_array_equal(pool(table, 41, 33), whole)


def test_a_part_of_a_level_is_the_same_as_cut_from_the_whole() -> None:
    table = SumTable(picture(90, 70))
    rows, columns = window_edges(90, 41), window_edges(70, 33)
    out = np.zeros((20, 11, 3), np.float32)
    table.pool((rows[0][10:30], rows[1][10:30]), (columns[0][22:], columns[1][22:]), out=out)
    np.testing.assert_array_equal(out, pool(table, 41, 33)[10:30, 22:])


def test_crops_are_the_plain_means_of_their_boxes() -> None:
    frame = picture(50, 80)
    boxes = np.array([[0, 0, 20, 30], [5, 7, 65, 50], [79, 49, 80, 50], [3, 4, 8, 30]])
    out = np.zeros((4, 24, 24, 3), np.float32)
    SumTable(frame).crop(boxes, out=out)
    for crop, (x1, y1, x2, y2) in zip(out, boxes, strict=True):
        expected = plain_pool(frame[y1:y2, x1:x2], 24, 24)
        np.testing.assert_allclose(crop, expected, rtol=0, atol=MAX_DIFFERENCE)


def test_each_frame_gets_its_own_table_whichever_came_before() -> None:
    frames = [picture(50, 80, 1), picture(30, 20, 2), picture(50, 80, 3), picture(90, 90, 4)]
    tables = FrameTables(frames)
    for number in [0, 1, 2, 3, 3, 2, 1, 0, 2]:
        np.testing.assert_array_equal(pool(tables.of(number), 13, 17), pool(SumTable(frames[number]), 13, 17))


@pytest.mark.parametrize("shape", [(50, 80), (1800, 2000)], ids=["small", "large"])
def test_the_table_of_a_frame_is_made_once_while_no_other_is_asked_for(shape: tuple[int, int]) -> None:
    tables = FrameTables([picture(*shape), picture(20, 20)])
    table = tables.of(0)
    assert tables.of(0) is table
    tables.of(1)
    assert tables.of(0) is not table


def test_a_frame_whose_pixels_have_changed_is_summed_up_anew() -> None:
    frame = np.zeros((50, 80, 3), np.uint8)
    assert pool(FrameTables([frame]).of(0), 1, 1).max() == 0
    frame[:] = 200
    assert pool(FrameTables([frame]).of(0), 1, 1).min() == pytest.approx(200)


def test_threads_do_not_share_memory() -> None:
    frames = [picture(200, 200, seed) for seed in range(8)]
    expected = [pool(SumTable(frame), 31, 31) for frame in frames]
    with ThreadPoolExecutor(4) as threads:
        results = threads.map(lambda frame: pool(FrameTables([frame]).of(0), 31, 31), frames * 20)
        for result, right in zip(results, expected * 20, strict=True):
            np.testing.assert_array_equal(result, right)


def test_the_memory_of_large_tables_is_not_kept() -> None:
    FrameTables([picture(1200, 2300)]).of(0)
    assert getattr(pooling._thread, "memory", np.zeros(0)).nbytes <= pooling._KEPT_BYTES


def test_sums_that_overflow_32_bits_still_give_the_right_means() -> None:
    white = np.full((3000, 3000, 3), 255, np.uint8)  # 2.3e9, more than 2^31
    np.testing.assert_allclose(pool(SumTable(white), 12, 12), 255, rtol=0, atol=MAX_DIFFERENCE)


def test_a_view_that_is_not_contiguous_is_read_as_it_looks() -> None:
    pixels = picture(40, 60)
    turned = pixels[::-1, ::2]
    expected = pool(SumTable(turned.copy()), 13, 13)
    np.testing.assert_array_equal(pool(SumTable(turned), 13, 13), expected)
