"""Use of time: most frames of a clip are looked at only where the frames around them show faces.

Neighbouring samples of a clip resemble each other. So some of them are searched in full; in those between, R- and O-Net
look where the searched frames before and after have faces, P-Net nowhere. A face moves little in between, and both
networks move a box to the face that it partly covers. What appears between two searched frames and is gone by the
second is not found, nor what appears after the last one; a frame that differs much from the searched one before it is
searched itself.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from annotator.detection.boxes import squares
from annotator.native import Frames
from annotator.types import F32, I64, U8, FaceDetections

_THUMBNAIL_HW: Final = (18, 32)

_SHIFTS: Final = np.array([[0, 0], [0.15, 0], [-0.15, 0], [0, 0.15], [0, -0.15]], np.float32)
"""Where a neighbour's face is looked for, in parts of its side: one look alone loses a face in fifty."""


def searched_frames(frames: Sequence[U8], *, every: int, max_change: float) -> I64:
    """Choose which frames of a clip are searched in full.

    Args:
        frames: each u8 (H, W, 3), in the order of time.
        every: at least one in so many; 1 for all.
        max_change: mean difference of thumbnails, in 0-255, to the searched frame before; one that differs by more is
            searched, too.

    Returns:
        i64 (K,), rising; the first is among them.

    """
    if every == 1:
        return np.arange(len(frames))
    thumbnails = Frames(frames).shrunk(*_THUMBNAIL_HW)
    searched = [0]
    for number in range(1, len(frames)):
        change = float(np.abs(thumbnails[number] - thumbnails[searched[-1]]).mean())
        if number - searched[-1] >= every or change > max_change:
            searched.append(number)
    return np.array(searched[: len(frames)], np.int64)


def neighbours(count: int, searched: I64) -> list[tuple[int, ...]]:
    """Return for each frame that is not searched the searched one before it, and the one after it if there is one.

    >>> neighbours(6, np.array([0, 3]))
    [(), (0, 3), (0, 3), (), (3,), (3,)]
    """
    result: list[tuple[int, ...]] = [()] * count
    for start, end in pairwise([*searched.tolist(), count]):
        around = (start, end) if end < count else (start,)
        result[start + 1 : end] = [around] * (end - start - 1)
    return result


def squares_around(found: Sequence[FaceDetections]) -> F32:
    """Return where to look for faces that other frames show.

    Args:
        found: what those frames show.

    Returns:
        f32 (N, 4), x1, y1, x2, y2, counted from 1, the last pixel included.

    """
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(faces.boxes_xyxy for faces in found)])
    square = squares(boxes + np.array([1, 1, 0, 0], np.float32))
    shifts = (square[:, 2] - square[:, 0])[:, None, None] * _SHIFTS
    shifted: F32 = square[:, None] + np.concatenate([shifts, shifts], axis=2)
    return shifted.reshape(-1, 4)
