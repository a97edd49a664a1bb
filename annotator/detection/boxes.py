"""Boxes of the cascade, as facenet-pytorch computes them, and non-maximum suppression for many frames at once.

Inside the cascade boxes are what the networks were trained with: x1, y1, x2, y2 in pixels counted from 1, the last
pixel included. :func:`half_open` turns them into the boxes of ``annotator.types``, when the cascade is over.

Ported from facenet-pytorch 2.6.0, ``models/utils/detect_face.py`` (MIT), which follows the authors' MATLAB code.
"""

from typing import Literal

import numpy as np

from annotator.native import staying
from annotator.types import F32, I64

Overlap = Literal["union", "smaller"]
"""Intersection over union, or over the smaller box. The latter counts the last pixel in, as the original does."""


def squares(boxes: F32) -> F32:
    """Return the squares around the boxes' centres whose side is the longer side.

    Args:
        boxes: f32 (N, 4), x1, y1, x2, y2.

    """
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    side = np.maximum(width, height)
    left = boxes[:, 0] + width * np.float32(0.5) - side * np.float32(0.5)
    top = boxes[:, 1] + height * np.float32(0.5) - side * np.float32(0.5)
    return np.stack([left, top, left + side, top + side], axis=1)


def moved(boxes: F32, offsets: F32, *, last_pixel: int) -> F32:
    """Move each edge by a part of the box's side.

    Args:
        boxes: f32 (N, 4), x1, y1, x2, y2.
        offsets: f32 (N, 4), what a network says.
        last_pixel: 1 if the last pixel counts to the side, 0 if not: the original does so after R- and O-Net only.

    """
    sides = boxes[:, 2:] - boxes[:, :2] + np.float32(last_pixel)
    result: F32 = boxes + offsets * np.concatenate([sides, sides], axis=1)
    return result


def within(boxes: F32, shape_hw: I64) -> I64:
    """Return what of each box lies in its frame, cut to whole pixels: half-open, counted from 0; may be empty.

    Args:
        boxes: f32 (N, 4), counted from 1, the last pixel included.
        shape_hw: i64 (N, 2), the frames' heights and widths.

    """
    whole = np.trunc(boxes).astype(np.int64)
    first = np.maximum(whole[:, :2], 1) - 1
    last = np.minimum(whole[:, 2:], shape_hw[:, ::-1])
    return np.concatenate([first, last], axis=1)


def half_open(boxes: F32) -> F32:
    """Return boxes that are counted from 0 and end where the next pixel begins: [x1, x2).

    Args:
        boxes: f32 (N, 4), counted from 1, the last pixel included.

    """
    return boxes - np.array([1, 1, 0, 0], np.float32)


def suppress(boxes: F32, scores: F32, groups: I64, *, max_overlap: float, overlap: Overlap = "union") -> I64:
    """Keep the best of boxes that overlap, in each group on its own.

    Greedy: the box with the highest score stays, those that overlap it too much go, and so on; of equal scores the
    earlier box comes first.

    Args:
        boxes: f32 (N, 4), x1, y1, x2, y2.
        scores: f32 (N,).
        groups: i64 (N,), e.g. numbers of frames.
        max_overlap: two boxes that overlap by more do not both stay.
        overlap: how overlap is measured.

    Returns:
        i64 (K,), the numbers of the boxes that stay, by group, then by score, best first.

    """
    order = np.lexsort((-scores, groups))
    groups = groups[order]
    starts = np.flatnonzero(np.diff(groups, prepend=groups[:1] - 1, append=groups[-1:] + 1))
    if len(order) == 0:
        return order
    is_of_smaller = overlap == "smaller"
    stays = staying(
        boxes[order], starts, limit=max_overlap, last_pixel=float(is_of_smaller), is_of_smaller=is_of_smaller
    )
    return order[stays]
