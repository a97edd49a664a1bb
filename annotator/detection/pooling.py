"""Shrinking pictures by the mean over areas, exactly as PyTorch's ``interpolate(mode="area")`` does.

Output pixel i of m over n input pixels is the plain mean of the inputs from ``floor(i n / m)`` to
``ceil((i + 1) n / m)``; OpenCV's ``INTER_AREA`` weighs the edge pixels instead, and the networks' scores tell the
difference. A table of sums (integral image) gives any such mean by four look-ups, for the levels of the pyramid and
for the crops of all candidates alike.
"""

import threading
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from annotator.types import F32, I64, U8

I32 = NDArray[np.int32]

_BLOCK: Final = 1 << 16
"""Pixels made at a time: more would not stay in a core's own cache."""

_KEPT_BYTES: Final = 40 << 20
"""Largest table whose memory a thread keeps for the next one: of a frame of 1920 x 1080."""


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


class SumTable:
    """The table of sums of one frame.

    A pixel of the table has four numbers, of which the last is of no use: sixteen bytes are moved at once, twelve are
    not. Sums that overflow 32 bits wrap around, and so do their differences: the mean of a window of up to eight
    million pixels comes out right.

    Args:
        frame: u8 (H, W, 3), RGB.
        memory: i32 (N, 4) to be used if there are enough of it; its content is lost.

    Attributes:
        memory: what is used.
        shape_hw: height and width of the frame.

    """

    def __init__(self, frame: U8, memory: I32 | None = None) -> None:
        """Sum up the frame."""
        self.shape_hw = height, width = frame.shape[:2]
        size = (height + 1) * (width + 1)
        if memory is None or len(memory) < size:
            memory = np.empty((size, 4), np.int32)
        self.memory: I32 = memory
        self._table = self.memory[:size].reshape(height + 1, width + 1, 4)
        self._pixels = _as_pixels(self.memory[:size])
        cv2.integral(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2RGBA), self._table, sdepth=cv2.CV_32S)

    def pool(self, rows: tuple[I64, I64], columns: tuple[I64, I64], *, out: F32) -> None:
        """Write the means over a grid of windows.

        Args:
            rows: starts and ends of the windows, each i64 (h,).
            columns: likewise, each i64 (w,).
            out: f32 (h, w, 3), takes the means, in 0-255.

        """
        first, last = int(columns[0][0]), int(columns[1][-1])
        left, right = columns[0] - first, columns[1] - first
        share_of_row = (1.0 / (rows[1] - rows[0])).astype(np.float32)
        share_of_column = np.repeat((1.0 / (right - left)).astype(np.float32), 4)
        step = max(1, _BLOCK // (last + 1 - first))
        for start in range(0, len(out), step):
            block = slice(start, start + step)
            bands = self._table[rows[1][block], first : last + 1]
            np.subtract(bands, self._table[rows[0][block], first : last + 1], out=bands)
            pixels = _as_pixels(bands)
            sums = pixels.take(right, axis=1).view(np.int32)
            np.subtract(sums, pixels.take(left, axis=1).view(np.int32), out=sums)
            means = sums.astype(np.float32)
            np.multiply(means, np.multiply.outer(share_of_row[block], share_of_column), out=means)
            cv2.cvtColor(means.reshape(len(means), -1, 4), cv2.COLOR_RGBA2RGB, out[block])

    def crop(self, boxes: I64, *, out: F32) -> None:
        """Cut boxes out of the frame and shrink or enlarge each to a square.

        Args:
            boxes: i64 (N, 4), half-open x1, y1, x2, y2 within the frame, none empty.
            out: f32 (N, side, side, 3), contiguous, takes the crops, RGB in 0-255.

        """
        step = max(1, _BLOCK // out.shape[1] ** 2)
        for start in range(0, len(out), step):
            self._crop(boxes[start : start + step], out[start : start + step])

    def _crop(self, boxes: I64, out: F32) -> None:
        side = out.shape[1]
        left, right = window_edges(boxes[:, 2] - boxes[:, 0], side)
        top, bottom = window_edges(boxes[:, 3] - boxes[:, 1], side)
        share_of_row = (1.0 / (bottom - top)).astype(np.float32)
        share_of_column = np.repeat((1.0 / (right - left)).astype(np.float32), 4, axis=1)
        stride = self.shape_hw[1] + 1
        top_at, bottom_at = ((edge + boxes[:, 1:2]) * stride + boxes[:, 0:1] for edge in (top, bottom))
        sums = self._at(bottom_at, right)
        np.subtract(sums, self._at(bottom_at, left), out=sums)
        np.subtract(sums, self._at(top_at, right), out=sums)
        np.add(sums, self._at(top_at, left), out=sums)
        means = sums.astype(np.float32)
        np.multiply(means, share_of_row[:, :, None] * share_of_column[:, None, :], out=means)
        cv2.cvtColor(means.reshape(-1, side, 4), cv2.COLOR_RGBA2RGB, out.reshape(-1, side, 3))

    def _at(self, row: I64, column: I64) -> I32:
        return self._pixels.take(row[:, :, None] + column[:, None, :]).view(np.int32)


_thread = threading.local()


class FrameTables:
    """The tables of some frames, one at a time: the one asked for last stays in the processor's caches.

    To make a table anew where it is needed again is cheaper than to read it back from memory. For one thread, and for
    one call: its memory is that of the thread's next tables.

    Args:
        frames: each u8 (H, W, 3), RGB, of any sizes.

    Attributes:
        frames: as given.

    """

    def __init__(self, frames: Sequence[U8]) -> None:
        """Take the frames; nothing is summed up yet."""
        self.frames = frames
        self._number: int | None = None
        self._table: SumTable | None = None

    def of(self, number: int) -> SumTable:
        """Return the table of a frame, good until another frame's is asked for."""
        if self._table is None or number != self._number:
            memory: I32 | None = self._table.memory if self._table else getattr(_thread, "memory", None)
            self._table = None  # a large one goes before the next one comes
            self._table, self._number = SumTable(self.frames[number], memory), number
            if self._table.memory.nbytes <= _KEPT_BYTES:
                _thread.memory = self._table.memory
        return self._table


def _as_pixels(table: I32) -> NDArray[np.complex128]:
    """View four numbers as one that is moved at once; it is never computed with."""
    pixels: NDArray[np.complex128] = table.view(np.complex128)[..., 0]
    return pixels
