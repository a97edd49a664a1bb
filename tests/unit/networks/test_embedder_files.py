"""Weights of an embedder are written and read; a hostile file is refused in one line, before memory is taken."""

import zipfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from annotator.errors import ModelError
from annotator.networks.embedder_file import read_embedder_file, write_embedder_file
from annotator.networks.embedders import EmbedderSpec
from annotator.networks.expected_arrays import stored_name
from annotator.networks.variables import variable_shapes
from annotator.types import F32

SPEC = EmbedderSpec("densenet121", 32, 8)  # the smallest file: 28 MB


@pytest.fixture(scope="module")
def weights() -> dict[str, F32]:
    random = np.random.default_rng(0)
    return {name: random.standard_normal(shape, np.float32) for name, shape in variable_shapes(SPEC).items()}


@pytest.fixture(scope="module")
def written(weights: dict[str, F32], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("weights") / "network.npz"
    return path, write_embedder_file(path, SPEC, weights)


def refused(path: Path, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        read_embedder_file(path, SPEC, sha256=sha256(path.read_bytes()).hexdigest())
    assert "\n" not in str(caught.value)


def archive(path: Path, name: str, header: bytes, content: bytes = b"") -> Path:
    padded = header + b" " * (118 - len(header) - 1) + b"\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded + content)
    return path


def test_what_is_written_is_read_again(written: tuple[Path, str], weights: dict[str, F32]) -> None:
    path, digest = written
    found = read_embedder_file(path, SPEC, sha256=digest)
    assert found.keys() == weights.keys()
    assert all(np.array_equal(found[name], weights[name]) for name in weights)


def test_a_file_with_another_digest_is_not_read(written: tuple[Path, str]) -> None:
    with pytest.raises(ModelError, match="not the file that the model states"):
        read_embedder_file(written[0], SPEC, sha256="0" * 64)


def test_weights_of_another_network_are_refused(written: tuple[Path, str]) -> None:
    path, digest = written
    with pytest.raises(ModelError, match="fc1/kernel of the network must be float32"):
        read_embedder_file(path, EmbedderSpec("densenet121", 32, 9), sha256=digest)
    with pytest.raises(ModelError, match="cannot be read as weights"):
        read_embedder_file(path, EmbedderSpec("resnet50", 32, 8), sha256=digest)


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (7, 7, 3, 1000000000000), }",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (7, 7, 3, 64), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (7, 7, 3, 64), }",
        b"{'descr': '<f4', 'fortran_order': True, 'shape': (7, 7, 3, 64), }",
    ],
)
def test_arrays_of_other_shapes_or_types_are_refused_by_their_headers(header: bytes, tmp_path: Path) -> None:
    refused(archive(tmp_path / "network.npz", "conv1_conv.kernel.npy", header), "must be float32")


def test_numbers_that_are_none_are_refused(weights: dict[str, F32], tmp_path: Path) -> None:
    odd = weights | {"fc1/bias": np.full(8, np.nan, np.float32)}
    np.savez(tmp_path / "network.npz", allow_pickle=False, **{stored_name(name): odd[name] for name in odd})
    refused(tmp_path / "network.npz", "fc1/bias of the network holds numbers that are none")


def test_arrays_that_end_early_are_refused(tmp_path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (7, 7, 3, 64), }"
    refused(archive(tmp_path / "b.npz", "conv1_conv.kernel.npy", header, bytes(100)), "cannot be read as weights")


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "network.npz").write_bytes(content)
    refused(tmp_path / "network.npz", "cannot be read as weights")


def test_a_file_that_is_far_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "network.npz").open("wb") as file:
        file.truncate(1024**3)  # sparse
    with pytest.raises(ModelError, match="not the file"):
        read_embedder_file(tmp_path / "network.npz", SPEC, sha256="0" * 64)


def test_weights_that_do_not_fit_are_not_written(weights: dict[str, F32], tmp_path: Path) -> None:
    for odd in ({"fc1/bias": np.zeros(9, np.float32)}, {"fc1/bias": np.full(8, np.nan, np.float32)}):
        with pytest.raises(ModelError, match="fc1/bias of densenet121 must be finite numbers"):
            write_embedder_file(tmp_path / "network.npz", SPEC, weights | odd)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "side_px", "embedding_size"),
    [("alexnet", 224, 256), ("resnet50", 31, 256), ("resnet50", 10**9, 256), ("resnet50", 224, 0),
     ("resnet50", 224, 10**9), ("resnet50", 224, True), ("resnet50", "224", 256), (None, 224, 256)],
)  # fmt: skip
def test_networks_that_there_cannot_be_are_refused(name: str, side_px: int, embedding_size: int) -> None:
    with pytest.raises(ModelError):
        EmbedderSpec(name, side_px, embedding_size)  # type: ignore[arg-type]
