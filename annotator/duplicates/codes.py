"""Codes of pictures: 63 signs each, nearly the same for pictures that are nearly the same.

A code has the signs of the low frequencies of a window of a picture, lowest first. Whoever crops a clip, or writes over
its edge, leaves the windows inside; so a picture has a code for itself and two for windows around its middle, and
whoever looks for it asks with many windows: wherever it was cropped, some of them show what one of the three shows.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotator.duplicates.pictures import HEIGHT_PX, WIDTH_PX
from annotator.types import F32, U8

U64 = NDArray[np.uint64]

BITS: Final = 63
_FREQUENCIES: Final = 8  # of each axis; the mean, of both, is none


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a picture.

    Attributes:
        x: left edge, as a part of the picture's width.
        y: upper edge, as a part of its height.
        width: as a part of the picture's.
        height: as a part of the picture's.

    """

    x: float
    y: float
    width: float
    height: float


def _grid(width: float, height: float, *, steps: int) -> tuple[Window, ...]:
    across, down = (np.linspace(0, 1 - side, steps + 1).tolist() for side in (width, height))
    return tuple(Window(x, y, width, height) for y in down for x in across)


def _without_a_bar() -> tuple[Window, ...]:
    sides = [(1.0, 1 - bar) for bar in (0.06, 0.12, 0.18)] + [(1 - bar, 1.0) for bar in (0.04, 0.08, 0.12)]
    return tuple(
        Window(x, y, width, height) for width, height in sides for x, y in ((0.0, 0.0), (1 - width, 1 - height))
    )


WHOLE: Final = Window(0.0, 0.0, 1.0, 1.0)
KEPT: Final = (WHOLE, Window(0.1, 0.1, 0.8, 0.8), Window(0.18, 0.18, 0.64, 0.64))
"""Windows whose codes are kept."""

WITHOUT_A_BAR: Final = _without_a_bar()
"""What is left of a picture if one side of it is a bar that was not known for one: a caption, or a margin that is white
in the one clip and not quite in the other. The scene beside it is squeezed."""

ASKED: Final = (
    WHOLE,
    *_grid(0.8, 0.8, steps=4),
    *_grid(0.64, 0.64, steps=4),
    *_grid(0.8, 0.74, steps=3),
    *_grid(0.74, 0.8, steps=3),
    *WITHOUT_A_BAR,
)
"""Windows whose codes are looked for. Each ratio of a side to a kept one is a crop that is found: 1.25, 1, 0.8 …; two
ratios in one are a crop of a picture that lost a bar as well."""


def window_waves(pictures: U8, windows: tuple[Window, ...]) -> F32:
    """Return how strong each low frequency is in windows of pictures.

    Args:
        pictures: u8 (K, 18, 32).
        windows: W of them.

    Returns:
        f32 (K, W, 63), lowest frequency first.

    """
    values = pictures.astype(np.float32)
    waves = [down @ values @ across.T for down, across in map(_waves, windows)]
    stacked = np.stack(waves, axis=1) if len(pictures) else np.zeros((0, len(windows), 8, 8), np.float32)
    flat = stacked.reshape(len(pictures), len(windows), _FREQUENCIES**2)
    return np.asarray(flat[..., _lowest_first()], np.float32)


def codes_of(waves: F32) -> U64:
    """Return u64 (…,), the signs of f32 (…, 63); the lowest frequency is the lowest bit."""
    return np.asarray(((waves > 0) << np.arange(BITS, dtype=np.uint64)).sum(axis=-1, dtype=np.uint64), np.uint64)


@cache
def _lowest_first() -> NDArray[np.int64]:
    down, across = np.divmod(np.arange(1, _FREQUENCIES**2), _FREQUENCIES)
    return np.asarray(1 + np.lexsort((np.maximum(down, across), down + across)), np.int64)


@cache
def _waves(window: Window) -> tuple[F32, F32]:
    """Return what each axis is multiplied by: f32 (8, 18) and (8, 32)."""
    return _axis(HEIGHT_PX, window.y, window.height), _axis(WIDTH_PX, window.x, window.width)


def _axis(pixels: int, start: float, side: float) -> F32:
    edges = np.arange(pixels + 1) / pixels
    covered = np.clip(np.minimum(edges[1:], start + side) - np.maximum(edges[:-1], start), 0, None)
    inside = np.clip(((edges[1:] + edges[:-1]) / 2 - start) / side, 0, 1)
    waves = np.cos(np.pi * np.arange(_FREQUENCIES)[:, None] * inside) * covered
    # What a window has of the mean must not count as a wave.
    waves[1:] -= waves[1:].sum(axis=1, keepdims=True) * covered / covered.sum()
    return np.asarray(waves / np.linalg.norm(waves, axis=1, keepdims=True), np.float32)
