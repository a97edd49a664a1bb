"""Arrays of ``.npz`` archives that may come from anywhere, read without pickles and only as they are expected.

The member whose header was compared is the one that is read, and no further than its array goes: an archive may hold
others beside it, of like names and of any size.
"""

import lzma
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from annotator.errors import ModelError

Header = tuple[type[np.generic], tuple[int, ...]]
"""Dtype and shape of an array; it is stored in C order."""

_SEPARATOR: Final = "."
"""Stands for the slash in the names of variables: in a zip a slash would be a folder."""

# What zipfile, its decompressors and NumPy's reader of headers raise when they are given anything.
_UNREADABLE: Final = (
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    lzma.LZMAError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def stored_name(name: str) -> str:
    """Return what the array of a variable is called in an archive.

    >>> stored_name("conv1/kernel")
    'conv1.kernel'
    """
    return name.replace("/", _SEPARATOR)


def read_expected(
    file: BinaryIO, expected: Mapping[str, Header], *, whole: str, unreadable: str
) -> dict[str, NDArray[Any]]:
    """Read arrays; their headers are compared with what is expected before memory is taken for them.

    Args:
        file: of ``numpy.savez``.
        expected: dtype and shape of each array.
        whole: what the arrays belong to, for messages.
        unreadable: begins the sentence where the file is none, for example ``"network.npz cannot be read"``.

    Returns:
        The arrays, read-only.

    Raises:
        ModelError: an array is missing, cut off or of another kind.

    """
    try:
        with zipfile.ZipFile(file) as archive:
            return {name: _array(archive, name, header, whole) for name, header in expected.items()}
    except _UNREADABLE as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"{unreadable} ({why}): install the model again") from error


def _array(archive: zipfile.ZipFile, name: str, expected: Header, whole: str) -> NDArray[Any]:
    dtype, shape = np.dtype(expected[0]), expected[1]
    with archive.open(f"{stored_name(name)}.npy") as member:
        version = npy_format.read_magic(member)
        header = npy_format.read_array_header_1_0(member) if version == (1, 0) else None
        if header != (shape, False, dtype):
            raise ModelError(f"{name} of {whole} must be {dtype.name} {shape}: install the model again")
        content = member.read(int(np.prod(shape)) * dtype.itemsize)
    return np.frombuffer(content, dtype).reshape(shape)
