"""Hashes of what a photograph looks like: near-duplicates (resized, recompressed, mirrored) have hashes near together.

The hash is that of the low frequencies of the cosine transform: 64 signs about their median, after C. Zauner,
«Implementation and benchmarking of perceptual image hash functions», 2010.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from annotator.types import F32, U8

U64 = NDArray[np.uint64]

SMALL_SIDE_PX: Final = 32
LOW_FREQUENCIES: Final = 8
SKETCH_SIDE_PX: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class Appearance:
    """What a photograph looks like.

    Attributes:
        hash64: of the photograph.
        mirrored64: of its mirror image.
        sketch: u8 (16, 16), its brightness; tells apart what has one hash by chance.

    """

    hash64: int
    mirrored64: int
    sketch: U8


def appearance_of(picture: U8) -> Appearance:
    """Return what a photograph u8 (H, W, 3), RGB, looks like."""
    grey = np.asarray(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY), np.uint8)
    small = np.asarray(cv2.resize(grey, (SMALL_SIDE_PX, SMALL_SIDE_PX), interpolation=cv2.INTER_AREA), np.float32)
    sketch = cv2.resize(grey, (SKETCH_SIDE_PX, SKETCH_SIDE_PX), interpolation=cv2.INTER_AREA)
    return Appearance(_hash64(small), _hash64(np.ascontiguousarray(small[:, ::-1])), np.asarray(sketch, np.uint8))


def _hash64(small: F32) -> int:
    low = np.asarray(cv2.dct(small), np.float32)[:LOW_FREQUENCIES, :LOW_FREQUENCIES].ravel()
    bits = low > np.median(low[1:])
    bits[0] = False  # the mean brightness says nothing
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
