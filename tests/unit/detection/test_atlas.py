"""Packing the levels of pyramids: every window of every level lies on a canvas, once or more, and whole."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.detection.atlas import CANVAS_HEIGHT_PX, CANVAS_WIDTH_PX, Atlas, Level, pyramid
from annotator.native import PIECE_FIELDS

SIDES = st.integers(12, 1300)


def windows(side: int) -> int:
    """Count the windows of a side as P-Net does: convolution of 3, pooling of 2 that rounds up, two more of 3."""
    return -(-(side - 2) // 2) - 4


def covered(atlas: Atlas) -> list[Any]:
    """For each level, how many canvases' windows stand for each of its windows."""
    counts = [np.zeros((windows(level.height), windows(level.width)), int) for level in atlas.levels]
    for piece in atlas.pieces:
        y, x = piece.y // 2, piece.x // 2
        counts[piece.level][y : y + windows(piece.height), x : x + windows(piece.width)] += 1
    return counts


@given(st.lists(st.tuples(SIDES, SIDES), max_size=12))
@settings(max_examples=30, deadline=None)
def test_every_window_of_every_level_is_seen(sizes: list[tuple[int, int]]) -> None:
    atlas = Atlas([Level(0, 1.0, *size) for size in sizes])
    assert all((count >= 1).all() for count in covered(atlas))


@given(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=12))
@settings(max_examples=30, deadline=None)
def test_pieces_lie_within_their_canvas_at_even_origins_and_do_not_overlap(sizes: list[tuple[int, int]]) -> None:
    atlas = Atlas([Level(0, 1.0, *size) for size in sizes])
    taken = np.zeros((atlas.canvases, CANVAS_HEIGHT_PX, CANVAS_WIDTH_PX), int)
    for piece in atlas.pieces:
        assert {piece.y % 2, piece.x % 2, piece.canvas_y % 2, piece.canvas_x % 2} == {0}
        assert piece.canvas_y + piece.height <= CANVAS_HEIGHT_PX
        assert piece.canvas_x + piece.width <= CANVAS_WIDTH_PX
        bottom, right = piece.canvas_y + piece.height, piece.canvas_x + piece.width
        taken[piece.canvas, piece.canvas_y : bottom, piece.canvas_x : right] += 1
    assert taken.max() == 1


def test_no_levels_need_no_canvas() -> None:
    atlas = Atlas([])
    assert atlas.canvases == 0
    assert atlas.pieces_on(range(0)).shape == (0, len(PIECE_FIELDS))


def test_the_pieces_of_some_canvases_are_counted_from_the_first_of_them() -> None:
    atlas = Atlas([Level(frame, 1.0, 100, 700) for frame in range(6)])
    pieces = np.concatenate([atlas.pieces_on(range(n, n + 1)) for n in range(atlas.canvases)])
    assert (pieces[:, PIECE_FIELDS.index("canvas")] == 0).all()
    whole = atlas.pieces_on(range(atlas.canvases))
    np.testing.assert_array_equal(np.delete(pieces, PIECE_FIELDS.index("canvas"), 1), np.delete(whole, -3, 1))
    assert whole[:, PIECE_FIELDS.index("level_width")].tolist() == [700] * len(atlas.pieces)
    assert sorted(set(whole[:, PIECE_FIELDS.index("frame")].tolist())) == list(range(6))


def test_the_levels_of_a_usual_batch_fill_nine_tenths_of_the_canvases() -> None:
    levels = [level for frame in range(32) for level in pyramid(frame, (270, 480), 20, 0.709)]
    atlas = Atlas(levels)
    used = sum(level.height * level.width for level in levels)
    assert used / (atlas.canvases * CANVAS_HEIGHT_PX * CANVAS_WIDTH_PX) >= 0.88


@pytest.mark.parametrize(("height", "width", "min_face"), [(1, 1, 20), (19, 400, 20), (47, 47, 48)])
def test_a_frame_smaller_than_the_smallest_face_has_no_levels(height: int, width: int, min_face: float) -> None:
    assert pyramid(0, (height, width), min_face, 0.709) == []


def test_the_levels_are_those_of_facenet_pytorch() -> None:
    levels = [(level.height, level.width) for level in pyramid(3, (270, 480), 20, 0.709)]
    assert levels == [(163, 289), (115, 205), (82, 145), (58, 103), (41, 73), (30, 52), (21, 37), (15, 26)]
