"""Faces made unrecognisable on frames: a few cells of colour over each, the same ones for as long as its track lasts.

A mosaic that is made anew on every frame gives a face away little by little: as the face moves under the cells, each
frame tells other averages of it, and together they tell the face. So a track gets the cells of the first frame on which
it is hidden, once, and keeps them: all its frames together tell no more than CELLS x CELLS colours.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np

from annotator.render.marks import Box, DrawnTrack, box_at
from annotator.types import U8, FaceTrack, TrackLabel

CELLS: Final = 6
"""Of the enlarged box, each way: four of them, each way, lie on the face itself."""

ENLARGED: Final = 1.5
"""Sides of what is hidden, of those of the box: hair, ears and chin are outside the detector's box."""

HELD_MS: Final = 500
"""So long before a face is first found, and after it is last found, its place is hidden too, within the shot."""

_BLUR_CELLS: Final = 0.35  # standard deviation of the blur over the mosaic: it hides nothing, edges are ugly


@dataclass(frozen=True, slots=True)
class Redaction:
    """Whose faces are hidden.

    Attributes:
        names: of people, as labels carry them.
        hides_unknown: whether those of all people without a name are.
        hides_all: whether all are.

    """

    names: frozenset[str] = frozenset()
    hides_unknown: bool = False
    hides_all: bool = False

    def covers(self, label: TrackLabel) -> bool:
        """Say whether a track with such a label is hidden."""
        if self.hides_all or label.identity is None:
            return self.hides_all or self.hides_unknown
        return label.identity.name in self.names


NOTHING_HIDDEN: Final = Redaction()


def shown_and_hidden(
    drawn: Sequence[DrawnTrack], labels: Sequence[TrackLabel], redaction: Redaction
) -> tuple[list[DrawnTrack], list[FaceTrack]]:
    """Tell the tracks that are drawn with their names from those that are hidden."""
    shown, hidden = [], []
    for one, label in zip(drawn, labels, strict=True):
        if redaction.covers(label):
            hidden.append(one.track)
        else:
            shown.append(one)
    return shown, hidden


@dataclass(slots=True)
class FaceHider:
    """Hides the faces of some tracks on the frames of one media, which are given in order.

    Attributes:
        tracks: whose faces are hidden.
        cuts_ms: when the frames appear that begin a new shot, ascending.

    """

    tracks: Sequence[FaceTrack]
    cuts_ms: Sequence[int]
    _cells: dict[int, U8] = field(default_factory=dict)  # by track_no: u8 (CELLS, CELLS, 3)

    def hide(self, image: U8, pts_ms: int) -> U8:
        """Return the frame with these faces hidden; the very same where none is on it.

        Args:
            image: u8 (H, W, 3), RGB; not changed.
            pts_ms: when the frame appears.

        """
        hidden = image
        for track in self.tracks:
            box = box_at(pts_ms, track, self.cuts_ms, held_ms=HELD_MS)
            area = None if box is None else _area(box, image)
            if area is None:
                continue
            if track.track_no not in self._cells:
                self._cells[track.track_no] = _cells_of(image[area])
            hidden = hidden.copy() if hidden is image else hidden
            hidden[area] = _painted(self._cells[track.track_no], hidden[area].shape)
        return hidden


def _area(box: Box, image: U8) -> tuple[slice, slice] | None:
    """Return the rows and columns that are hidden for a box; None where it lies outside the frame."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box
    beyond_x, beyond_y = (x2 - x1) * (ENLARGED - 1) / 2, (y2 - y1) * (ENLARGED - 1) / 2
    left, right = max(0, math.floor(x1 - beyond_x)), min(width, math.ceil(x2 + beyond_x))
    top, bottom = max(0, math.floor(y1 - beyond_y)), min(height, math.ceil(y2 + beyond_y))
    return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None


def _cells_of(region: U8) -> U8:
    return np.asarray(cv2.resize(region, (CELLS, CELLS), interpolation=cv2.INTER_AREA), np.uint8)


def _painted(cells: U8, shape: tuple[int, ...]) -> U8:
    """Return the cells as large as a region, u8 (h, w, 3)."""
    height, width = shape[:2]
    mosaic = cv2.resize(cells, (width, height), interpolation=cv2.INTER_NEAREST)
    sigma_px = _BLUR_CELLS * max(1.0, min(height, width) / CELLS)
    return np.asarray(cv2.GaussianBlur(mosaic, (0, 0), sigma_px), np.uint8)
