"""Shrinking pictures by the mean over areas, exactly as PyTorch's ``interpolate(mode="area")`` does.

Output pixel i of m over n input pixels is the plain mean of the inputs from ``floor(i n / m)`` to
``ceil((i + 1) n / m)``; OpenCV's ``INTER_AREA`` weighs the edge pixels instead, and the networks' scores tell the
difference. A table of sums (integral image) gives any such mean by four look-ups, for the levels of the pyramid and
for the crops of all candidates alike.
"""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from annotator.types import F32, I64, U8

I32 = NDArray[np.int32]

_BLOCK: Final = 1 << 14
"""Pixels summed up at a time, so that all stays in a core's own cache: about three times as fast."""


def window_edges(length: int | I64, cells: int) -> tuple[I64, I64]:
    """Return where the windows of area pooling start and end.

    Args:
        length: number of input pixels, or several such numbers, i64 (N,).
        cells: number of output pixels.

    Returns:
        Starts and ends, i64 (cells,) or (N, cells), half-open.

    """
    index = np.arange(cells, dtype=np.int64)
    lengths = np.asarray(length, np.int64)[..., None]
    return (index * lengths) // cells, -((-(index + 1) * lengths) // cells)


class SumTables:
    """Tables of sums of some frames, of any sizes.

    Sums that overflow 32 bits wrap around, and so do their differences: the mean of a window of up to eight million
    pixels comes out right.

    Args:
        frames: each u8 (H, W, 3), RGB.

    Attributes:
        shape_hw: i64 (N, 2), height and width of each frame.

    """

    def __init__(self, frames: Sequence[U8]) -> None:
        """Sum up the frames."""
        self.shape_hw: I64 = np.array([frame.shape[:2] for frame in frames], np.int64).reshape(-1, 2)
        sizes = (self.shape_hw + 1).prod(axis=1)
        self._start = np.concatenate([[0], np.cumsum(sizes)])
        self._flat: I32 = np.empty((int(self._start[-1]), 3), np.int32)
        self._tables: list[I32] = []
        for number, frame in enumerate(frames):
            table = self._flat[self._start[number] : self._start[number + 1]]
            table = table.reshape(frame.shape[0] + 1, frame.shape[1] + 1, 3)
            self._tables.append(table)
            cv2.integral(np.ascontiguousarray(frame), table, sdepth=cv2.CV_32S)

    def pool(self, frame: int, rows: tuple[I64, I64], columns: tuple[I64, I64], *, out: F32) -> None:
        """Write the means over a grid of windows of one frame.

        Args:
            frame: its number.
            rows: starts and ends of the windows, each i64 (h,).
            columns: likewise, each i64 (w,).
            out: f32 (h, w, 3), takes the means, in 0-255.

        """
        table = self._tables[frame]
        first, last = int(columns[0][0]), int(columns[1][-1])
        left, right = columns[0] - first, columns[1] - first
        share_of_row = (1.0 / (rows[1] - rows[0])).astype(np.float32)
        share_of_column = np.repeat((1.0 / (right - left)).astype(np.float32), 3)
        step = max(1, _BLOCK // (last + 1 - first))
        for start in range(0, len(out), step):
            block = slice(start, start + step)
            bands = table[rows[1][block], first : last + 1]
            np.subtract(bands, table[rows[0][block], first : last + 1], out=bands)
            sums = bands.take(right, axis=1)
            np.subtract(sums, bands.take(left, axis=1), out=sums)
            means = sums.reshape(len(sums), -1).astype(np.float32)
            np.multiply(means, np.multiply.outer(share_of_row[block], share_of_column), out=means)
            out[block] = means.reshape(sums.shape)

    def crop(self, frame: I64, boxes: I64, *, out: F32) -> None:
        """Cut boxes out of frames and shrink or enlarge each to a square.

        Args:
            frame: i64 (N,), numbers of the frames.
            boxes: i64 (N, 4), half-open x1, y1, x2, y2 within their frames, none empty.
            out: f32 (N, side, side, 3), takes the crops, RGB in 0-255.

        """
        step = max(1, _BLOCK // out.shape[1] ** 2)
        for start in range(0, len(out), step):
            block = slice(start, start + step)
            self._crop(frame[block], boxes[block], out[block])

    def _crop(self, frame: I64, boxes: I64, out: F32) -> None:
        side = out.shape[1]
        left, right = window_edges(boxes[:, 2] - boxes[:, 0], side)
        top, bottom = window_edges(boxes[:, 3] - boxes[:, 1], side)
        share_of_row = (1.0 / (bottom - top)).astype(np.float32)
        share_of_column = np.repeat((1.0 / (right - left)).astype(np.float32), 3, axis=1)
        stride = self.shape_hw[frame, 1:] + 1
        origin = self._start[frame][:, None] + boxes[:, 0:1]
        top_at, bottom_at = ((edge + boxes[:, 1:2]) * stride + origin for edge in (top, bottom))
        sums = self._at(bottom_at, right)
        np.subtract(sums, self._at(bottom_at, left), out=sums)
        np.subtract(sums, self._at(top_at, right), out=sums)
        np.add(sums, self._at(top_at, left), out=sums)
        means = sums.reshape(len(sums), side, -1).astype(np.float32)
        np.multiply(means, share_of_row[:, :, None] * share_of_column[:, None, :], out=means)
        out[...] = means.reshape(sums.shape)

    def _at(self, row: I64, column: I64) -> I32:
        return self._flat.take(row[:, :, None] + column[:, None, :], axis=0)
