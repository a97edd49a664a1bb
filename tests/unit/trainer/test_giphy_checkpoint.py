import io
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from annotator.errors import ModelError
from tests.giphy_files import checkpoint_values, legacy_bytes, pickled, zip_bytes
from trainer.giphy.checkpoint import Checkpoint, open_checkpoint

FORMS = pytest.mark.parametrize("form", [legacy_bytes, zip_bytes])
Form = Callable[[object], bytes]


def state() -> "OrderedDict[str, Any]":
    random = np.random.default_rng(5)
    whole = random.standard_normal((4, 6)).astype(np.float32)
    return OrderedDict(
        plain=random.standard_normal((2, 3, 4)).astype(np.float32),
        turned=whole.T,
        part=whole[1:3, 2:4],
        double=random.standard_normal(3),
        half=np.ones(2, np.float16),
        whole_number=np.array(7, np.int64),
        bad=np.array([1, np.nan], np.float32),
    )


def opened(form: Form, values: object) -> Checkpoint:
    return open_checkpoint(io.BytesIO(form(values)))


@FORMS
def test_tensors_come_back_however_they_lie(form: Form) -> None:
    wanted = state()
    checkpoint = opened(form, checkpoint_values(wanted))
    assert checkpoint.names == wanted.keys()
    for name in ("plain", "turned", "part", "double"):
        found = checkpoint.read(name, wanted[name].shape)
        np.testing.assert_array_equal(found, wanted[name].astype(np.float32))
        assert found.dtype == np.float32
        assert found.flags.c_contiguous


@FORMS
@pytest.mark.parametrize(
    ("name", "shape", "what"),
    [
        ("plain", (2, 3, 5), "must have the shape"),
        ("half", (2,), "must be of float32, got float16"),
        ("whole_number", (), "must be of float32, got int64"),
        ("bad", (2,), "not finite"),
    ],
)
def test_what_is_no_weight_of_that_shape_is_refused(form: Form, name: str, shape: tuple[int, ...], what: str) -> None:
    with pytest.raises(ModelError, match=what):
        opened(form, checkpoint_values(state())).read(name, shape)


@FORMS
@pytest.mark.parametrize("values", [{}, [], {"model_state": None}, {"model_state": {"a": 1}}, 5])
def test_a_checkpoint_without_a_models_state_is_refused(form: Form, values: object) -> None:
    with pytest.raises(ModelError, match="model_state"):
        opened(form, values)


@FORMS
def test_a_file_cut_off_anywhere_is_an_error_and_nothing_else(form: Form) -> None:
    whole = form(checkpoint_values(state()))
    for size in (*range(0, len(whole) - 1, 97), len(whole) - 1):
        with pytest.raises(ModelError) as caught:
            open_checkpoint(io.BytesIO(whole[:size])).read("part", (2, 2))
        assert "\n" not in str(caught.value)


@FORMS
def test_bytes_changed_anywhere_give_an_error_or_other_numbers_and_nothing_else(form: Form) -> None:
    whole = form(checkpoint_values(state()))
    random = np.random.default_rng(3)
    for _ in range(400):
        changed = bytearray(whole)
        for place in random.integers(0, len(whole), 3):
            changed[place] = random.integers(256)
        try:
            checkpoint = open_checkpoint(io.BytesIO(bytes(changed)))
            for name in checkpoint.names & {"plain", "part"}:
                checkpoint.read(name, checkpoint.shape(name)[:4])
        except ModelError as error:
            assert "\n" not in str(error)  # noqa: PT017 - no error is as good


def test_a_legacy_storage_that_claims_more_than_is_there_is_refused() -> None:
    whole = legacy_bytes({"model_state": OrderedDict(a=np.zeros(3, np.float32))})
    for claimed in (4, 2, 2**62, -1):
        with pytest.raises(ModelError, match="as a whole"):
            open_checkpoint(io.BytesIO(whole[:-20] + struct.pack("<q", claimed) + whole[-12:])).read("a", (3,))


def test_a_tensor_that_reaches_beyond_its_storage_or_lies_scattered_is_refused() -> None:
    values = np.arange(120, dtype=np.float32)
    for part in (values[110:], values[::30]):
        content = bytearray(zip_bytes({"model_state": OrderedDict(a=part)}))
        if len(part) == 10:
            content = content.replace(b"J\x6e\x00\x00\x00", b"J\x70\x00\x00\x00")  # the offset
        with pytest.raises(ModelError, match=r"as a whole|scattered"):
            open_checkpoint(io.BytesIO(bytes(content))).read("a", part.shape)


def test_one_number_said_to_be_many_takes_no_more_memory_than_the_network_wants() -> None:
    many = np.broadcast_to(np.zeros(1, np.float32), (1_000_000, 1_000_000))
    checkpoint = opened(zip_bytes, {"model_state": OrderedDict(a=many)})
    with pytest.raises(ModelError, match="must have the shape"):
        checkpoint.read("a", (3,))


@pytest.mark.parametrize(
    "start", [b"", b"\x89PNG", b"model", pickled({"model_state": {}}), b"PK\x03\x04", b"PK\x05\x06"]
)
def test_what_is_no_checkpoint_is_refused(start: bytes) -> None:
    with pytest.raises(ModelError):
        open_checkpoint(io.BytesIO(start + b"\0" * 100))


def test_big_endian_checkpoints_are_refused() -> None:
    values = checkpoint_values(state())
    legacy = legacy_bytes(values).replace(b"little_endian\x88", b"little_endian\x89")
    zipped = zip_bytes(values).replace(b"little", b"big   ")
    for content in (legacy, zipped):
        with pytest.raises(ModelError, match="big-endian"):
            open_checkpoint(io.BytesIO(content))


def test_a_compressed_zip_is_refused_however_much_it_would_unpack_to() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", b"\0" * 5_000_000)
    with pytest.raises(ModelError, match="compressed"):
        open_checkpoint(file)


def test_a_zip_with_a_huge_list_of_files_is_refused_before_it_is_read() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(100):
            info = zipfile.ZipInfo(f"model/{number}")
            info.comment = b"x" * 60_000
            archive.writestr(info, b"")
    with pytest.raises(ModelError, match="list of files"):
        open_checkpoint(file)


def test_a_zip_of_something_else_is_refused() -> None:
    for names in ([], ["a/data.pkl", "b/data.pkl"], ["data.pkl"]):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("other", b"x")
            for name in names:
                archive.writestr(name, b"x")
        with pytest.raises(ModelError, match="none that PyTorch has saved"):
            open_checkpoint(file)
