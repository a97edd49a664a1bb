"""Packs the levels of many frames' pyramids into canvases of one fixed size.

P-Net is a convolution without padding: what it says of a window depends on the window alone. So levels of any size, of
any frames, may lie side by side on one canvas, and only the windows that cross a border are thrown away. A canvas has
always the same size, and the network is compiled once.

Levels flow like text: they are sorted by height and laid side by side on shelves as wide as a canvas. What does not
fit at the end of a shelf goes on at the next, with an overlap of ten pixels, so that no window is lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from annotator.native import PIECE_FIELDS
from annotator.networks.mtcnn import PNET_STRIDE_PX, PNET_WINDOW_PX
from annotator.types import I64

CANVAS_HEIGHT_PX: Final = 128
CANVAS_WIDTH_PX: Final = 512

OVERLAP_PX: Final = PNET_WINDOW_PX - PNET_STRIDE_PX
"""What two parts of a level must share for no window between them to be lost."""

_CANVAS: Final = PIECE_FIELDS.index("canvas")


class Level(NamedTuple):
    """One level of one frame's pyramid.

    Attributes:
        frame: number of the frame.
        scale: pixels of the level over pixels of the frame.
        height: in pixels of the level, at least 12.
        width: likewise.

    """

    frame: int
    scale: float
    height: int
    width: int


class Piece(NamedTuple):
    """A rectangle of a level, and where it lies on a canvas. All origins are even.

    Attributes:
        level: number of the level.
        y: top in the level.
        x: left in the level.
        height: in pixels.
        width: in pixels.
        canvas: number of the canvas.
        canvas_y: top on the canvas.
        canvas_x: left on the canvas.

    """

    level: int
    y: int
    x: int
    height: int
    width: int
    canvas: int
    canvas_y: int
    canvas_x: int


def pyramid(frame: int, shape_hw: tuple[int, int], min_face_px: float, factor: float) -> list[Level]:
    """Return the levels of a frame's pyramid, the largest first; none if the frame is smaller than the face.

    Args:
        frame: number of the frame.
        shape_hw: its height and width.
        min_face_px: side of the smallest face to find.
        factor: side of a level over that of the level below.

    """
    height, width = shape_hw
    scale = PNET_WINDOW_PX / min_face_px
    shorter = min(height, width) * scale
    levels = []
    while shorter >= PNET_WINDOW_PX:
        levels.append(Level(frame, scale, int(height * scale + 1), int(width * scale + 1)))
        scale *= factor
        shorter *= factor
    return levels


@dataclass(slots=True)
class _Shelves:
    """Where the next piece goes."""

    used_height: list[int] = field(default_factory=list)  # of each canvas
    canvas: int = 0
    y: int = 0
    x: int = CANVAS_WIDTH_PX  # no shelf yet: the first is full
    height: int = 0

    def open(self, height: int) -> None:
        """Open a shelf on the first canvas that has room."""
        room = (n for n, used in enumerate(self.used_height) if used + height <= CANVAS_HEIGHT_PX)
        self.canvas = next(room, len(self.used_height))
        if self.canvas == len(self.used_height):
            self.used_height.append(0)
        self.y, self.x, self.height = self.used_height[self.canvas], 0, height
        self.used_height[self.canvas] += height


class Atlas:
    """Where the pieces of some levels lie.

    Args:
        levels: those of all frames, in any order.

    Attributes:
        levels: as given.
        pieces: canvas by canvas.
        canvases: how many there are.

    """

    def __init__(self, levels: Sequence[Level]) -> None:
        """Lay out the levels."""
        self.levels = tuple(levels)
        self.pieces: list[Piece] = []
        shelves = _Shelves()
        bands = [
            (min(level.height - y, CANVAS_HEIGHT_PX), y, n) for n, level in enumerate(levels) for y in _cuts(level)
        ]
        for height, y, number in sorted(bands, reverse=True):
            self._lay(shelves, number, y, height)
        self.pieces.sort(key=lambda piece: piece.canvas)
        self.canvases = len(shelves.used_height)
        self._table = _table(self.levels, self.pieces)
        self._starts = np.searchsorted(self._table[:, _CANVAS], np.arange(self.canvases + 1))

    def _lay(self, shelves: _Shelves, level: int, y: int, height: int) -> None:
        """Lay a band of a level, cutting it where shelves end."""
        width, x = self.levels[level].width, 0
        while True:
            room = CANVAS_WIDTH_PX - shelves.x
            if room < min(PNET_WINDOW_PX, width - x) or shelves.height < height:
                shelves.open(_even(height))
                room = CANVAS_WIDTH_PX
            part = min(width - x, room)
            self.pieces.append(Piece(level, y, x, height, part, shelves.canvas, shelves.y, shelves.x))
            shelves.x += _even(part)
            if x + part >= width:
                return
            x += part - OVERLAP_PX

    def pieces_on(self, canvases: range) -> I64:
        """Return the pieces of some canvases, which are counted from the first of them.

        Returns:
            i64 (P, 11), columns as in :data:`~annotator.native.PIECE_FIELDS`.

        """
        pieces = self._table[self._starts[canvases.start] : self._starts[canvases.stop]].copy()
        pieces[:, _CANVAS] -= canvases.start
        return pieces


def _cuts(level: Level) -> range:
    """Return the tops of the bands of a level that is higher than a canvas."""
    last = max(level.height - OVERLAP_PX, 1)
    return range(0, last, CANVAS_HEIGHT_PX - OVERLAP_PX)


def _even(length: int) -> int:
    return length + length % 2


def _table(levels: Sequence[Level], pieces: Sequence[Piece]) -> I64:
    rows = []
    for level, *piece in pieces:
        frame, _, height, width = levels[level]
        rows.append((frame, level, height, width, *piece))
    return np.array(rows, np.int64).reshape(-1, len(PIECE_FIELDS))
