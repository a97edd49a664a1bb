import io
import os
import pickle
import struct
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from annotator.errors import ModelError
from tests.giphy_files import PickleWriter, pickled
from trainer.giphy.pickles import StoredTensor, read_pickle

TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"


class Calling:
    """Pickles as a call."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


def read(content: bytes) -> object:
    return read_pickle(io.BytesIO(content))


def refusal(content: bytes) -> str:
    with pytest.raises(ModelError) as caught:
        read(content)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 250
    return message


def tensor(
    *, elements: int = 6, offset: int = 0, shape: tuple[object, ...] = (2, 3), strides: object = (3, 1)
) -> bytes:
    writer = PickleWriter(legacy=False)
    writer.out += TENSOR + b"(" + STORAGE
    writer.value(elements)
    writer.out += b"tQ"
    writer.value(offset).value(shape).value(strides).value(False)
    writer.out += b"}tR"
    return writer.end()


def test_plain_values_come_back_as_they_were() -> None:
    held = {"a": [1, 2.5, None, True, False, "ü", -(2**31), 2**31, 10**18], "b": (), "c": ((1,), (1, 2), (1, 2, 3))}
    for protocol in (2, 3, 4, 5):
        assert read(pickle.dumps(held, protocol)) == held
    assert read(pickled(held)) == held


def test_a_tensor_is_described_and_not_made() -> None:
    found = read(tensor(elements=10, offset=4))
    assert isinstance(found, StoredTensor)
    assert (found.offset, found.shape, found.strides) == (4, (2, 3), (3, 1))
    assert (found.storage.key, found.storage.dtype, found.storage.elements) == ("0", np.dtype("<f4"), 10)


def test_the_stream_stands_behind_the_pickle() -> None:
    stream = io.BytesIO(pickled({"a": 1}) + pickled([2]) + b"rest")
    assert read_pickle(stream) == {"a": 1}
    assert read_pickle(stream) == [2]
    assert stream.read() == b"rest"


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "function", [os.system, eval, exec, getattr, __import__, open, os.unlink, pickle.loads, sys.setrecursionlimit]
)
def test_what_a_pickle_wants_called_is_not_called(function: object, protocol: int, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    argument = f"touch {canary}" if function is os.system else f"__import__('pathlib').Path({str(canary)!r}).touch()"
    refusal(pickle.dumps({"model_state": Calling(function, argument)}, protocol))
    assert not canary.exists()


@pytest.mark.parametrize(
    "name",
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("posix", "system"),
        ("torch.hub", "load"),
        ("torch", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("numpy.core.multiarray", "scalar"),
        ("collections", "OrderedDict.fromkeys"),
        ("trainer.giphy.pickles", "read_pickle"),
        ("torch FloatStorage", "x"),
    ],
)
def test_no_other_name_is_taken_in_either_way_of_saying_it(name: tuple[str, str]) -> None:
    module, function = (part.encode() for part in name)
    assert "refused" in refusal(b"\x80\x02c" + module + b"\n" + function + b"\n)R.")
    said = b"".join(b"\x8c" + bytes([len(part)]) + part for part in (module, function))
    assert "refused" in refusal(b"\x80\x04" + said + b"\x93)R.")


def test_a_name_cannot_break_the_message_into_lines() -> None:
    assert "\\r" in refusal(b"\x80\x02cos\rx\nsystem" + b"y" * 5000 + b"\n.")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (TENSOR + b"}X\x08\x00\x00\x00__code__Nsb.", "BUILD on a function"),
        (TENSOR + b"}X\x09\x00\x00\x00_metadataNsb.", "BUILD of what a dictionary may have on a function"),
        (TENSOR + b"N}X\x0c\x00\x00\x00__defaults__)s\x86b.", "BUILD of attributes on a function"),
        (b"ccollections\nOrderedDict\n}X\x01\x00\x00\x00xNsb.", "BUILD on a class"),
        (b"ccollections\nOrderedDict\n)R}X\x09\x00\x00\x00__class__Nsb.", "BUILD of a class on a dictionary"),
        (b"ccollections\nOrderedDict\n)RNb.", "BUILD with no state"),
        (b"ccollections\nOrderedDict\n](K\x01e\x85R.", "REDUCE with arguments"),
        (TENSOR + b")R.", "a tensor of nothing"),
        (b"ctorch\nFloatStorage\n)R.", "REDUCE of a storage's class"),
        (b"X\x01\x00\x00\x00x)R.", "REDUCE of a string"),
        (b"ccollections\nOrderedDict\n]R.", "REDUCE with a list"),
        (b"ccollections\nOrderedDict\n)\x81.", "NEWOBJ"),
        (b"(ccollections\nOrderedDict\no.", "OBJ"),
        (b"(ios\nsystem\n.", "INST"),
        (b"\x82\x01.", "EXT1"),
        (b"Psomething\n.", "PERSID"),
        (b"X\x02\x00\x00\x00osQ.", "a reference to no storage"),
        (b"}]Ns.", "an unhashable key"),
        (b"}NNs.", "a key that is no name"),
        (b"}(K\x01u.", "a key without a value"),
        (b"NNs.", "an item for what is no dictionary"),
        (b"NK\x01a.", "an item for what is no list"),
        (b"K\x01K\x02.", "two values left"),
        (b"(K\x01.", "a mark left"),
        (b".", "no value"),
        (b"t.", "no mark"),
        (b"R.", "an empty stack"),
        (b"h\x07.", "what was never put aside"),
        (b"K\x01", "no end"),
        (b"", "nothing"),
        (b"\xff.", "no instruction"),
        (b"X\x02\x00\x00\x00\xff\xff.", "a string that is no UTF-8"),
    ],
)
def test_tricks_and_broken_pickles_are_refused(content: bytes, what: str) -> None:
    assert refusal(b"\x80\x02" + content), what


@pytest.mark.parametrize(
    "content",
    [
        b"X" + struct.pack("<I", 2**32 - 1),
        b"\x8d" + struct.pack("<Q", 2**62),
        b"\x8e" + struct.pack("<Q", 2**62),
        b"\x8b" + struct.pack("<i", 2**31 - 1),
        b"\x8b" + struct.pack("<i", -5),
        b"B" + struct.pack("<I", 2**32 - 1),
        b"\x95" + struct.pack("<Q", 2**62) + b"N",
    ],
)
def test_a_size_beyond_the_limit_is_refused_before_memory_is_taken(content: bytes) -> None:
    refusal(b"\x80\x04" + content + b"x" * 100)


def test_a_pickle_longer_than_the_limit_is_refused() -> None:
    with pytest.raises(ModelError, match=r"larger|broken|end"):
        read_pickle(io.BytesIO(pickled(["x" * 1000])), limit=900)


def test_a_deep_nest_or_many_instructions_end_in_time() -> None:
    begun = time.perf_counter()
    refusal(b"\x80\x02" + b"N" + b"\x85" * 20_000)
    refusal(b"\x80\x02" + b"(" * 20_000)
    assert time.perf_counter() - begun < 2


@pytest.mark.parametrize(
    "content",
    [
        tensor(shape=(2**50, 1)),
        tensor(shape=(-1, 3)),
        tensor(shape=(True, 3)),
        tensor(shape=("2", 3)),
        tensor(shape=(1,) * 9, strides=(1,) * 9),
        tensor(shape=(2,)),
        tensor(strides=None),
        tensor(strides=(-3, 1)),
        tensor(offset=-1),
        tensor(elements=2**50),
        tensor(elements=-6),
    ],
)
def test_a_tensor_of_impossible_sizes_is_refused(content: bytes) -> None:
    assert "refused" in refusal(content)
