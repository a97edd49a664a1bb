"""The small grey pictures that a clip is known by, as bytes. OpenCV is not needed: the store keeps them."""

from typing import Final

import numpy as np

from annotator.types import U8

WIDTH_PX: Final = 32
HEIGHT_PX: Final = 18


def pack(pictures: U8) -> bytes:
    """Return u8 (K, 18, 32) pictures as 288 bytes each."""
    flat = pictures.reshape(-1, 2)
    return (flat[:, 0] << 4 | flat[:, 1]).tobytes()


def unpack(packed: bytes) -> U8:
    """Return the pictures that were packed: u8 (K, 18, 32).

    Raises:
        ValueError: these are no pictures.

    """
    pairs = np.frombuffer(packed, np.uint8)
    return np.stack([pairs >> 4, pairs & 15], axis=1).reshape(-1, HEIGHT_PX, WIDTH_PX)
