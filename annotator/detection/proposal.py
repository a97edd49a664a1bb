"""The first network of the cascade: P-Net over the pyramids of many frames."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np

from annotator.detection.atlas import CANVAS_HEIGHT_PX, CANVAS_WIDTH_PX, Atlas, Level, pyramid
from annotator.detection.boxes import moved, squares
from annotator.detection.candidates import Candidates, joined
from annotator.detection.params import DetectionParams
from annotator.detection.pooling import SumTables, window_edges
from annotator.networks.mtcnn import PNET_STRIDE_PX, PNET_WINDOW_PX
from annotator.runtime.network import Runner
from annotator.types import F32, I64

NMS_IN_LEVEL: Final = 0.5
NMS_IN_FRAME: Final = 0.7
"""Highest overlap of two candidates that both go on; of facenet-pytorch."""

_LOGIT: Final = 4
"""Which of P-Net's outputs for a window is the logit of its score; the four before it are offsets."""

Each = Callable[[Callable[[int], Candidates], Iterable[int]], Iterator[Candidates]]
"""How a function is called for each canvas: ``map``, or one that runs several at a time."""


def propose(tables: SumTables, pnet: Runner, params: DetectionParams, *, each: Each = map) -> Candidates:
    """Run P-Net over the pyramids of some frames.

    Args:
        tables: of the frames.
        pnet: the network.
        params: what a user may choose.
        each: calls a function for each canvas.

    Returns:
        Squares, grouped by frame.

    """
    levels: list[Level] = []
    for number, (height, width) in enumerate(tables.shape_hw.tolist()):
        min_face = params.min_face_of(height, width)
        levels += pyramid(number, (height, width), min_face, params.pyramid_factor)
    atlas = Atlas(levels)
    scan = _Scan(tables, atlas, pnet, params.thresholds[0])
    found = joined(list(each(scan, range(len(atlas.canvases)))))
    found = found.best(NMS_IN_LEVEL)
    found = replace(found, group=np.array([level.frame for level in levels], np.int64)[found.group])
    found = found.best(NMS_IN_FRAME)
    return replace(found, boxes=squares(moved(found.boxes, found.offsets, last_pixel=0)))


class _Scan:
    """Draws a canvas, runs P-Net over it, and returns the windows with a face, grouped by level."""

    def __init__(self, tables: SumTables, atlas: Atlas, pnet: Runner, min_score: float) -> None:
        self._tables, self._atlas, self._pnet = tables, atlas, pnet
        self._min_logit = np.log(min_score / (1 - min_score)) if min_score > 0 else -np.inf
        self._pieces = atlas.piece_table()
        self._scales = np.array([level.scale for level in atlas.levels], np.float32)

    def __call__(self, canvas: int) -> Candidates:
        drawn = _draw(self._tables, self._atlas, canvas)
        owners = self._atlas.owners(range(canvas, canvas + 1))[0]
        (outputs,) = self._pnet(drawn[None])
        row, column = np.nonzero((outputs[0, ..., _LOGIT] >= self._min_logit) & (owners >= 0))
        seen = outputs[0, row, column]
        scores = np.float32(1) / (np.float32(1) + np.exp(-seen[:, _LOGIT]))
        level, boxes = self._located(owners[row, column], row, column)
        return Candidates(level, boxes, seen[:, :_LOGIT], scores)

    def _located(self, owners: Any, row: I64, column: I64) -> tuple[I64, F32]:  # noqa: ANN401 - i32 (N,)
        """Return the levels of windows, and their boxes in their frames."""
        level, y, x, canvas_y, canvas_x = (self._pieces[owners, n] for n in (0, 1, 2, 6, 7))
        corner = np.stack([column * PNET_STRIDE_PX - canvas_x + x, row * PNET_STRIDE_PX - canvas_y + y], axis=1)
        corner = corner.astype(np.float32)
        scale = self._scales[level, None]
        first, last = np.floor((corner + 1) / scale), np.floor((corner + PNET_WINDOW_PX) / scale)
        return level, np.concatenate([first, last], axis=1)


def _draw(tables: SumTables, atlas: Atlas, canvas: int) -> F32:
    """Shrink frames into the pieces of a canvas, f32 (H, W, 3)."""
    drawn = np.zeros((CANVAS_HEIGHT_PX, CANVAS_WIDTH_PX, 3), np.float32)
    for number in atlas.canvases[canvas]:
        piece = atlas.pieces[number]
        level = atlas.levels[piece.level]
        height, width = tables.shape_hw[level.frame].tolist()
        rows, columns = window_edges(height, level.height), window_edges(width, level.width)
        y, x, bottom, right = piece.y, piece.x, piece.y + piece.height, piece.x + piece.width
        spot = drawn[piece.canvas_y :, piece.canvas_x :]
        pixels = spot[: piece.height, : piece.width]
        rows = rows[0][y:bottom], rows[1][y:bottom]
        tables.pool(level.frame, rows, (columns[0][x:right], columns[1][x:right]), out=pixels)
        # P-Net's pooling rounds up: the row or column beyond an odd side must not win it.
        if piece.height % 2:
            spot[piece.height, : piece.width] = pixels[-1]
        if piece.width % 2:
            spot[: piece.height, piece.width] = pixels[:, -1]
    return drawn
