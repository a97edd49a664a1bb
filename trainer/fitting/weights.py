"""Fitted networks on disk, and layers that stay as they are.

Weights may come from anywhere, so only files that cannot carry code are read: ``.weights.h5`` and the weights inside a
``.keras`` file, whose description of the network is never looked at.
"""

import json
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

import h5py  # type: ignore[import-untyped] # it has no types

from annotator.errors import ConfigError, ModelError
from trainer.experiment import Network
from trainer.fitting.description import NETWORK_FILE, read_description
from trainer.fitting.state import replacing
from trainer.networks.build import BuiltNetwork, build_network

WEIGHTS_FILE: Final = "best.weights.h5"
KERAS_FILE: Final = "best.keras"

MAX_WEIGHTS_BYTES: Final = 1024**3
"""The largest network here has a tenth of a gigabyte."""

MAX_ITEMS: Final = 100_000
"""Links and arrays in a file; Xception has two thousand."""

MAX_DEPTH: Final = 32
"""Groups in groups; Keras makes seven."""

_UNREADABLE: Final = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error),
)
"""What a file that is damaged, or hostile, fails with, in HDF5, in the archive, or in Keras."""

_INSIDE_KERAS: Final = "model.weights.h5"


def save_fitted(folder: Path, built: BuiltNetwork, network: Network, people: Sequence[str]) -> None:
    """Write a network: its description, and the weights of what has learnt; a frozen front comes from its package.

    Args:
        folder: gets ``network.json`` and ``best.weights.h5``; ``best.keras``, which held another, is removed.
        built: the network.
        network: its description.
        people: names of the classes, by their index.

    Raises:
        LocalDiskError: there is no room.

    """
    (folder / KERAS_FILE).unlink(missing_ok=True)
    with _without_deprecations(), replacing(folder / WEIGHTS_FILE) as part:
        built.learning.save_weights(part)
    with replacing(folder / NETWORK_FILE) as part:
        described = {"network": asdict(network), "people": list(people)}
        part.write_text(json.dumps(described, ensure_ascii=False, indent=1), encoding="utf-8")


def save_whole(folder: Path, built: BuiltNetwork) -> None:
    """Write what was written by :func:`save_fitted` once more, as ``best.keras``: from crops on, for Keras alone.

    Args:
        folder: holds the weights, and gets the file.
        built: a network of the same kind; gets the weights.

    Raises:
        LocalDiskError: there is no room.
        ModelError: the weights are not what they must be.

    """
    load_weights(built.learning, folder / WEIGHTS_FILE, is_partial=False)
    with _without_deprecations(), replacing(folder / KERAS_FILE) as part:
        built.whole.save(part, include_optimizer=False)


def load_fitted(folder: Path) -> tuple[BuiltNetwork, Network, tuple[str, ...]]:
    """Return a network that was written by :func:`save_fitted`, its description and the names of its classes.

    Raises:
        ConfigError: there is none.
        ModelError: a file is not what it must be.

    """
    network, people = read_description(folder)
    built = build_network(network, len(people))
    load_weights(built.learning, folder / WEIGHTS_FILE, is_partial=False)
    return built, network, people


def freeze(built: BuiltNetwork, patterns: Sequence[str]) -> tuple[str, ...]:
    """Freeze layers by name.

    Args:
        built: whose layers.
        patterns: names, with ``*`` for any letters.

    Returns:
        The names of the frozen layers.

    Raises:
        ConfigError: a pattern names no layer that has weights, or nothing is left to learn.

    """
    layers = [layer for layer in built.learning.layers if layer.weights]
    for pattern in patterns:
        if not any(fnmatch(layer.name, pattern) for layer in layers):
            some = ", ".join(layer.name for layer in layers[:3] + layers[-3:])
            raise ConfigError(f"no layer is called {pattern!r}: there are {len(layers)}, such as {some}")
    frozen = [layer for layer in layers if any(fnmatch(layer.name, pattern) for pattern in patterns)]
    for layer in frozen:
        layer.trainable = False
    if not built.learning.trainable_variables:
        raise ConfigError("all layers are frozen: leave some to learn")
    return tuple(layer.name for layer in frozen)


@contextmanager
def _without_deprecations() -> Iterator[None]:
    """Keras's variables lack an argument that NumPy 2 asks for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def load_weights(model: Any, path: Path, *, is_partial: bool) -> None:  # noqa: ANN401 - a Keras model
    """Set a network's weights to those of a file that is not trusted.

    Args:
        model: gets the weights.
        path: ``.weights.h5`` or ``.keras``.
        is_partial: take what fits, and leave the rest; otherwise all must fit.

    Raises:
        ModelError: the file is not what it must be.

    """
    try:
        _check_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of each layer that does not fit, which is what is asked for
            model.load_weights(path, skip_mismatch=is_partial)
    except ModelError:
        raise
    except _UNREADABLE as error:
        raise ModelError(f"{path} holds no weights that can be read ({type(error).__name__}): name another") from error


def _check_archive(path: Path) -> None:
    """Refuse files that are too large, or that point at other files."""
    if path.stat().st_size > MAX_WEIGHTS_BYTES:
        raise ModelError(f"{path} is larger than any network here")
    if path.name.endswith(".keras"):
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo(_INSIDE_KERAS)
            if member.file_size > MAX_WEIGHTS_BYTES:
                raise ModelError(f"the weights in {path} are larger than any network here")
            with archive.open(member) as stream, h5py.File(stream, "r") as file:
                _check_hdf5(file, path)
    else:
        with h5py.File(path, "r") as file:
            _check_hdf5(file, path)


def _check_hdf5(file: Any, path: Path) -> None:  # noqa: ANN401 - h5py has no types
    size_bytes = 0
    for count, item in enumerate(_items(file, path, depth=0), 1):
        if count > MAX_ITEMS:
            raise ModelError(f"{path} has more parts than any network here")
        if not isinstance(item, h5py.HardLink | h5py.Dataset):
            raise ModelError(f"{path} points at another file: weights must stand in the file itself")
        if isinstance(item, h5py.Dataset):
            size_bytes += item.nbytes
            if item.external or item.is_virtual or item.dtype.hasobject:
                raise ModelError(f"{path} holds something else than numbers: name another")
    if size_bytes > MAX_WEIGHTS_BYTES:
        raise ModelError(f"the weights in {path} are larger than any network here")


def _items(group: Any, path: Path, *, depth: int) -> Iterator[Any]:  # noqa: ANN401 - as above
    """Yield the links and the data sets of an HDF5 file; a group may hold itself, so the depth has an end."""
    if depth > MAX_DEPTH:
        raise ModelError(f"{path} nests groups deeper than any network here: name another")
    for name in group:
        link = group.get(name, getlink=True)
        yield link
        if not isinstance(link, h5py.HardLink):
            continue
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _items(item, path, depth=depth + 1)
        else:
            yield item
