"""Checkpoints as PyTorch writes them, byte by byte and without it, in the structure of GIPHY's release."""

import io
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Tensors = dict[str, Array]

MAGIC = 0x1950A86A20F9469CFC6C
CLASSES = {"<f4": "FloatStorage", "<f8": "DoubleStorage", "<f2": "HalfStorage", "<i8": "LongStorage"}
STEM = "model.stem"
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))


class PickleWriter:
    """Writes the instructions that Python's pickler of protocol 2 writes for a state dict of PyTorch."""

    def __init__(self, *, legacy: bool) -> None:
        self.out = bytearray(b"\x80\x02")
        self.legacy = legacy
        self.storages: dict[str, Array] = {}

    def value(self, value: Any) -> "PickleWriter":
        """Write a value."""
        if isinstance(value, np.ndarray):
            self._tensor(value)
        elif isinstance(value, OrderedDict):
            self.out += b"ccollections\nOrderedDict\n)R"
            self._items(value)
            metadata = getattr(value, "_metadata", None)
            if metadata is not None:
                self.value({"_metadata": metadata})
                self.out += b"b"
        elif isinstance(value, dict):
            self.out += b"}"
            self._items(value)
        elif isinstance(value, list):
            self.out += b"](" + b"".join(self._of(one) for one in value) + b"e"
        elif isinstance(value, tuple):
            self.out += b"(" + b"".join(self._of(one) for one in value) + b"t"
        else:
            self.out += _plain(value)
        return self

    def end(self) -> bytes:
        """Return the pickle."""
        return bytes(self.out + b".")

    def _of(self, value: Any) -> bytes:
        start = len(self.out)
        self.value(value)
        written = bytes(self.out[start:])
        del self.out[start:]
        return written

    def _items(self, items: Mapping[Any, Any]) -> None:
        self.out += b"("
        for key, value in items.items():
            self.value(key)
            self.value(value)
        self.out += b"u"

    def _tensor(self, array: Array) -> None:
        """Write a tensor; one that is no array of its own looks at the storage of the array that it is a part of."""
        base = array.base if isinstance(array.base, np.ndarray) else array
        key = str(id(base)) if self.legacy else self._known(base)
        self.storages[key] = base
        offset = (array.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // array.itemsize
        self.out += b"ctorch._utils\n_rebuild_tensor_v2\n(" + b"(" + _plain("storage")
        self.out += b"ctorch\n" + CLASSES[array.dtype.str].encode() + b"\n"
        self.out += _plain(key) + _plain("cuda:0") + _plain(base.size) + (b"N" if self.legacy else b"") + b"tQ"
        self.value(int(offset)).value(array.shape)
        self.value(tuple(stride // array.itemsize for stride in array.strides)).value(False)
        self.value(OrderedDict())
        self.out += b"tR"

    def _known(self, base: Array) -> str:
        for key, held in self.storages.items():
            if held is base:
                return key
        self.storages[str(len(self.storages))] = base
        return str(len(self.storages) - 1)


def _plain(value: object) -> bytes:
    if value is None:
        return b"N"
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if isinstance(value, str):
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, int) and abs(value) < 2**31:
        return b"J" + struct.pack("<i", value)
    if isinstance(value, int):
        digits = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(digits)]) + digits
    raise TypeError(type(value))


def pickled(value: object) -> bytes:
    """Return the pickle of a value without tensors."""
    return PickleWriter(legacy=True).value(value).end()


def legacy_bytes(values: object) -> bytes:
    """Return a checkpoint as PyTorch before 1.6 writes it."""
    writer = PickleWriter(legacy=True)
    machine = {
        "protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4},
    }  # fmt: skip
    body = writer.value(values).end()
    keys = sorted(writer.storages)
    head = pickled(MAGIC) + pickled(1001) + pickled(machine) + body + pickled(keys)
    numbers = [struct.pack("<q", writer.storages[key].size) + writer.storages[key].tobytes() for key in keys]
    return head + b"".join(numbers)


