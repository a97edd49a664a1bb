"""Finding, checking and reading weight files. No file is unpickled freely."""

import io
import pickle
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from annotator.errors import ConfigError, ModelError

MAX_BYTES: Final = 256 * 1024 * 1024
"""No weight file that is read here is larger; nor does one unpack to more."""


def packaged_file(package: str, name: str) -> Path:
    """Return the path of a file that an installed package carries, without importing the package.

    Args:
        package: a top-level package, e.g. ``"mtcnn"``.
        name: path within the package.

    Raises:
        ConfigError: the package, or the file in it, is not there.

    """
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / name
        if path.is_file():
            return path
    raise ConfigError(f"the file {name} of the package {package} is not there: install {package} again")


def checked_bytes(path: Path, digest: str | None = None) -> bytes:
    """Read a file and check its digest.

    Args:
        path: the file.
        digest: the sha256 it must have; None for a file of the user's own.

    Raises:
        ConfigError: there is no such file.
        ModelError: it is another file, or far too large.

    """
    if not path.is_file():
        raise ConfigError(f"there is no weight file {path}")
    if path.stat().st_size > MAX_BYTES:
        raise ModelError(f"{path} is larger than {MAX_BYTES} bytes: it is no weight file")
    content = path.read_bytes()
    if digest is not None and (found := sha256(content).hexdigest()) != digest:
        raise ModelError(f"{path} is not the file that is known (sha256 {found}, not {digest}): install it again")
    return content


def unpickle_arrays(content: bytes) -> Any:  # noqa: ANN401 - a pickle holds what it holds
    """Read a pickle of NumPy arrays and plain containers, plain or as joblib writes it; refuse anything else.

    Nothing that the pickle names is imported or called, except NumPy's own constructors of arrays and dtypes.

    Args:
        content: the pickle, unpacked. Pickles of Python 2 are read as Latin-1.

    Raises:
        ModelError: it names anything else, or is broken.

    """
    try:
        return _unwrapped(_Unpickler(io.BytesIO(content)).load())
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"the weights are a broken pickle: {error}") from error


def load_object_npy(content: bytes) -> Any:  # noqa: ANN401 - as above
    """Read a ``.npy`` file that holds one pickled object, such as ``det1.npy``; refuse all but arrays in containers.

    Raises:
        ModelError: it is not such a file, or its pickle names more than arrays.

    """
    stream = io.BytesIO(content)
    try:
        major, _ = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(stream)
    except ValueError as error:
        raise ModelError(f"the weights are no .npy file: {error}") from error
    if shape != () or not dtype.hasobject:
        raise ModelError(f"the weights must be one pickled dictionary, got an array {shape} of {dtype}")
    held = unpickle_arrays(stream.read())
    return held.item() if isinstance(held, np.ndarray) and held.shape == () else held


class _JoblibArray:
    """Stands for ``joblib.numpy_pickle.NumpyArrayWrapper``, behind whose state the numbers follow in the stream."""

    stream: io.BytesIO
    array: Any

    def __setstate__(self, state: dict[str, Any]) -> None:
        shape, dtype = tuple(int(length) for length in state["shape"]), state["dtype"]
        if not isinstance(dtype, np.dtype) or dtype.hasobject or state["subclass"] is not np.ndarray:
            raise ModelError("the weights hold a joblib array of objects: only numbers are read")
        if state.get("numpy_array_alignment_bytes") is not None:
            self.stream.read(self.stream.read(1)[0])
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        flat = np.frombuffer(self.stream.read(size), dtype).copy()
        self.array = flat.reshape(shape, order="F" if state["order"] == "F" else "C")


def _unwrapped(held: Any) -> Any:  # noqa: ANN401 - as above
    """Put the arrays in the place of what stood for them."""
    if isinstance(held, _JoblibArray):
        return held.array
    if isinstance(held, dict):
        return {key: _unwrapped(value) for key, value in held.items()}
    if isinstance(held, (list, tuple)):
        return type(held)(_unwrapped(item) for item in held)
    return held


def _latin1(text: str, encoding: str) -> bytes:
    """Stand for ``_codecs.encode``, by which Python 3 writes bytes into an old pickle."""
    if encoding != "latin1":
        raise ModelError(f"the weights hold bytes as {encoding}: refused")
    return text.encode(encoding)


_RECONSTRUCT: Final = np.empty(0).__reduce__()[0]
_FROM_BUFFER: Final = np.empty(0).__reduce_ex__(5)[0]

_ADMITTED: Final[dict[tuple[str, str], Any]] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy.core.numeric", "_frombuffer"): _FROM_BUFFER,
    ("numpy._core.numeric", "_frombuffer"): _FROM_BUFFER,
    ("_codecs", "encode"): _latin1,
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, encoding="latin1")
        self._joblib_array = type("_BoundJoblibArray", (_JoblibArray,), {"stream": stream})

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - as pickle has it
        if (module, name) == ("joblib.numpy_pickle", "NumpyArrayWrapper"):
            return self._joblib_array
        if (module, name) not in _ADMITTED:
            raise ModelError(f"the weights are a pickle that wants {module}.{name}: refused, it holds more than arrays")
        return _ADMITTED[module, name]
