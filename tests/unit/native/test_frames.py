"""Rectangles of frames, made by the plain mean over windows of whole pixels."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.native import MOST_CELLS, MOST_SIDE_PX, PIECE_FIELDS, Frames, check_frame

MAX_DIFFERENCE = 1e-3
"""Of means in 0-255: float32 rounding."""


def picture(height: int, width: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def windows(count: int, length: int) -> Any:
    """Return which pixels of a side are in which window, f64 (count, length), 1 or 0."""
    pixel, number = np.arange(length), np.arange(count)[:, None]
    first, end = number * length // count, -(-(number + 1) * length // count)
    return ((first <= pixel) & (pixel < end)).astype(np.float64)


def plain_pool(pixels: Any, height: int, width: int) -> Any:
    """Compute the means from the definition: each sums whole pixels, without rounding."""
    rows, columns = windows(height, pixels.shape[0]), windows(width, pixels.shape[1])
    sums = np.einsum("iy,yxc,jx->ijc", rows, pixels, columns, optimize=True)
    return sums / (rows.sum(axis=1)[:, None, None] * columns.sum(axis=1)[None, :, None])


def piece(**values: int) -> Any:
    """Return a table of one piece; what is not said is 0."""
    return np.array([[values.get(name, 0) for name in PIECE_FIELDS]], np.int64)


def whole_level(height: int, width: int, frame: int = 0) -> Any:
    return piece(frame=frame, level_height=height, level_width=width, height=height, width=width)


def canvas(height: int, width: int) -> Any:
    return np.zeros((1, height + 1, width + 1, 3), np.float32)


def pool(pixels: Any, height: int, width: int) -> Any:
    out = canvas(height, width)
    Frames([pixels]).draw(whole_level(height, width), out=out)
    return out[0, :height, :width]


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_levels_are_the_plain_means_whether_shrunk_or_enlarged(h: int, w: int, height: int, width: int) -> None:
    pixels = picture(h, w)
    np.testing.assert_allclose(
        pool(pixels, height, width), plain_pool(pixels, height, width), rtol=0, atol=MAX_DIFFERENCE
    )


def test_a_part_of_a_level_is_the_same_as_cut_from_the_whole_and_lies_where_it_is_wanted() -> None:
    pixels = picture(90, 70)
    out = np.full((2, 40, 50, 3), -1, np.float32)
    part = piece(level_height=41, level_width=33, y=10, x=22, height=20, width=10, canvas=1, canvas_y=6, canvas_x=8)
    Frames([pixels]).draw(part, out=out)
    np.testing.assert_array_equal(out[1, 6:26, 8:18], pool(pixels, 41, 33)[10:30, 22:32])
    out[1, 6:26, 8:18] = -1
    assert (out == -1).all()


def test_beyond_an_odd_side_the_last_row_and_column_are_drawn_once_more() -> None:
    out = np.full((1, 30, 30, 3), -1, np.float32)
    Frames([picture(50, 50)]).draw(whole_level(21, 19), out=out)
    np.testing.assert_array_equal(out[0, 21, :19], out[0, 20, :19])
    np.testing.assert_array_equal(out[0, :21, 19], out[0, :21, 18])
    assert (out[0, 21, 19] == 0).all()
    assert (out[0, 22:] == -1).all()
    assert (out[0, :, 20:] == -1).all()


def test_all_frames_in_one_size_are_the_plain_means() -> None:
    frames = [picture(50, 80, 1), picture(10, 20, 2)]
    for result, frame in zip(Frames(frames).shrunk(18, 32), frames, strict=True):
        np.testing.assert_allclose(result, plain_pool(frame, 18, 32), rtol=0, atol=MAX_DIFFERENCE)
    assert Frames([]).shrunk(18, 32).shape == (0, 18, 32, 3)


def test_crops_are_the_plain_means_of_their_boxes() -> None:
    frames = [picture(30, 30, 1), picture(50, 80)]
    boxes = np.array([[0, 0, 20, 30], [5, 7, 65, 50], [79, 49, 80, 50], [3, 4, 8, 30]])
    for side in (24, 48, MOST_CELLS):
        out = np.zeros((4, side, side, 3), np.float32)
        Frames(frames).cut(np.array([0, 1, 1, 1]), boxes, out=out)
        for crop, (x1, y1, x2, y2), frame in zip(out, boxes, [frames[0], *[frames[1]] * 3], strict=True):
            expected = plain_pool(frame[y1:y2, x1:x2], side, side)
            np.testing.assert_allclose(crop, expected, rtol=0, atol=MAX_DIFFERENCE)


def test_threads_do_not_share_memory() -> None:
    frames = [picture(200, 200, seed) for seed in range(8)]
    expected = [pool(frame, 31, 31) for frame in frames]
    with ThreadPoolExecutor(4) as threads:
        for result, right in zip(
            threads.map(lambda frame: pool(frame, 31, 31), frames * 20), expected * 20, strict=True
        ):
            np.testing.assert_array_equal(result, right)


@pytest.mark.parametrize("rows", [255, 256, 257, 258, 259, 260, 513, 700])
def test_windows_of_any_number_of_rows_are_added_up(rows: int) -> None:
    pixels = np.full((rows, 7, 3), 255, np.uint8)
    pixels[::3] = 3
    np.testing.assert_allclose(pool(pixels, 1, 2), plain_pool(pixels, 1, 2), rtol=0, atol=MAX_DIFFERENCE)


def test_the_largest_windows_give_the_right_means() -> None:
    white = np.full((2890, 2890, 3), 255, np.uint8)  # 2.13e9, as much as 31 bits take
    np.testing.assert_allclose(pool(white, 1, 1), 255, rtol=0, atol=MAX_DIFFERENCE)


def test_windows_whose_sums_do_not_fit_are_refused() -> None:
    white = np.full((2902, 2902, 3), 255, np.uint8)  # 2.147e9, more than 31 bits take
    with pytest.raises(ValueError, match="a frame is shrunk too much: more than 8,421,504 pixels to one"):
        pool(white, 1, 1)
    crops = np.zeros((2, 1, 1, 3), np.float32)
    with pytest.raises(ValueError, match="a frame is shrunk too much: more than 8,421,504 pixels to one"):
        Frames([white]).cut(np.array([0, 0]), np.array([[0, 0, 9, 9], [0, 0, 2902, 2902]]), out=crops)
    Frames([white]).cut(np.array([0]), np.array([[0, 0, 2901, 2902]]), out=crops[:1])
    np.testing.assert_allclose(crops[0], 255, rtol=0, atol=MAX_DIFFERENCE)


@pytest.mark.parametrize(("height", "width"), [(1, 8_421_505), (8_421_505, 1)])
def test_a_narrow_frame_shrinks_as_far_as_any_other(height: int, width: int) -> None:
    white = np.full((height, width, 3), 255, np.uint8)
    np.testing.assert_allclose(pool(white, 2, 2), 255, rtol=0, atol=MAX_DIFFERENCE)
    with pytest.raises(ValueError, match="shrunk too much"):
        pool(white, 1, 1)


def test_a_view_that_is_not_contiguous_is_read_as_it_looks() -> None:
    pixels = picture(40, 60)
    turned = pixels[::-1, ::2]
    np.testing.assert_array_equal(pool(turned, 13, 13), pool(turned.copy(), 13, 13))


GOOD = {"level_height": 20, "level_width": 20, "height": 20, "width": 20}


@pytest.mark.parametrize(
    "wrong",
    [
        {"frame": 1},
        {"frame": -1},
        {"height": 21},
        {"y": 1},
        {"x": -1},
        {"width": 0},
        {"canvas": 1},
        {"canvas": -1},
        {"canvas_y": 1},
        {"canvas_x": 2},
        {"height": 19, "canvas_y": 1},
        {"level_width": 2000, "width": MOST_CELLS + 2},
        {"level_height": MOST_SIDE_PX + 1},
        {"level_width": 2**63 - 1},
        {"y": 2**63 - 1},
        {"x": 2**63 - 20},
        {"height": 2**63 - 1, "level_height": 2**63 - 1},
        {"height": -(2**63)},
        {"y": 2**62, "canvas_y": 2**62, "level_height": 2**62, "height": 2**62},
        {"canvas_x": 2**63 - 20},
        {"canvas": 2**63 - 1},
        {"frame": 2**63 - 1},
    ],
    ids=str,
)
def test_a_piece_that_does_not_fit_is_refused(wrong: dict[str, int]) -> None:
    out = np.zeros((1, 20, MOST_CELLS + 2 if "level_width" in wrong else 20, 3), np.float32)
    with pytest.raises(ValueError, match="piece 0 lies outside"):
        Frames([picture(40, 40)]).draw(piece(**GOOD | wrong), out=out)


@pytest.mark.parametrize(
    ("frame", "box"),
    [
        (0, [0, 0, 41, 10]),
        (0, [0, 0, 10, 31]),
        (0, [-1, 0, 10, 10]),
        (0, [0, -1, 10, 10]),
        (0, [5, 5, 5, 10]),
        (0, [5, 6, 10, 5]),
        (0, [2**62, 0, 2**62 + 5, 5]),
        (0, [1, 1, -(2**63), -(2**63)]),
        (0, [-(2**63), 0, 10, 10]),
        (0, [0, 0, 2**63 - 1, 2**63 - 1]),
        (1, [0, 0, 10, 10]),
        (2**63 - 1, [0, 0, 10, 10]),
        (-1, [0, 0, 10, 10]),
    ],
)
def test_a_box_that_is_not_within_its_frame_is_refused(frame: int, box: list[int]) -> None:
    with pytest.raises(ValueError, match="frame"):
        Frames([picture(30, 40)]).cut(np.array([frame]), np.array([box]), out=np.zeros((1, 24, 24, 3), np.float32))


def misaligned(array: Any) -> Any:
    """Return a copy that lies one byte beside where it should."""
    memory = np.zeros(array.nbytes + 1, np.uint8)
    copy = memory[1:].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def read_only(array: Any) -> Any:
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((1, 24, 24, 3)),
        np.zeros((1, 24, 24, 4), np.float32),
        np.zeros((2, 24, 24, 3), np.float32),
        np.zeros((1, 24, 48, 3), np.float32)[:, :, ::2],
        np.zeros((1, 24, 23, 3), np.float32),
        np.zeros((1, MOST_CELLS + 1, MOST_CELLS + 1, 3), np.float32),
        read_only(np.zeros((1, 24, 24, 3), np.float32)),
        misaligned(np.zeros((1, 24, 24, 3), np.float32)),
    ],
    ids=["float64", "four colours", "two", "not contiguous", "no square", "too large", "read-only", "misaligned"],
)
def test_memory_that_takes_no_crops_is_refused(out: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Frames([picture(30, 40)]).cut(np.array([0]), np.array([[0, 0, 9, 9]]), out=out)


@pytest.mark.parametrize("frame", [np.zeros((3, 3), np.uint8), np.zeros((3, 3, 3)), np.zeros((0, 3, 3), np.uint8)])
def test_what_is_no_frame_is_refused(frame: Any) -> None:
    with pytest.raises(TypeError, match="a frame must be uint8"):
        Frames([frame])


def test_a_frame_with_a_side_that_c_cannot_count_is_refused() -> None:
    with pytest.raises(TypeError, match="a frame must be uint8"):
        check_frame(np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (1, MOST_SIDE_PX + 1, 3)))


def test_the_sizes_that_c_reads_cannot_be_changed() -> None:
    shapes = Frames([picture(30, 40)]).shapes_hw
    assert shapes.tolist() == [[30, 40]]
    with pytest.raises(ValueError, match="read-only"):
        shapes[0, 0] = 31


@pytest.mark.parametrize("spoilt", [read_only, misaligned])
def test_canvases_that_cannot_be_written_are_refused(spoilt: Any) -> None:
    out = spoilt(np.zeros((1, 20, 20, 3), np.float32))
    with pytest.raises(TypeError, match="out"):
        Frames([picture(40, 40)]).draw(piece(**GOOD), out=out)
    assert not out.any()


def test_tables_that_lie_askew_are_refused() -> None:
    frames = Frames([picture(40, 40)])
    with pytest.raises(TypeError, match="pieces"):
        frames.draw(misaligned(piece(**GOOD)), out=np.zeros((1, 20, 20, 3), np.float32))
    with pytest.raises(TypeError, match="boxes"):
        frames.cut(np.array([0]), misaligned(np.array([[0, 0, 9, 9]])), out=np.zeros((1, 24, 24, 3), np.float32))