def zip_bytes(values: object) -> bytes:
    """Return a checkpoint as PyTorch since 1.6 writes it: numbers begin at multiples of 64 bytes."""
    writer = PickleWriter(legacy=False)
    body = writer.value(values).end()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        members = {"data.pkl": body, "byteorder": b"little", "version": b"3\n"}
        members |= {f"data/{key}": array.tobytes() for key, array in writer.storages.items()}
        for name, content in members.items():
            info = zipfile.ZipInfo(f"best_model_states/{name}")
            start = file.tell() + 30 + len(info.filename) + 4
            padding = -start % 64
            info.extra = struct.pack("<HH", 0x4246, padding) + b"Z" * padding
            archive.writestr(info, content)
    return file.getvalue()


def state_shapes(classes: int) -> dict[str, tuple[int, ...]]:
    """Return the tensors of the release's model and their shapes, written down from its sources."""
    shapes: dict[str, tuple[int, ...]] = {f"{STEM}.0.weight": (64, 3, 7, 7)}
    shapes |= _normalisation(f"{STEM}.1", 64)
    channels = 64
    for stage, (width, blocks) in enumerate(STAGES, start=4):
        for block in range(blocks):
            name = f"{STEM}.{stage}.{block}"
            for number, shape in enumerate(
                ((width, channels, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1)), start=1
            ):
                shapes[f"{name}.conv{number}.weight"] = shape
                shapes |= _normalisation(f"{name}.bn{number}", shape[0])
            if block == 0:
                shapes[f"{name}.downsample.0.weight"] = (4 * width, channels, 1, 1)
                shapes |= _normalisation(f"{name}.downsample.1", 4 * width)
            channels = 4 * width
    shapes |= {"model.fc1.weight": (256, 2048), "model.fc1.bias": (256,)}
    shapes |= {"model.fc2.weight": (classes, 256), "model.fc2.bias": (classes,)}
    shapes["center_loss_criterion.centers"] = (classes, 256)
    return shapes


def _normalisation(name: str, width: int) -> dict[str, tuple[int, ...]]:
    names = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (width,) for part in names} | {f"{name}.num_batches_tracked": ()}


def random_state(classes: int, *, seed: int = 0) -> "OrderedDict[str, Array]":
    """Return random weights by which values keep their size through the layers."""
    random = np.random.default_rng(seed)
    state: OrderedDict[str, Array] = OrderedDict()
    for name, shape in state_shapes(classes).items():
        if name.endswith("num_batches_tracked"):
            state[name] = np.array(1234, np.int64)
        elif len(shape) == 1 and ("bn" in name or "downsample" in name or name.startswith(f"{STEM}.1.")):
            low, high = {"weight": (0.5, 1.0), "running_var": (0.5, 2.0)}.get(name.rpartition(".")[2], (-0.5, 0.5))
            state[name] = random.uniform(low, high, shape).astype(np.float32)
        else:
            spread = 1 / np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 0.1
            state[name] = (random.standard_normal(shape, np.float32) * np.float32(spread)).astype(np.float32)
    state["center_loss_criterion.centers"] = random.standard_normal((classes, 256), np.float32)
    return state


def checkpoint_values(state: "OrderedDict[str, Array]") -> dict[str, Any]:
    """Return what the release's trainer saves: epoch, loss, a sample of Adam's state, the model's state."""
    state = OrderedDict(state)
    versions = OrderedDict([("", {"version": 1}), ("model.stem.1", {"version": 1})])
    state._metadata = versions  # type: ignore[attr-defined]
    moments = {140234567890123: {"step": 90000, "exp_avg": np.zeros((2, 3), np.float32)}}
    group = {"lr": 0.00025, "betas": (0.9, 0.999), "eps": 1e-08, "weight_decay": 0, "amsgrad": False}
    optimizer = {"state": moments, "param_groups": [{**group, "params": [140234567890123]}]}
    return {"epoch": 37, "loss": np.array(0.25, np.float32), "optimizer_state": optimizer, "model_state": state}


def tar_gz(path: Path, members: Mapping[str, bytes]) -> Path:
    """Write an archive of files."""
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def labels_text(people: list[str]) -> bytes:
    """Return a ``labels.csv`` in the order given."""
    return ("Labels,Index\n" + "".join(f"{name},{index}\n" for index, name in enumerate(people))).encode()
