"""Arrays that TensorFlow reads where they lie.

``tf.constant`` copies an array twice before anything goes to a device: once lest the caller change it, and once more
where its address does not suit the processor's widest vectors, which is nearly always so, since NumPy aligns to 16
bytes. The canvases of one batch for P-Net are 25 MB.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

ALIGNMENT_BYTES: Final = 64
"""What TensorFlow wants of an address: it has vectors of 512 bits at most."""


def shareable_zeros(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array of zeros at an address that suits TensorFlow; else like ``np.zeros``."""
    size_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size_bytes + ALIGNMENT_BYTES, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT_BYTES
    return memory[start : start + size_bytes].view(dtype).reshape(shape)


def shareable(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array itself if TensorFlow can read it where it lies, else a copy.

    DLPack, by which it is handed over, refuses what may not be written, though nobody writes.
    """
    flags = array.flags
    if flags.c_contiguous and flags.writeable and array.ctypes.data % ALIGNMENT_BYTES == 0:
        return array
    copy = shareable_zeros(array.shape, array.dtype)
    copy[...] = array
    return copy
