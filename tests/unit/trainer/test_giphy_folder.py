import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from annotator.errors import ConfigError, ModelError
from annotator.recognition.bundle import load_bundle
from annotator.types import Identity
from trainer.giphy.folder import CLASSES, LABELS, MANIFEST, NETWORK, load_folder, read_network_file, write_folder
from trainer.giphy.mapping import ClassHead, variable_shapes

LABELS_GIVEN = ("50_Cent_[m.01vvyc_]", "Zoe")


def written(folder: Path) -> Path:
    random = np.random.default_rng(0)
    head = ClassHead(
        random.standard_normal((256, 2)).astype(np.float32), np.ones(2, np.float32), np.ones((2, 256), np.float32)
    )
    network = {"conv1/kernel": random.standard_normal((7, 7, 3, 64)).astype(np.float32)}
    write_folder(folder, LABELS_GIVEN, network, head, checkpoint_sha256="0" * 64)
    return folder


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    model = load_folder(written(tmp_path / "new" / "giphy"))
    assert model.identities == (Identity("50 Cent", "/m/01vvyc_"), Identity("Zoe"))
    assert model.head.kernel.shape == (256, 2)
    assert model.network_id.startswith("giphy-resnet50-")
    assert model.manifest["embedder"] == model.network_id
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["giphy"]


def test_the_same_import_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = written(tmp_path / "one"), written(tmp_path / "other")
    for name in (MANIFEST, LABELS, NETWORK, CLASSES):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    for folder in (tmp_path, tmp_path / "mine"):
        with pytest.raises(ConfigError, match="is there already"):
            written(folder)
    assert (tmp_path / "mine").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    written(tmp_path / "empty")


def test_a_changed_or_missing_file_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "giphy")
    for name in (LABELS, NETWORK, CLASSES):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(ModelError, match="not what its manifest states"):
            load_folder(folder)
        (folder / name).unlink()
        with pytest.raises(ModelError, match=f"lacks {name}"):
            load_folder(folder)
        (folder / name).write_bytes(content)
    load_folder(folder)


@pytest.mark.parametrize(
    "change", [{"format": "giphy-import 2"}, {"input_size_px": 112}, {"files": None}, {"crop": "x"}]
)
def test_a_folder_of_another_kind_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    folder = written(tmp_path / "giphy")
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | change))
    with pytest.raises(ModelError, match="import it again"):
        load_folder(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"[" * 100_000, b"\xff"])
def test_a_manifest_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    folder = written(tmp_path / "giphy")
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(ModelError):
        load_folder(folder)


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="trainer import-giphy"):
        load_folder(tmp_path)


def test_arrays_of_other_shapes_types_or_with_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / NETWORK
    name = "conv1.kernel"
    shapes = variable_shapes()
    assert shapes["conv1/kernel"] == (7, 7, 3, 64)
    assert shapes["fc1/kernel"] == (1, 1, 2048, 256)
    for array in (np.zeros((7, 7, 3, 65), np.float32), np.zeros((7, 7, 3, 64)), np.zeros((7, 7, 3, 64), object)):
        with path.open("wb") as file:
            np.savez(file, **{name: array})
        with pytest.raises(ModelError, match="must be float32"):
            read_network_file(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.npy", b"no array")
    with pytest.raises(ModelError, match="cannot be read"):
        read_network_file(path)


def test_it_is_no_model_bundle_and_is_refused_as_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        load_bundle(written(tmp_path / "giphy"))
