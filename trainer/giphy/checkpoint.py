"""The tensors of a PyTorch checkpoint, without PyTorch.

Two forms exist, and the release was saved by a PyTorch of 2018 in the older one; who has saved it again has the newer.

- legacy: five pickles one after the other (a magic number, the version, the machine, the values, the keys of the
  storages), then for each key the number of elements (int64) and the numbers;
- zip: ``NAME/data.pkl`` and ``NAME/data/KEY`` for each storage, not compressed.

Source: ``torch/serialization.py`` of PyTorch, ``_legacy_save`` and ``_save``.
"""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np

from annotator.errors import ModelError
from annotator.types import F32
from trainer.giphy.pickles import MAX_PICKLE_BYTES, StoredTensor, read_pickle, shown

MAX_DIRECTORY_BYTES: Final = 4 * 1024 * 1024
"""Of a zip's list of files; that of a ResNet-50 with its optimiser's state has about 0.1 MB."""

_LEGACY_MAGIC: Final = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL: Final = 1001
_ZIP_MAGIC: Final = b"PK\x03\x04"
_LITTLE_ENDIAN: Final = b"little"
_KINDS_READ: Final = "fd"
"""Kinds of numbers that are read as weights: float32 and float64, as NumPy's characters."""

_MAX_SPREAD: Final = 16
"""A tensor may lie among so many times its own numbers; those of a saved model lie close."""


@dataclass(frozen=True, slots=True)
class _Span:
    """Where the numbers of a storage lie in the file, in bytes."""

    start: int
    size_bytes: int


