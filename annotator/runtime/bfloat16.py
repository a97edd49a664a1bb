"""Numbers of bfloat16 in NumPy, which has no type for them: the upper half of a float32, as u16."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotator.types import F32

U16 = NDArray[np.uint16]

UNIT_ROUNDOFF: Final = 2.0**-8
"""By at most so much of itself a number is moved when it is rounded to bfloat16."""


def to_bfloat16(values: F32) -> U16:
    """Return the nearest numbers of bfloat16, of two that are as near the even one; values of any shape, finite."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + (np.uint32(0x7FFF) + (bits >> 16 & 1))) >> 16).astype(np.uint16)


def from_bfloat16(bits: U16) -> F32:
    """Return numbers of bfloat16 as float32, which has them all."""
    return (bits.astype(np.uint32) << 16).view(np.float32)
