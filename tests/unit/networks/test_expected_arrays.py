"""Archives of arrays that come from anywhere: what is expected is read, and all else is refused in one line."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from annotator.errors import ModelError
from annotator.networks.expected_arrays import Header, read_expected

EXPECTED: dict[str, Header] = {"layer/kernel": (np.float32, (2, 3)), "count": (np.int32, (2,))}
KERNEL = np.arange(6, dtype=np.float32).reshape(2, 3)
MEMBER = "layer.kernel.npy"


def read(file: io.BytesIO) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    return read_expected(file, EXPECTED, whole="the network", unreadable="x.npz cannot be read")


def stored(array: np.ndarray) -> bytes:  # type: ignore[type-arg]
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def archive(**members: bytes) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("count.npy", stored(np.ones(2, np.int32)))
        for name, content in members.items():
            opened.writestr(name, content)
    return file


def test_arrays_are_read_whatever_stands_beside_them() -> None:
    found = read(archive(**{MEMBER: stored(KERNEL), "layer.kernel": b"another", "count": b"another"}))
    assert found.keys() == EXPECTED.keys()
    np.testing.assert_array_equal(found["layer/kernel"], KERNEL)
    np.testing.assert_array_equal(found["count"], [1, 1])
    assert not found["count"].flags.writeable


def test_no_more_is_unpacked_than_the_array_has() -> None:
    bomb = archive(**{MEMBER: stored(KERNEL) + bytes(32 << 20)})
    tracemalloc.start()
    try:
        np.testing.assert_array_equal(read(bomb)["layer/kernel"], KERNEL)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (KERNEL.T, r"layer/kernel of the network must be float32 \(2, 3\)"),
        (KERNEL.astype(np.float64), "must be float32"),
        (np.asfortranarray(KERNEL), "must be float32"),
    ],
)
def test_an_array_of_another_kind_is_refused(array: np.ndarray, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ModelError, match=message):
        read(archive(**{MEMBER: stored(array)}))


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"no array", stored(KERNEL)[:-1], stored(KERNEL)[:20]),
        # Heads in which a bracket, and a text, never ends: NumPy raises another error for each.
        *(
            b"\x93NUMPY\x01\x00" + bytes([len(head), 0]) + head
            for head in (b"{'shape': (\n", b"{'shape': '''\n", b"\n")
        ),
    ],
)
def test_a_member_that_is_no_array_is_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"^x\.npz cannot be read \(.+\): install the model again$"):
        read(archive(**{MEMBER: content}))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_that_cannot_be_unpacked_is_refused_in_one_line(method: int) -> None:
    file = archive()
    with zipfile.ZipFile(file, "a", method) as opened:
        opened.writestr(MEMBER, stored(KERNEL))
        start = opened.getinfo(MEMBER).header_offset + 30 + len(MEMBER)
    damaged = bytearray(file.getvalue())
    damaged[start + 9 : start + 40] = b"\xff" * 31  # after what says how it is packed
    with pytest.raises(ModelError, match=r"^x\.npz cannot be read"):
        read(io.BytesIO(bytes(damaged)))


def test_a_missing_array_is_refused_in_one_line() -> None:
    with pytest.raises(ModelError, match=r"layer\.kernel\.npy"):
        read(archive())
