"""P-Net's windows, picked from its outputs."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.detection.atlas import CANVAS_HEIGHT_PX, CANVAS_WIDTH_PX, Atlas, Level
from annotator.native import PIECE_FIELDS, picked

ROWS, COLUMNS = (CANVAS_HEIGHT_PX - 10) // 2, (CANVAS_WIDTH_PX - 10) // 2
SIDES = st.integers(12, 300)


def plainly_picked(outputs: Any, pieces: Any, least: float) -> Any:
    """Look at all windows of all pieces, one by one."""
    found = []
    for number, values in enumerate(pieces.tolist()):
        piece = dict(zip(PIECE_FIELDS, values, strict=True))
        for y in range(0, piece["height"] + piece["height"] % 2 - 11, 2):
            for x in range(0, piece["width"] + piece["width"] % 2 - 11, 2):
                row, column = (piece["canvas_y"] + y) // 2, (piece["canvas_x"] + x) // 2
                if outputs[piece["canvas"], row, column, -1] >= least:
                    found.append((number, row, column))
    return np.array(found, np.int32).reshape(-1, 3)


@given(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=5), st.integers(0, 99))
@settings(deadline=None)
def test_they_are_those_of_whole_pieces_whose_logit_is_high_enough(sizes: list[tuple[int, int]], seed: int) -> None:
    atlas = Atlas([Level(0, 1.0, *size) for size in sizes])
    outputs = np.random.default_rng(seed).normal(size=(atlas.canvases, ROWS, COLUMNS, 5)).astype(np.float32)
    outputs[0, 3, 4] = np.nan
    pieces = atlas.pieces_on(range(atlas.canvases))
    np.testing.assert_array_equal(picked(outputs, pieces, least=1.5), plainly_picked(outputs, pieces, 1.5))


def test_no_piece_has_no_window() -> None:
    assert picked(np.zeros((1, ROWS, COLUMNS, 5), np.float32), Atlas([]).pieces_on(range(0)), least=0).shape == (0, 3)


@pytest.mark.parametrize("column", ["canvas", "canvas_y", "canvas_x"])
@pytest.mark.parametrize("value", [-2, 600, 2**63 - 13, 2**63 - 60])
def test_a_piece_outside_the_canvases_is_refused(column: str, value: int) -> None:
    pieces = Atlas([Level(0, 1.0, 60, 60)]).pieces_on(range(1))
    pieces[:, PIECE_FIELDS.index(column)] = value
    with pytest.raises(ValueError, match="outside its canvas"):
        picked(np.zeros((1, ROWS, COLUMNS, 5), np.float32), pieces, least=0)


@pytest.mark.parametrize("column", ["height", "width"])
@pytest.mark.parametrize("value", [-(2**63), -1, 0, 10, 600, 2**63 - 1])
def test_a_piece_that_is_no_window_or_larger_than_its_canvas_is_refused(column: str, value: int) -> None:
    pieces = Atlas([Level(0, 1.0, 60, 60)]).pieces_on(range(1))
    pieces[:, PIECE_FIELDS.index(column)] = value
    with pytest.raises(ValueError, match="outside its canvas, or is smaller than a window"):
        picked(np.zeros((1, ROWS, COLUMNS, 5), np.float32), pieces, least=0)


def test_outputs_without_a_logit_are_refused() -> None:
    pieces = Atlas([Level(0, 1.0, 60, 60)]).pieces_on(range(1))
    with pytest.raises(ValueError, match="outside its canvas"):
        picked(np.zeros((1, ROWS, COLUMNS, 0), np.float32), pieces, least=0)


@pytest.mark.parametrize(
    "outputs",
    [
        np.zeros((1, ROWS, COLUMNS, 5)),
        np.zeros((1, ROWS, COLUMNS), np.float32),
        np.zeros((1, ROWS, COLUMNS, 10), np.float32)[..., ::2],
        np.zeros(ROWS * COLUMNS * 20 + 1, np.uint8)[1:].view(np.float32).reshape(1, ROWS, COLUMNS, 5),
    ],
    ids=["float64", "flat", "not contiguous", "misaligned"],
)
def test_what_is_no_output_is_refused(outputs: Any) -> None:
    with pytest.raises(TypeError, match="outputs"):
        picked(outputs, Atlas([Level(0, 1.0, 60, 60)]).pieces_on(range(1)), least=0)
