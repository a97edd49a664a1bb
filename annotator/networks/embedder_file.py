"""The weights of an embedder on disk: an archive of NumPy arrays, ``layer.variable.npy``, float32, not compressed.

It may come from anywhere: the digest is checked first, then arrays are read as ``expected_arrays`` does.
"""

import hashlib
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from annotator.errors import ModelError
from annotator.networks.embedders import EmbedderSpec
from annotator.networks.expected_arrays import read_expected, stored_name
from annotator.networks.variables import variable_shapes
from annotator.runtime.network import Weights
from annotator.types import F32

MAX_NETWORK_BYTES: Final = 256 * 1024 * 1024
"""ResNet-50, the largest, has 95 MB."""

_HASHED_BYTES: Final = 1024 * 1024


def write_embedder_file(path: Path, spec: EmbedderSpec, weights: Weights) -> str:
    """Write weights; the same arrays give the same bytes.

    Args:
        path: the file.
        spec: the network that they belong to.
        weights: f32 arrays by ``layer/variable``, in Keras's axis order; more than the network has are left out.

    Returns:
        The sha256 of the file.

    Raises:
        ModelError: one is missing, has another shape, or is not finite.

    """
    arrays: dict[str, F32] = {}
    for name, shape in variable_shapes(spec).items():
        array = np.asarray(weights.get(name, np.zeros(0)), np.float32)
        if array.shape != shape or not np.isfinite(array).all():
            raise ModelError(f"{name} of {spec.name} must be finite numbers {shape}, got {array.shape}: fit it again")
        arrays[stored_name(name)] = array
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    return embedder_file_digest(path)


def embedder_file_digest(path: Path) -> str:
    """Return the sha256 of a file.

    Raises:
        ModelError: it is not there, or far too large.

    """
    if not path.is_file():
        raise ModelError(f"there is no {path}: install the model again")
    if path.stat().st_size > MAX_NETWORK_BYTES:
        raise ModelError(f"{path} is larger than {MAX_NETWORK_BYTES} bytes: it is not trusted")
    with path.open("rb") as file:
        return _digest_of(file)


def read_embedder_file(path: Path, spec: EmbedderSpec, *, sha256: str) -> dict[str, F32]:
    """Read weights.

    Args:
        path: the file.
        spec: the network that they must belong to.
        sha256: what the file must have.

    Returns:
        f32 arrays by ``layer/variable``.

    Raises:
        ModelError: it is another file, or does not hold what the network has.

    """
    if not path.is_file():
        raise ModelError(f"there is no {path}: install the model again")
    try:
        with path.open("rb") as file:  # one open file: what is checked is what is read
            if path.stat().st_size > MAX_NETWORK_BYTES or _digest_of(file) != sha256:
                raise ModelError(f"{path} is not the file that the model states: install the model again")
            file.seek(0)
            return _arrays(file, spec, path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}): install the model again") from error


def _digest_of(file: BinaryIO) -> str:
    digest, left = hashlib.sha256(), MAX_NETWORK_BYTES
    while (part := file.read(_HASHED_BYTES)) and left >= 0:
        digest.update(part)
        left -= len(part)
    return digest.hexdigest()


def _arrays(file: BinaryIO, spec: EmbedderSpec, path: Path) -> dict[str, F32]:
    expected = {name: (np.float32, shape) for name, shape in variable_shapes(spec).items()}
    arrays = read_expected(file, expected, whole="the network", unreadable=f"{path} cannot be read as weights")
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ModelError(f"{name} of the network holds numbers that are none: install the model again")
    return arrays
