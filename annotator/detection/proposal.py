"""The first network of the cascade: P-Net over the pyramids of many frames."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np

from annotator.detection.atlas import CANVAS_HEIGHT_PX, CANVAS_WIDTH_PX, Atlas, Level, pyramid
from annotator.detection.boxes import moved, squares
from annotator.detection.candidates import Candidates, joined
from annotator.detection.params import DetectionParams
from annotator.detection.pooling import FrameTables, window_edges
from annotator.detection.screening import run_padded
from annotator.networks.mtcnn import PNET_STRIDE_PX, PNET_WINDOW_PX
from annotator.runtime.batches import Sizes, steps
from annotator.runtime.network import Runner
from annotator.types import F32, I64

NMS_IN_LEVEL: Final = 0.5
NMS_IN_FRAME: Final = 0.7
"""Highest overlap of two candidates that both go on; of facenet-pytorch."""

_LOGIT: Final = 4
"""Which of P-Net's outputs for a window is the logit of its score; the four before it are offsets."""

MAX_DRAWN: Final = 64
"""Canvases that are drawn before P-Net looks at them, 50 MB: a chunk of frames has fewer, a large picture has more."""

_LEAST_LOGIT: Final = np.float32(-80)
"""Below, the exponential function overflows."""

Each = Callable[[Callable[[range, F32], Candidates], Iterable[range], Iterable[F32]], Iterator[Candidates]]
"""How a function is called for each batch of canvases: ``map``, or one that runs several at a time."""


def propose(
    tables: FrameTables, pnet: Runner, params: DetectionParams, *, sizes: Sizes, each: Each = map
) -> Candidates:
    """Run P-Net over the pyramids of some frames.

    Args:
        tables: of the frames.
        pnet: the network.
        params: what a user may choose.
        sizes: how many canvases a batch may have.
        each: calls a function for each batch of canvases.

    Returns:
        Squares, grouped by frame.

    """
    levels: list[Level] = []
    for number, frame in enumerate(tables.frames):
        height, width = frame.shape[:2]
        levels += pyramid(number, (height, width), params.min_face_of(height, width), params.pyramid_factor)
    atlas = Atlas(levels)
    scan = _Scan(atlas, pnet, params.thresholds[0], sizes)
    parts: list[Candidates] = []
    for start in range(0, len(atlas.canvases), MAX_DRAWN):
        canvases = range(start, min(start + MAX_DRAWN, len(atlas.canvases)))
        drawn = _draw(tables, atlas, canvases)
        batches = [which for which, _ in steps(len(canvases), sizes)]
        parts += each(scan, [canvases[which] for which in batches], [drawn[which] for which in batches])
    found = joined(parts)
    found = found.best(NMS_IN_LEVEL)
    found = replace(found, group=np.array([level.frame for level in levels], np.int64)[found.group])
    found = found.best(NMS_IN_FRAME)
    return replace(found, boxes=squares(moved(found.boxes, found.offsets, last_pixel=0)))


class _Scan:
    """Runs P-Net over some canvases and returns the windows with a face."""

    def __init__(self, atlas: Atlas, pnet: Runner, min_score: float, sizes: Sizes) -> None:
        self._atlas, self._pnet, self._sizes = atlas, pnet, sizes
        self._min_logit = np.log(min_score / (1 - min_score)) if min_score > 0 else -np.inf
        self._pieces = atlas.piece_table()
        self._scales = np.array([level.scale for level in atlas.levels], np.float32)

    def __call__(self, canvases: range, drawn: F32) -> Candidates:
        owners = self._atlas.owners(canvases)
        (outputs,) = run_padded(self._pnet, drawn, self._sizes)
        canvas, row, column = np.nonzero((outputs[..., _LOGIT] >= self._min_logit) & (owners >= 0))
        seen = outputs[canvas, row, column]
        scores = np.float32(1) / (np.float32(1) + np.exp(-np.maximum(seen[:, _LOGIT], _LEAST_LOGIT)))
        level, boxes = self._located(owners[canvas, row, column], row, column)
        return Candidates(level, boxes, seen[:, :_LOGIT], scores)

    def _located(self, owners: Any, row: I64, column: I64) -> tuple[I64, F32]:  # noqa: ANN401 - i32 (N,)
        """Return the levels of windows, and their boxes in their frames."""
        level, y, x, canvas_y, canvas_x = (self._pieces[owners, n] for n in (0, 1, 2, 6, 7))
        corner = np.stack([column * PNET_STRIDE_PX - canvas_x + x, row * PNET_STRIDE_PX - canvas_y + y], axis=1)
        corner = corner.astype(np.float32)
        scale = self._scales[level, None]
        first, last = np.floor((corner + 1) / scale), np.floor((corner + PNET_WINDOW_PX) / scale)
        return level, np.concatenate([first, last], axis=1)


def _draw(tables: FrameTables, atlas: Atlas, canvases: range) -> F32:
    """Shrink frames into the pieces of some canvases, f32 (N, H, W, 3); one frame after another."""
    drawn = np.zeros((len(canvases), CANVAS_HEIGHT_PX, CANVAS_WIDTH_PX, 3), np.float32)
    pieces = [atlas.pieces[number] for canvas in canvases for number in atlas.canvases[canvas]]
    for piece in sorted(pieces, key=lambda piece: atlas.levels[piece.level].frame):
        level = atlas.levels[piece.level]
        table = tables.of(level.frame)
        height, width = table.shape_hw
        rows, columns = window_edges(height, level.height), window_edges(width, level.width)
        y, x, bottom, right = piece.y, piece.x, piece.y + piece.height, piece.x + piece.width
        spot = drawn[piece.canvas - canvases.start, piece.canvas_y :, piece.canvas_x :]
        pixels = spot[: piece.height, : piece.width]
        rows = rows[0][y:bottom], rows[1][y:bottom]
        table.pool(rows, (columns[0][x:right], columns[1][x:right]), out=pixels)
        # P-Net's pooling rounds up: the row or column beyond an odd side must not win it.
        if piece.height % 2:
            spot[piece.height, : piece.width] = pixels[-1]
        if piece.width % 2:
            spot[: piece.height, piece.width] = pixels[:, -1]
    return drawn
