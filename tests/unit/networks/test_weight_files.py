"""Finding, checking and reading weight files: the arrays come out, and nothing else ever runs."""

import io
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from annotator.errors import ConfigError, ModelError
from annotator.networks.mtcnn import mtcnn_networks, read_det_weights, read_packaged_weights
from annotator.networks.weights import checked_bytes, load_object_npy, packaged_file, unpickle_arrays
from tests.det_files import DET_FILES, write_det_files


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def joblib_bytes(value: Any) -> bytes:
    stream = io.BytesIO()
    joblib.dump(value, stream)
    return stream.getvalue()


def test_importing_the_reader_does_not_import_the_package_that_carries_the_weights() -> None:
    assert packaged_file("mtcnn", "assets/weights/pnet.lz4").is_file()
    assert "mtcnn" not in sys.modules


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="package no_such_package"):
        packaged_file("no_such_package", "x")


def test_a_file_with_another_digest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"weights")
    assert checked_bytes(tmp_path / "x") == b"weights"
    with pytest.raises(ModelError, match="not the file that is known"):
        checked_bytes(tmp_path / "x", "0" * 64)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no weight file"):
        checked_bytes(tmp_path / "x")


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_arrays_and_plain_containers_come_out_of_plain_pickles(protocol: int) -> None:
    value = {"a": [np.arange(6, dtype=np.float32).reshape(2, 3), ("x", 1, None)], "b": np.float32([1, 2])}
    read = unpickle_arrays(pickle.dumps(value, protocol))
    np.testing.assert_array_equal(read["a"][0], value["a"][0])
    assert read["a"][1] == ("x", 1, None)


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_come_out_of_joblib_pickles(order: Any) -> None:
    arrays = [np.asarray(np.arange(12, dtype=np.float32).reshape(3, 4), order=order), np.zeros((0, 2)), np.float64([7])]
    read = unpickle_arrays(joblib_bytes(arrays))
    for mine, theirs in zip(read, arrays, strict=True):
        np.testing.assert_array_equal(mine, theirs)
        assert mine.dtype == theirs.dtype


@pytest.mark.parametrize("write", [pickle.dumps, joblib_bytes])
def test_a_hostile_pickle_is_refused_and_does_not_run(tmp_path: Path, write: Any) -> None:
    content = write([np.zeros(3), Hostile(tmp_path / "ran")])
    with pytest.raises(ModelError, match="refused"):
        unpickle_arrays(content)
    assert not (tmp_path / "ran").exists()


def test_a_hostile_object_inside_an_array_of_a_joblib_pickle_is_refused_and_does_not_run(tmp_path: Path) -> None:
    array = np.array([Hostile(tmp_path / "ran")], dtype=object)
    with pytest.raises(ModelError, match="only numbers are read"):
        unpickle_arrays(joblib_bytes([array]))
    assert not (tmp_path / "ran").exists()


def test_a_hostile_npy_file_is_refused_and_does_not_run(tmp_path: Path) -> None:
    np.save(tmp_path / "det1.npy", np.array({"conv1": Hostile(tmp_path / "ran")}, dtype=object), allow_pickle=True)
    with pytest.raises(ModelError, match="refused"):
        read_det_weights("pnet", tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"\x80\x04", b"no pickle at all", pickle.dumps([1, 2])[:-3]])
def test_a_broken_pickle_is_a_model_error(content: bytes) -> None:
    with pytest.raises(ModelError):
        unpickle_arrays(content)


def test_a_joblib_pickle_that_ends_early_is_a_model_error() -> None:
    with pytest.raises(ModelError):
        unpickle_arrays(joblib_bytes([np.arange(1000)])[:-100])


@pytest.mark.parametrize("value", [np.arange(3), np.array([1, "x"], dtype=object)])
def test_an_npy_file_of_another_kind_is_a_model_error(value: Any) -> None:
    stream = io.BytesIO()
    np.save(stream, value, allow_pickle=True)
    with pytest.raises(ModelError, match="one pickled dictionary"):
        load_object_npy(stream.getvalue())


def test_a_file_that_is_no_npy_is_a_model_error() -> None:
    with pytest.raises(ModelError, match=r"no \.npy"):
        load_object_npy(b"det")


@pytest.mark.parametrize("name", DET_FILES)
def test_files_in_the_original_layout_hold_the_packaged_weights(tmp_path: Path, name: str) -> None:
    write_det_files(tmp_path)
    packaged, theirs = read_packaged_weights(name), read_det_weights(name, tmp_path)
    assert packaged.keys() == theirs.keys()
    for key, array in packaged.items():
        np.testing.assert_array_equal(theirs[key], array)


def test_a_file_of_another_network_is_a_model_error(tmp_path: Path) -> None:
    write_det_files(tmp_path)
    (tmp_path / "det3.npy").rename(tmp_path / "det2.npy")
    with pytest.raises(ModelError, match="does not hold the weights of rnet"):
        read_det_weights("rnet", tmp_path)


def test_weights_of_a_folder_are_another_network_than_the_packaged_ones(tmp_path: Path) -> None:
    write_det_files(tmp_path)
    for name, network in mtcnn_networks(tmp_path).items():
        assert network.digest != mtcnn_networks()[name].digest


def test_a_folder_without_the_files_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"det1\.npy"):
        mtcnn_networks(tmp_path)
