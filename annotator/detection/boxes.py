"""Boxes of the cascade, as facenet-pytorch computes them, and non-maximum suppression for many frames at once.

Inside the cascade boxes are what the networks were trained with: x1, y1, x2, y2 in pixels counted from 1, the last
pixel included. :func:`half_open` turns them into the boxes of ``annotator.types``, when the cascade is over.

Ported from facenet-pytorch 2.6.0, ``models/utils/detect_face.py`` (MIT), which follows the authors' MATLAB code.
"""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from annotator.types import F32, I64

Overlap = Literal["union", "smaller"]
"""Intersection over union, or over the smaller box. The latter counts the last pixel in, as the original does."""

_MAX_PAIRS: Final = 1 << 21
"""Pairs of boxes compared at once; bounds the memory."""


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
    boxes, groups = boxes[order], groups[order]
    starts = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1)) if len(groups) else np.zeros(0, np.int64)
    sizes = np.diff(starts, append=len(groups))
    better, worse = _overlapping(boxes, starts, sizes, limit=max_overlap, overlap=overlap)
    return order[_greedy(len(order), better, worse)]


def _overlapping(boxes: F32, starts: I64, sizes: I64, *, limit: float, overlap: Overlap) -> tuple[I64, I64]:
    """Return the pairs within groups that overlap by more than the limit, the one with the higher score first."""
    rivals = np.arange(len(boxes)) - np.repeat(starts, sizes)  # better boxes of the same group stand right before
    block = np.cumsum(rivals) // _MAX_PAIRS
    pairs: list[tuple[I64, I64]] = []
    for number in range(int(block[-1]) + 1 if len(block) else 0):
        box = np.flatnonzero(block == number)
        worse = np.repeat(box, rivals[box])
        position = np.arange(len(worse)) - np.repeat(np.cumsum(rivals[box]) - rivals[box], rivals[box])
        better = worse - 1 - position
        much = _overlap(boxes, better, worse, overlap) > limit
        pairs.append((better[much], worse[much]))
    empty = np.zeros(0, np.int64)
    return np.concatenate([empty, *(p[0] for p in pairs)]), np.concatenate([empty, *(p[1] for p in pairs)])


def _overlap(boxes: F32, one: I64, other: I64, overlap: Overlap) -> F32:
    last_pixel = np.float32(overlap == "smaller")
    x1, y1, x2, y2 = np.ascontiguousarray(boxes.T)
    area = (x2 - x1 + last_pixel) * (y2 - y1 + last_pixel)
    width = np.minimum(x2[one], x2[other]) - np.maximum(x1[one], x1[other]) + last_pixel
    height = np.minimum(y2[one], y2[other]) - np.maximum(y1[one], y1[other]) + last_pixel
    common = np.maximum(width, 0) * np.maximum(height, 0)
    whole = np.minimum(area[one], area[other]) if overlap == "smaller" else area[one] + area[other] - common
    with np.errstate(divide="ignore", invalid="ignore"):  # two boxes without area do not overlap
        result: F32 = common / whole
    return result


def _greedy(count: int, better: I64, worse: I64) -> NDArray[np.bool_]:
    """Decide all boxes round by round: who has no better rival left stays, and who overlaps such a one goes."""
    stays = np.zeros(count, np.bool_)
    is_open = np.ones(count, np.bool_)
    while is_open.any():
        has_rival = np.zeros(count, np.bool_)
        has_rival[worse] = True
        winners = is_open & ~has_rival
        stays |= winners
        losers = np.zeros(count, np.bool_)
        losers[worse[winners[better]]] = True
        is_open &= ~(winners | losers)
        live = is_open[better] & is_open[worse]
        better, worse = better[live], worse[live]
    return stays
