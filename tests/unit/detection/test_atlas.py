"""Packing the levels of pyramids: every window of every level lies on a canvas, once or more, and whole."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.detection.atlas import CANVAS_CELLS, CANVAS_HEIGHT_PX, CANVAS_WIDTH_PX, Atlas, Level, pyramid

SIDES = st.integers(12, 1300)


def windows(side: int) -> int:
    """Count the windows of a side as P-Net does: convolution of 3, pooling of 2 that rounds up, two more of 3."""
    return -(-(side - 2) // 2) - 4


def covered(atlas: Atlas) -> list[Any]:
    """For each level, how many canvases' windows stand for each of its windows."""
    counts = [np.zeros((windows(level.height), windows(level.width)), int) for level in atlas.levels]
    owners = atlas.owners(range(len(atlas.canvases)))
    for number, piece in enumerate(atlas.pieces):
        place, row, column = np.nonzero(owners == number)
        assert set(place) <= {piece.canvas}
        y = row - piece.canvas_y // 2 + piece.y // 2
        x = column - piece.canvas_x // 2 + piece.x // 2
        np.add.at(counts[piece.level], (y, x), 1)
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
    taken = np.zeros((len(atlas.canvases), CANVAS_HEIGHT_PX, CANVAS_WIDTH_PX), int)
    for piece in atlas.pieces:
        assert {piece.y % 2, piece.x % 2, piece.canvas_y % 2, piece.canvas_x % 2} == {0}
        assert piece.canvas_y + piece.height <= CANVAS_HEIGHT_PX
        assert piece.canvas_x + piece.width <= CANVAS_WIDTH_PX
        bottom, right = piece.canvas_y + piece.height, piece.canvas_x + piece.width
        taken[piece.canvas, piece.canvas_y : bottom, piece.canvas_x : right] += 1
    assert taken.max() == 1


def test_no_levels_need_no_canvas() -> None:
    atlas = Atlas([])
    assert atlas.canvases == []
    assert atlas.owners(range(0)).shape == (0, *CANVAS_CELLS)
    assert atlas.piece_table().shape == (0, 8)


def test_the_levels_of_a_usual_batch_fill_nine_tenths_of_the_canvases() -> None:
    levels = [level for frame in range(32) for level in pyramid(frame, (270, 480), 20, 0.709)]
    atlas = Atlas(levels)
    used = sum(level.height * level.width for level in levels)
    assert used / (len(atlas.canvases) * CANVAS_HEIGHT_PX * CANVAS_WIDTH_PX) >= 0.88


@pytest.mark.parametrize(("height", "width", "min_face"), [(1, 1, 20), (19, 400, 20), (47, 47, 48)])
def test_a_frame_smaller_than_the_smallest_face_has_no_levels(height: int, width: int, min_face: float) -> None:
    assert pyramid(0, (height, width), min_face, 0.709) == []


def test_the_levels_are_those_of_facenet_pytorch() -> None:
    levels = [(level.height, level.width) for level in pyramid(3, (270, 480), 20, 0.709)]
    assert levels == [(163, 289), (115, 205), (82, 145), (58, 103), (41, 73), (30, 52), (21, 37), (15, 26)]
