"""Weights to begin with are not trusted: what is hostile is an error of one line, and nothing of it is executed."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from annotator.errors import ConfigError, ModelError
from tests.optional import import_optional
from trainer.fitting.description import NETWORK_FILE, read_description

keras = import_optional("keras")
import_optional("tensorflow")


@pytest.fixture
def network() -> Any:
    """A network of one layer."""
    from trainer.networks.build import BuiltNetwork  # noqa: PLC0415 - imports Keras

    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2, name="fc1")(inputs))
    return BuiltNetwork(model)


def begin(network: Any, path: Path) -> int:
    from trainer.fitting.beginning import begin_from  # noqa: PLC0415 - as above

    return begin_from(path, network)


def hostile(folder: Path, kind: str) -> Path:
    """A file of weights that somebody has prepared."""
    path = folder / f"{kind}.{'keras' if kind == 'archive' else 'pkl' if kind == 'pickle' else 'weights.h5'}"
    if kind in {"pickle", "archive", "noise"}:
        path.write_bytes(b"\x80\x04cos\nsystem\n" + bytes(100))
        return path
    with h5py.File(path, "w") as file:
        if kind == "outside":
            file["layers"] = h5py.ExternalLink("/etc/passwd", "/")
        elif kind == "loop":
            file["layers"] = file["/"]
        elif kind == "bomb":
            file.create_dataset("layers", shape=(2**20, 2**20), dtype="f4", chunks=(1024, 1024), compression="gzip")
        else:
            file.create_dataset("layers/fc1/vars/0", data=np.zeros(3, "f4"), external=[("/etc/passwd", 0, 12)])
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("pickle", "which carry no code"),
        ("archive", "BadZipFile"),
        ("noise", "OSError"),
        ("outside", "points at another file"),
        ("borrowed", "something else than numbers"),
        ("loop", "nests groups deeper"),
        ("bomb", "larger than any network"),
    ],
)
def test_a_hostile_file_of_weights_is_an_error_of_one_line(
    network: Any, tmp_path: Path, kind: str, message: str
) -> None:
    path = hostile(tmp_path, kind)

    with pytest.raises(ModelError, match=message) as caught:
        begin(network, path)

    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


def nested(path: Path, groups: int) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("/".join([*["group"] * groups, "0"]), data=np.zeros(3, "f4"))
    return path


def test_groups_may_be_nested_as_deep_as_the_bound_and_no_deeper(network: Any, tmp_path: Path) -> None:
    from trainer.fitting.weights import MAX_DEPTH  # noqa: PLC0415 - as above

    with pytest.raises(ModelError, match=r"nothing in .* fits"):
        begin(network, nested(tmp_path / "deep.weights.h5", MAX_DEPTH))
    with pytest.raises(ModelError, match="nests groups deeper"):
        begin(network, nested(tmp_path / "deeper.weights.h5", MAX_DEPTH + 1))


def test_a_file_may_have_as_many_parts_as_the_bound_and_no_more(
    network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.fitting import weights  # noqa: PLC0415 - as above

    monkeypatch.setattr(weights, "MAX_ITEMS", 8)
    with h5py.File(tmp_path / "wide.weights.h5", "w") as file:
        for place in range(weights.MAX_ITEMS):
            file.create_group(f"group_{place}")
    with pytest.raises(ModelError, match=r"nothing in .* fits"):
        begin(network, tmp_path / "wide.weights.h5")
    with h5py.File(tmp_path / "wide.weights.h5", "a") as file:
        file.create_group("one_more")
    with pytest.raises(ModelError, match="has more parts than any network"):
        begin(network, tmp_path / "wide.weights.h5")


def test_weights_of_nothing_alike_are_refused(network: Any, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.weights.h5", "w") as file:
        file.create_dataset("layers/other/vars/0", data=np.zeros(3, "f4"))

    with pytest.raises(ModelError, match=r"nothing in .* fits"):
        begin(network, tmp_path / "other.weights.h5")


def test_what_is_not_there_and_a_folder_without_weights_are_told(network: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file"):
        begin(network, tmp_path / "absent.keras")
    with pytest.raises(ConfigError, match="there are no weights in"):
        begin(network, tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "[" * 100_000, '{"network": {}, "people": []}', '{"network": {"layers": 7}, "people": ["Ada"]}'],
    ids=["empty", "list", "nested", "nobody", "unknown"],
)
def test_what_describes_no_network_is_an_error_of_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / NETWORK_FILE).write_text(text)
    with pytest.raises(ModelError, match=r"fit (it|the network) again") as caught:
        read_description(tmp_path)
    assert "\n" not in str(caught.value)
