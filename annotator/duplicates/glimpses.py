"""What is kept of a clip to know it again: a few small grey pictures, without bars around them.

A clip that was made anew has other bytes, another size, other frame times, and perhaps a bar with a caption. What all
of these have in common is what is inside the bars, seen small.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from annotator.duplicates.pictures import HEIGHT_PX, WIDTH_PX
from annotator.types import F32, I64, U8, Fingerprint

MOST_PICTURES: Final = 8
"""Of a clip. Samples that look alike count once, so that a still scene has one or two."""

MIN_CHANGE: Final = 4.0
"""Mean change of the pixels, of 255, from which a sample is a picture of its own."""

MIN_CONTRAST: Final = 8.0
"""Standard deviation of the pixels, of 255, under which a picture shows nothing: black, flat, a fade."""

_MIDDLE: Final = 7.5
_GREYS_PER_DEVIATION: Final = 3.0
"""Pictures are kept in 16 greys, whatever their light and contrast: two pixels are a byte."""

# Bars: white or black, still, and as wide as the picture.
_DARK, _BRIGHT = 24, 231
_STILL: Final = 28
_MOST_BAR: Final = 0.4  # of a side, in all
_MOST_SAMPLES: Final = 256


class Glimpses:
    """What was seen of a clip so far: small grey samples, however long it is no more than 256."""

    def __init__(self) -> None:
        """Begin before the first sample."""
        self._grey: list[U8] = []
        self._pts_ms: list[int] = []
        self._seen = 0
        self._every = 1

    def add(self, thumbnail: U8, pts_ms: int) -> None:
        """Take the next sample.

        Args:
            thumbnail: u8 (36, 64, 3), RGB (``annotator.tracking.shot_thumbnails``).
            pts_ms: when it appears.

        """
        if self._seen % self._every == 0:
            self._grey.append(np.asarray(cv2.cvtColor(thumbnail, cv2.COLOR_RGB2GRAY), np.uint8))
            self._pts_ms.append(pts_ms)
        self._seen += 1
        if len(self._grey) > _MOST_SAMPLES:
            self._grey, self._pts_ms, self._every = self._grey[::2], self._pts_ms[::2], 2 * self._every

    def fingerprint(self) -> Fingerprint:
        """Return what the clip is known by."""
        if not self._grey:
            return Fingerprint(np.zeros((0, HEIGHT_PX, WIDTH_PX), np.uint8), np.zeros(0, np.int64))
        return Fingerprint(*choose_pictures(np.stack(self._grey), np.array(self._pts_ms, np.int64)))


def choose_pictures(grey: U8, pts_ms: I64) -> tuple[U8, I64]:
    """Return the pictures of a clip.

    Args:
        grey: u8 (S, 36, 64), its samples, one at least.
        pts_ms: i64 (S,), when they appear.

    Returns:
        u8 (K, 18, 32), greys from 0 to 15, and i64 (K,), when they appear; at most eight, in order of time. None where
        nothing is to be seen.

    """
    grey = _without_bars(grey)
    small = np.stack([cv2.resize(one, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA) for one in grey])
    shows = np.flatnonzero(small.std(axis=(1, 2)) >= MIN_CONTRAST)
    chosen = shows[_most_different(small[shows].astype(np.float32))]
    return _in_greys(small[chosen]), pts_ms[chosen]


def _in_greys(pictures: U8) -> U8:
    values = pictures.astype(np.float32)
    centred = values - values.mean(axis=(1, 2), keepdims=True)
    scaled = centred / np.maximum(values.std(axis=(1, 2), keepdims=True), 1.0) * _GREYS_PER_DEVIATION
    return np.asarray(np.clip(np.rint(scaled + _MIDDLE), 0, 15), np.uint8)


def _most_different(pictures: F32) -> I64:
    """Return the places of pictures of which each differs from all others, the most different first; in order."""
    if not len(pictures):
        return np.zeros(0, np.int64)
    flat = pictures.reshape(len(pictures), -1)
    # The first one is what most resembles the mean: it does not depend on where a clip was cut.
    chosen = [int(np.abs(flat - flat.mean(axis=0)).mean(axis=1).argmin())]
    nearest = np.abs(flat - flat[chosen[0]]).mean(axis=1)
    while len(chosen) < MOST_PICTURES and nearest.max() >= MIN_CHANGE:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.abs(flat - flat[chosen[-1]]).mean(axis=1))
    return np.array(sorted(chosen), np.int64)


def _without_bars(grey: U8) -> U8:
    """Cut bars off: u8 (S, H, W) of the inside of all samples."""
    top, bottom = _bars(grey)
    left, right = _bars(grey.transpose(0, 2, 1))
    return grey[:, top : grey.shape[1] - bottom, left : grey.shape[2] - right]


def _bars(grey: U8) -> tuple[int, int]:
    """Return how many rows are bars, at the top and at the bottom."""
    lowest, highest = grey.min(axis=0).astype(np.int16), grey.max(axis=0).astype(np.int16)
    is_still = (highest - lowest).max(axis=1) <= _STILL
    ends = np.stack([lowest[:, 0], lowest[:, -1], highest[:, 0], highest[:, -1]], axis=1)
    middle = np.median(grey, axis=(0, 2))
    is_dark = is_still & (ends.max(axis=1) <= _DARK) & (middle <= 2 * _DARK)
    is_bright = is_still & (ends.min(axis=1) >= _BRIGHT) & (middle >= 2 * _BRIGHT - 255)
    found = [max(map(_leading, rows)) for rows in ((is_dark, is_bright), (is_dark[::-1], is_bright[::-1]))]
    if sum(found) > _MOST_BAR * len(is_still):
        return 0, 0
    # The row where bar and picture meet has something of both.
    return found[0] + (found[0] > 0), found[1] + (found[1] > 0)


def _leading(flags: NDArray[np.bool_]) -> int:
    return int(len(flags) if flags.all() else flags.argmin())
