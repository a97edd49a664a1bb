"""Drawn people: squares of coloured cells, which the drawn clips show and the doubles of the networks recognise."""

from typing import Final

import numpy as np

from annotator.types import U8, Identity
from tests.media_factory import PALETTE

SIDE_PX: Final = 48
_CELLS: Final = 6
# A face is what has colour; the ground is white.
MIN_SATURATION: Final = 60
_COLOURS: Final = np.flatnonzero(np.ptp(PALETTE.astype(int), axis=1) >= MIN_SATURATION)

PEOPLE: Final = tuple(
    Identity(name, f"/m/0fault{number}")
    for number, name in enumerate(("Ada Lovelace", "Bén Brown", "Catherine Clark", "Dorothy Vaughan", "Edith Clarke"))
)


def pattern(person: int) -> U8:
    """Return a person's face as indices of the palette, u8 (48, 48)."""
    cells = np.random.default_rng(1000 + person).choice(_COLOURS, (_CELLS, _CELLS)).astype(np.uint8)
    return cells.repeat(SIDE_PX // _CELLS, axis=0).repeat(SIDE_PX // _CELLS, axis=1)


def portrait(person: int) -> U8:
    """Return a person's face on a white ground, u8 (96, 96, 3), the face in the middle."""
    canvas = np.full((2 * SIDE_PX, 2 * SIDE_PX, 3), 255, np.uint8)
    margin = SIDE_PX // 2
    canvas[margin:-margin, margin:-margin] = PALETTE[pattern(person)]
    return canvas
