"""TensorFlow reads an array where it lies, if it lies well."""

from typing import Any

import numpy as np
import pytest

from annotator.runtime.sharing import ALIGNMENT_BYTES, shareable, shareable_zeros


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(1,), (5, 7, 3), (64, 64)])
def test_zeros_lie_at_an_address_that_suits(shape: tuple[int, ...], dtype: Any) -> None:
    for _ in range(5):
        array = shareable_zeros(shape, dtype)
        assert (array.shape, array.dtype, array.ctypes.data % ALIGNMENT_BYTES) == (shape, dtype, 0)
        assert not array.any()
        assert shareable(array) is array


def test_what_lies_badly_is_copied_whole() -> None:
    good = shareable_zeros((8, 16), np.float32)
    good[...] = np.arange(128).reshape(8, 16)
    read_only = good.view()
    read_only.flags.writeable = False
    for bad in (good[:, 1:], good[::2], good.reshape(-1)[1:], read_only):
        copy = shareable(bad)
        assert not np.shares_memory(copy, good)
        assert copy.flags.c_contiguous
        assert copy.flags.writeable
        assert copy.ctypes.data % ALIGNMENT_BYTES == 0
        np.testing.assert_array_equal(copy, bad)
