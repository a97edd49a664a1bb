"""What the import writes is a bundle with a class head; another one, or a changed one, is refused."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from annotator.errors import ConfigError, ModelError
from annotator.networks.variables import variable_shapes
from annotator.recognition.bundle import LABELS, MANIFEST, PROTOTYPES, load_bundle
from annotator.recognition.bundle_files import CLASSES, NETWORK
from annotator.recognition.revocation import revoke
from annotator.types import F32, Identity
from trainer.giphy.folder import load_folder, write_folder
from trainer.giphy.mapping import ClassHead
from trainer.giphy.network import SPEC

LABELS_GIVEN = ("50_Cent_[m.01vvyc_]", "Abe", "Zoe")


def head(*, centres: F32 | None = None) -> ClassHead:
    random = np.random.default_rng(0)
    kernel, found = random.standard_normal((256, 3)), random.standard_normal((3, 256))
    chosen = found.astype(np.float32) if centres is None else centres
    return ClassHead(kernel.astype(np.float32), np.arange(3, dtype=np.float32), chosen)


def written(folder: Path, given: ClassHead | None = None) -> Path:
    network = {name: np.zeros(shape, np.float32) for name, shape in variable_shapes(SPEC).items()}
    write_folder(folder, LABELS_GIVEN, network, given or head(), checkpoint_sha256="0" * 64)
    return folder


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("giphy") / "new" / "giphy")


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy whose files may be replaced; they are links, as the network has 95 MB."""
    return Path(shutil.copytree(original, tmp_path / "giphy", copy_function=os.link))


def put(path: Path, content: bytes) -> None:
    """Replace a file and not what it is a link of."""
    path.unlink()
    path.write_bytes(content)


def test_what_is_written_is_read_again(original: Path) -> None:
    model = load_folder(original)
    assert model.identities == (Identity("50 Cent", "/m/01vvyc_"), Identity("Abe"), Identity("Zoe"))
    np.testing.assert_array_equal(model.head.kernel, head().kernel)
    assert model.network_id.startswith("resnet50-")
    assert sorted(path.name for path in original.parent.iterdir()) == ["giphy"]


def test_it_is_a_bundle_whose_people_are_the_centres(original: Path) -> None:
    bundle = load_bundle(original)
    centres = head().centres
    np.testing.assert_allclose(bundle.prototypes, centres / np.linalg.norm(centres, axis=1, keepdims=True), atol=1e-6)
    assert bundle.manifest["conventions"]["class"] == "rank of the sorted label"
    assert "thresholds and confidence are assumptions" in (original / "MODEL_CARD.md").read_text()
    (point,) = bundle.calibration.points
    assert point.min_scores[0] < point.min_scores[1] < point.min_scores[2]


def test_the_same_import_gives_the_same_bytes(original: Path, tmp_path: Path) -> None:
    again = written(tmp_path / "again")
    for path in original.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    for taken in (tmp_path, tmp_path / "mine"):
        with pytest.raises(ConfigError, match="is there already"):
            written(taken)
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize("name", [LABELS, NETWORK, CLASSES, PROTOTYPES])
def test_a_changed_or_missing_file_is_refused(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    put(folder / name, content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelError, match="not what its manifest states"):
        load_folder(folder)
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"lacks {name}"):
        load_folder(folder)


def test_a_person_who_is_revoked_is_no_class(folder: Path, original: Path) -> None:
    path = folder / "revoked.json"
    put(path, (original / "revoked.json").read_bytes())
    revoke(path, [Identity("Abe")])
    manifest = json.loads((folder / MANIFEST).read_text())
    content = path.read_bytes()
    manifest["files"]["revoked.json"] = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    put(folder / MANIFEST, json.dumps(manifest).encode())
    model = load_folder(folder)
    assert [one.name for one in model.identities] == ["50 Cent", "Zoe"]
    np.testing.assert_array_equal(model.head.bias, [0, 2])
    np.testing.assert_array_equal(model.head.kernel, head().kernel[:, [0, 2]])


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest["network"].update(side_px=192),
        lambda manifest: manifest["network"]["crop"].update(kind="aligned"),
        lambda manifest: manifest.update(format="giphy-import 1"),
        lambda manifest: manifest.update(files=None),
        lambda manifest: manifest["files"].pop(CLASSES),
    ],
)
def test_a_folder_of_another_kind_is_refused(folder: Path, change: Callable[[dict[str, object]], None]) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    put(folder / MANIFEST, json.dumps(manifest).encode())
    with pytest.raises(ModelError):
        load_folder(folder)


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="trainer import-giphy"):
        load_folder(tmp_path)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_class_without_a_centre_is_refused_and_leaves_nothing(value: float, tmp_path: Path) -> None:
    centres = head().centres.copy()
    centres[1] = value
    with pytest.raises(ModelError, match="has no centre"):
        written(tmp_path / "giphy", head(centres=centres))
    assert not list(tmp_path.iterdir())


def test_centres_that_are_all_one_still_give_a_calibration(tmp_path: Path) -> None:
    bundle = load_bundle(written(tmp_path / "giphy", head(centres=np.ones((3, 256), np.float32))))
    assert bundle.calibration.points[0].slope > 0
