"""The first network of the cascade: P-Net over the pyramids of many frames."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from annotator.detection.atlas import CANVAS_HEIGHT_PX, CANVAS_WIDTH_PX, Atlas, Level, pyramid
from annotator.detection.boxes import moved, squares
from annotator.detection.candidates import Candidates, joined
from annotator.detection.looking import batch_memory
from annotator.detection.params import DetectionParams
from annotator.native import PIECE_FIELDS, Frames, picked
from annotator.networks.mtcnn import PNET_STRIDE_PX, PNET_WINDOW_PX
from annotator.runtime.batches import Sizes, steps
from annotator.runtime.network import Runner
from annotator.types import F32, I64

NMS_IN_LEVEL: Final = 0.5
NMS_IN_FRAME: Final = 0.7
"""Highest overlap of two candidates that both go on; of facenet-pytorch."""

_LOGIT: Final = 4
"""Which of P-Net's outputs for a window is the logit of its score; the four before it are offsets."""

_LEAST_LOGIT: Final = np.float32(-80)
"""Below, the exponential function overflows."""

_LEVEL, _Y, _X, _CANVAS, _CANVAS_Y, _CANVAS_X = (
    PIECE_FIELDS.index(name) for name in ("level", "y", "x", "canvas", "canvas_y", "canvas_x")
)

Step = tuple[slice, int]
"""Some canvases, and the size of their batch."""

Each = Callable[[Callable[[Step], Candidates], Iterable[Step]], Iterator[Candidates]]
"""How a function is called for each batch of canvases: ``map``, or one that runs several at a time."""


def propose(frames: Frames, pnet: Runner, params: DetectionParams, *, sizes: Sizes, each: Each = map) -> Candidates:
    """Run P-Net over the pyramids of some frames.

    Args:
        frames: what to look at.
        pnet: the network.
        params: what a user may choose.
        sizes: how many canvases a batch may have.
        each: calls a function for each batch of canvases.

    Returns:
        Squares, grouped by frame.

    """
    levels: list[Level] = []
    for number, (height, width) in enumerate(frames.shapes_hw.tolist()):
        levels += pyramid(number, (height, width), params.min_face_of(height, width), params.pyramid_factor)
    atlas = Atlas(levels)
    scan = _Scan(frames, atlas, pnet, params.thresholds[0])
    found = joined(list(each(scan, steps(atlas.canvases, sizes))))
    found = found.best(NMS_IN_LEVEL)
    found = replace(found, group=np.array([level.frame for level in levels], np.int64)[found.group])
    found = found.best(NMS_IN_FRAME)
    return replace(found, boxes=squares(moved(found.boxes, found.offsets, last_pixel=0)))


class _Scan:
    """Draws some canvases, runs P-Net over them and returns the windows with a face."""

    def __init__(self, frames: Frames, atlas: Atlas, pnet: Runner, min_score: float) -> None:
        self._frames, self._atlas, self._pnet = frames, atlas, pnet
        self._min_logit = float(np.log(min_score / (1 - min_score))) if min_score > 0 else -np.inf
        self._scales = np.array([level.scale for level in atlas.levels], np.float32)

    def __call__(self, step: Step) -> Candidates:
        canvases, size = step
        pieces = self._atlas.pieces_on(range(canvases.start, canvases.stop))
        drawn = batch_memory((size, CANVAS_HEIGHT_PX, CANVAS_WIDTH_PX, 3))
        self._frames.draw(pieces, out=drawn)
        pieces, row, column, seen = self._pnet(drawn, partial(self._taken, pieces))
        scores = np.float32(1) / (np.float32(1) + np.exp(-np.maximum(seen[:, _LOGIT], _LEAST_LOGIT)))
        return Candidates(pieces[:, _LEVEL], self._located(pieces, row, column), seen[:, :_LOGIT], scores)

    def _taken(self, pieces: I64, outputs: tuple[F32, ...]) -> tuple[I64, I64, I64, F32]:
        """Take of P-Net's outputs the windows that may show a face: their pieces, rows, columns and numbers."""
        (windows,) = outputs
        piece, row, column = picked(windows, pieces, least=self._min_logit).astype(np.int64).T
        pieces = pieces[piece]
        return pieces, row, column, windows[pieces[:, _CANVAS], row, column]

    def _located(self, pieces: I64, row: I64, column: I64) -> F32:
        """Return the boxes of windows in their frames."""
        x = column * PNET_STRIDE_PX - pieces[:, _CANVAS_X] + pieces[:, _X]
        y = row * PNET_STRIDE_PX - pieces[:, _CANVAS_Y] + pieces[:, _Y]
        corner = np.stack([x, y], axis=1).astype(np.float32)
        scale = self._scales[pieces[:, _LEVEL], None]
        first, last = np.floor((corner + 1) / scale), np.floor((corner + PNET_WINDOW_PX) / scale)
        return np.concatenate([first, last], axis=1)
