"""Non-maximum suppression as torchvision does it: greedy, by intersection over union, each group on its own."""

import torch
from torch import Tensor


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """Return the numbers of the boxes that stay, best score first.

    Args:
        boxes: (N, 4), x1, y1, x2, y2.
        scores: (N,).
        idxs: (N,), the group of each box.
        iou_threshold: a box that overlaps a better one of its group by more goes.

    """
    kept = [nms(boxes, scores, group, iou_threshold) for group in _groups(idxs)]
    found = torch.cat(kept) if kept else torch.zeros(0, dtype=torch.int64)
    return found[scores[found].sort(descending=True, stable=True)[1]]


def nms(boxes: Tensor, scores: Tensor, group: Tensor, iou_threshold: float) -> Tensor:
    """Return which of the boxes with these numbers stay."""
    order = group[scores[group].sort(descending=True, stable=True)[1]]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        first = torch.maximum(boxes[best, :2], boxes[order, :2])
        last = torch.minimum(boxes[best, 2:], boxes[order, 2:])
        common = (last - first).clamp(min=0).prod(dim=1)
        order = order[~(common / (area[best] + area[order] - common) > iou_threshold)]
    return torch.stack(kept)


def _groups(idxs: Tensor) -> list[Tensor]:
    return [torch.nonzero(idxs == value).flatten() for value in idxs.unique()]