class Checkpoint:
    """A checkpoint whose tensors are read one by one."""

    def __init__(self, file: BinaryIO, values: object, spans: Mapping[str, _Span]) -> None:
        """Take what was found; see :func:`open_checkpoint`."""
        self._file, self._spans = file, spans
        self._tensors = _state_of(values)

    @property
    def names(self) -> frozenset[str]:
        """Names of the model's tensors, e.g. ``"model.fc1.weight"``."""
        return frozenset(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape that a tensor is said to have."""
        return self._tensors[name].shape

    def read(self, name: str, shape: tuple[int, ...]) -> F32:
        """Read a tensor of floating-point numbers.

        Args:
            name: one of :attr:`names`.
            shape: what it must have; nothing is read, and no memory taken, where it has another.

        Returns:
            f32 of that shape, contiguous, finite.

        Raises:
            ModelError: it has another shape, is not there as a whole, or holds what is no weight.

        """
        tensor = self._tensors[name]
        if tensor.shape != shape:
            raise ModelError(f"{shown(name)} of the checkpoint must have the shape {shape}, got {tensor.shape}")
        if tensor.storage.dtype.char not in _KINDS_READ:
            raise ModelError(f"{shown(name)} of the checkpoint must be of float32, got {tensor.storage.dtype.name}")
        numbers = self._numbers(name, tensor)
        steps = [stride * numbers.itemsize for stride in tensor.strides]
        view = np.lib.stride_tricks.as_strided(numbers, shape, steps, writeable=False)
        array = np.ascontiguousarray(view, np.float32).reshape(shape)
        if not np.isfinite(array).all():
            raise ModelError(f"{shown(name)} of the checkpoint holds numbers that are not finite: fetch the file again")
        return array

    def _numbers(self, name: str, tensor: StoredTensor) -> np.ndarray[Any, Any]:
        """Read the part of the storage that the tensor looks at; it is checked against what is in the file."""
        storage, span = tensor.storage, self._spans.get(tensor.storage.key)
        reach = 1 + sum((length - 1) * stride for length, stride in zip(tensor.shape, tensor.strides, strict=True))
        first, itemsize = storage.first + tensor.offset, storage.dtype.itemsize
        if span is None or span.size_bytes != storage.elements * itemsize or first + reach > storage.elements:
            raise ModelError(f"the numbers of {shown(name)} are not in the checkpoint as a whole: fetch the file again")
        if reach > _MAX_SPREAD * int(np.prod(tensor.shape, dtype=object)):
            raise ModelError(f"the numbers of {shown(name)} lie scattered in the checkpoint: refused")
        self._file.seek(span.start + first * itemsize)
        content = self._file.read(reach * itemsize)
        if len(content) != reach * itemsize:
            raise ModelError("the checkpoint ends too early: fetch the file again")
        return np.frombuffer(content, storage.dtype)


def open_checkpoint(file: BinaryIO) -> Checkpoint:
    """Read which tensors a checkpoint has, and where; the numbers stay in the file.

    Args:
        file: can be sought in, and stays open as long as tensors are read.

    Raises:
        ModelError: it is no checkpoint, a hostile one, or one without a model's state.

    """
    file.seek(0)
    if file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC:
        return _open_zip(file)
    return _open_legacy(file)


def _open_legacy(file: BinaryIO) -> Checkpoint:
    file.seek(0)
    if file.read(1) != b"\x80":
        raise ModelError("the checkpoint is none of PyTorch 0.1.10 or newer: fetch the file again")
    file.seek(0)
    if read_pickle(file) != _LEGACY_MAGIC or read_pickle(file) != _LEGACY_PROTOCOL:
        raise ModelError("the checkpoint is a pickle, but none that PyTorch has saved: fetch the file again")
    machine, values, keys = (read_pickle(file) for _ in range(3))
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ModelError("the checkpoint was saved on a big-endian machine: that is not read")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ModelError("the checkpoint's list of storages is none: fetch the file again")
    return Checkpoint(file, values, _legacy_spans(file, keys, _itemsizes(values)))


def _legacy_spans(file: BinaryIO, keys: list[str], itemsizes: Mapping[str, int]) -> dict[str, _Span]:
    start = file.tell()
    end = file.seek(0, io.SEEK_END)
    spans: dict[str, _Span] = {}
    for key in keys:
        file.seek(start)
        elements = int.from_bytes(file.read(8), "little", signed=True)
        size = elements * itemsizes.get(key, 0)
        if key not in itemsizes or key in spans or elements < 0 or start + 8 + size > end:
            raise ModelError("the checkpoint's storages are not there as a whole: fetch the file again")
        spans[key] = _Span(start + 8, size)
        start += 8 + size
    return spans


def _itemsizes(values: object) -> dict[str, int]:
    """Return the size of a number of each storage, whatever dictionary of the checkpoint refers to it."""
    sizes: dict[str, int] = {}
    seen: set[int] = set()
    left = [values]
    while left:
        value = left.pop()
        if isinstance(value, StoredTensor):
            sizes[value.storage.key] = value.storage.dtype.itemsize
        elif isinstance(value, (dict, list, tuple)) and id(value) not in seen:
            seen.add(id(value))
            left.extend(value.values() if isinstance(value, dict) else value)
    return sizes


class _BoundedFile(io.RawIOBase):
    """A file that refuses to be read in large pieces, as a hostile zip's list of files would be."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(MAX_DIRECTORY_BYTES + 1 if size < 0 else min(size, MAX_DIRECTORY_BYTES + 1))
        if len(content) > MAX_DIRECTORY_BYTES:
            raise ModelError("the checkpoint's list of files is larger than a network's can be: refused")
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


def _open_zip(file: BinaryIO) -> Checkpoint:
    try:
        with zipfile.ZipFile(_BoundedFile(file)) as archive:
            members = {member.filename: member for member in archive.infolist()}
            roots = [name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl")]
            if len(roots) != 1 or len(members) != len(archive.infolist()):
                raise ModelError("the checkpoint is a zip, but none that PyTorch has saved: fetch the file again")
            (root,) = roots
            wanted = {name: member for name, member in members.items() if name.startswith(root)}
            spans = {name.removeprefix(root): _span(file, member) for name, member in wanted.items()}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
        raise ModelError(f"the checkpoint is a broken zip ({shown(str(error))}): fetch the file again") from error
    if (order := spans.get("byteorder")) is not None:
        file.seek(order.start)
        if file.read(len(_LITTLE_ENDIAN)) != _LITTLE_ENDIAN:
            raise ModelError("the checkpoint was saved on a big-endian machine: that is not read")
    file.seek(spans["data.pkl"].start)
    values = read_pickle(file, limit=min(spans["data.pkl"].size_bytes, MAX_PICKLE_BYTES))
    held = {name.removeprefix("data/"): span for name, span in spans.items() if name.startswith("data/")}
    return Checkpoint(file, values, held)


def _span(file: BinaryIO, member: zipfile.ZipInfo) -> _Span:
    """Find a member's numbers in the file; PyTorch does not compress, so nothing can swell."""
    if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
        raise ModelError("the checkpoint is a compressed zip, which PyTorch does not write: refused")
    file.seek(member.header_offset)
    header = file.read(30)
    if len(header) != 30 or header[:4] != _ZIP_MAGIC:
        raise ModelError("the checkpoint is a broken zip: fetch the file again")
    # The local header may be padded, so that numbers lie aligned: its own lengths count, not those of the list.
    name_size, extra_size = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
    return _Span(member.header_offset + 30 + name_size + extra_size, member.file_size)


def _state_of(values: object) -> Mapping[str, StoredTensor]:
    state = values.get("model_state") if isinstance(values, dict) else None
    if not isinstance(state, dict):
        raise ModelError("the checkpoint has no model_state: it must be the release's best_model_states.pkl")
    odd = [str(name) for name, held in state.items() if not isinstance(name, str) or not isinstance(held, StoredTensor)]
    if odd:
        raise ModelError(f"{shown(odd[0])} of the checkpoint's model_state is no tensor: refused")
    return state
