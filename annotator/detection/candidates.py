"""Boxes on their way through the cascade."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from annotator.detection.boxes import Overlap, suppress
from annotator.types import F32, I64


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Boxes that may be faces, of many frames, counted from 1, the last pixel included.

    Attributes:
        group: i64 (N,), number of the frame, or of the level of a pyramid.
        boxes: f32 (N, 4), x1, y1, x2, y2.
        offsets: f32 (N, 4), by which the last network would move the edges.
        scores: f32 (N,), what it gave them.

    """

    group: I64
    boxes: F32
    offsets: F32
    scores: F32

    def __getitem__(self, which: I64 | NDArray[np.bool_] | slice) -> "Candidates":
        """Return some of them, by number, mask or slice."""
        return Candidates(self.group[which], self.boxes[which], self.offsets[which], self.scores[which])

    def best(self, max_overlap: float, overlap: Overlap = "union") -> "Candidates":
        """Return those that are left of overlapping ones, by group; see :func:`~annotator.detection.boxes.suppress`."""
        return self[self.best_numbers(max_overlap, overlap)]

    def best_numbers(self, max_overlap: float, overlap: Overlap = "union") -> I64:
        """Return the numbers of what :meth:`best` returns."""
        return suppress(self.boxes, self.scores, self.group, max_overlap=max_overlap, overlap=overlap)

    def seen(self, offsets: F32, scores: F32) -> "Candidates":
        """Return the same boxes with what the next network says of them."""
        return replace(self, offsets=offsets, scores=scores)


def joined(parts: Sequence[Candidates]) -> Candidates:
    """Return the candidates of several parts as one."""
    if not parts:
        return Candidates(np.zeros(0, np.int64), *(np.zeros((0, 4), np.float32),) * 2, np.zeros(0, np.float32))
    return Candidates(
        np.concatenate([part.group for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.offsets for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )
