"""Bundles that carry a head's projection, or a network: written, read, compared, and refused where they are hostile."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.errors import ModelError
from annotator.networks.embedder_file import write_embedder_file
from annotator.networks.embedders import EmbedderSpec
from annotator.networks.variables import variable_shapes
from annotator.recognition.bundle import MANIFEST, ModelBundle, load_bundle, write_bundle
from annotator.recognition.bundle_files import NETWORK, PROJECTION
from annotator.recognition.bundled_network import BundledNetwork
from annotator.recognition.crops import FaceCrop
from annotator.recognition.decision import Identifier
from annotator.recognition.evidence import stack_tracks
from annotator.recognition.gallery import EnrolledPerson, Gallery
from annotator.recognition.projection import Projection
from annotator.types import F32, Identity, TrackEvidence
from tests.unit.recognition.test_bundle import EMPTY, TEXTS, change_manifest, put, refused

SPEC = EmbedderSpec("densenet121", 32, 32)
EMBEDDER_SIZE = 48


def unit(vectors: Any) -> F32:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


@pytest.fixture
def projection() -> Projection:
    random = np.random.default_rng(7)
    weights = random.standard_normal((EMBEDDER_SIZE, 32)).astype(np.float32)
    return Projection(weights, random.normal(0, 0.1, 32).astype(np.float32))


@pytest.fixture
def headed(bundle: ModelBundle, projection: Projection, tmp_path: Path) -> tuple[ModelBundle, Path]:
    """A bundle with a projection, and the folder that it was written to."""
    made = replace(bundle, projection=projection)
    write_bundle(tmp_path / "headed", made, texts=TEXTS, revoked=EMPTY)
    return made, tmp_path / "headed"


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str]:
    path = tmp_path_factory.mktemp("weights") / NETWORK
    arrays = {name: np.zeros(shape, np.float32) for name, shape in variable_shapes(SPEC).items()}
    digest = write_embedder_file(path, SPEC, arrays)
    return path.read_bytes(), digest


@pytest.fixture
def networked(bundle: ModelBundle, weights_file: tuple[bytes, str], tmp_path: Path) -> Path:
    """The folder of a bundle that carries a network."""
    content, digest = weights_file
    folder = tmp_path / "networked"
    folder.mkdir()
    (folder / NETWORK).write_bytes(content)
    network = BundledNetwork(SPEC, FaceCrop("box", 64, 0.1), folder / NETWORK, digest)
    made = replace(bundle, embedder=network.network_id, network=network)
    write_bundle(folder, made, texts=TEXTS, revoked=EMPTY)
    return folder


def test_a_projection_comes_back_and_decides_labels(
    bundle: ModelBundle, headed: tuple[ModelBundle, Path], tmp_path: Path
) -> None:
    made, folder = headed
    loaded = load_bundle(folder)
    assert loaded.projection is not None
    assert made.projection is not None
    np.testing.assert_array_equal(loaded.projection.weights, made.projection.weights)
    assert (loaded.embedding_size, loaded.mean.shape[0]) == (EMBEDDER_SIZE, 32)
    assert json.loads((folder / MANIFEST).read_text())["format"] == 2
    turned = replace(made, projection=Projection(-made.projection.weights, made.projection.bias))
    write_bundle(tmp_path / "other", turned, texts=TEXTS, revoked=EMPTY)
    assert load_bundle(tmp_path / "other").digest != loaded.digest
    write_bundle(tmp_path / "other", bundle, texts=TEXTS, revoked=EMPTY)
    assert json.loads((tmp_path / "other" / MANIFEST).read_text())["format"] == 1
    assert not (tmp_path / "other" / PROJECTION).exists(), "what the former bundle had is gone"


def test_tracks_are_named_by_their_projected_embeddings(
    headed: tuple[ModelBundle, Path], make_track: Callable[..., TrackEvidence]
) -> None:
    made, _ = headed
    assert made.projection is not None
    # What the projection carries nearest to a person's prototype; the bias counts for little.
    inverse = np.linalg.pinv(made.projection.weights.astype(np.float64))
    directions = unit((made.prototypes.astype(np.float64) - made.projection.bias) @ inverse)
    identifier = Identifier(Gallery.from_bundle(made))
    labels = identifier.identify([make_track(directions[number], noise=0.01) for number in (3, 17)])
    assert [label.identity for label in labels] == [made.identities[3], made.identities[17]]
    exact = made.projection(directions[3:4].astype(np.float64))[0]
    by_hand = directions[3].astype(np.float64) @ made.projection.weights.astype(np.float64) + made.projection.bias
    np.testing.assert_allclose(exact, by_hand / np.linalg.norm(by_hand), atol=1e-7)


def test_relabelling_names_the_very_tracks_that_were_named(
    headed: tuple[ModelBundle, Path], make_track: Callable[..., TrackEvidence]
) -> None:
    made, _ = headed
    assert made.projection is not None
    inverse = np.linalg.pinv(made.projection.weights.astype(np.float64))
    directions = unit((made.prototypes.astype(np.float64) - made.projection.bias) @ inverse)
    tracks = [make_track(direction, seed=number, noise=0.3) for number, direction in enumerate(directions)]
    identifier = Identifier(Gallery.from_bundle(made))
    together = identifier.identify(tracks)
    assert [identifier.identify([track])[0] for track in tracks] == together, "whoever is labelled beside it"
    known = {place: label for place, label in enumerate(together) if label.identity is not None}
    named = identifier.named(stack_tracks(tracks))
    assert 0 < len(known) < len(tracks)
    assert named.place.tolist() == sorted(known)
    for place, columns, scores in zip(named.place.tolist(), named.columns, named.scores, strict=True):
        assert [one.identity for one in known[place].candidates] == [made.identities[column] for column in columns]
        assert [one.score for one in known[place].candidates] == scores.tolist()


def test_a_projection_that_changes_nothing_gives_the_very_labels_of_none(
    bundle: ModelBundle, make_track: Callable[..., TrackEvidence]
) -> None:
    same = Projection(np.eye(32, dtype=np.float32), np.zeros(32, np.float32))
    tracks = [make_track(bundle.prototypes[number], seed=number, noise=0.2) for number in range(20)]
    plain, projected = (
        Identifier(Gallery.from_bundle(one)).identify(tracks) for one in (bundle, replace(bundle, projection=same))
    )
    assert plain == projected


def test_enrolled_people_are_projected_alike(headed: tuple[ModelBundle, Path]) -> None:
    made, _ = headed
    assert made.projection is not None
    photographs = unit(np.random.default_rng(5).normal(0, 1, (2, EMBEDDER_SIZE)))
    person = EnrolledPerson(Identity("New Person"), photographs, made.embedder)
    gallery = Gallery.from_bundle(made, enrolled=[person])
    place = [one.name for one in gallery.identities].index("New Person")
    mean = made.projection(photographs.astype(np.float64)).sum(axis=0)
    np.testing.assert_allclose(gallery.prototypes[place], mean / np.linalg.norm(mean), atol=1e-6)
    wrong = EnrolledPerson(Identity("Other"), unit(np.ones((1, 32))), made.embedder)
    with pytest.raises(ModelError, match="enroll the photographs again"):
        Gallery.from_bundle(made, enrolled=[wrong])


def test_a_network_comes_back_with_an_embedding_space_of_its_own(networked: Path) -> None:
    loaded = load_bundle(networked)
    assert loaded.network is not None
    assert (loaded.network.spec, loaded.network.crop) == (SPEC, FaceCrop("box", 64, 0.1))
    assert loaded.embedder == loaded.network.network_id
    assert loaded.embedder.startswith("densenet121-")
    aligned = replace(loaded.network, crop=FaceCrop("aligned", 64, 0.1))
    assert aligned.network_id != loaded.embedder, "another crop is another space"
    for other in ("sface-2021dec", aligned.network_id):
        with pytest.raises(ModelError, match="cannot name embeddings of"):
            Gallery.from_bundle(loaded).check_embedder(other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embedder": "sface-2021dec"}, "and says that it is sface-2021dec"),
        ({"format": 1}, "in format 2"),
        ({"network": None}, "must describe its network"),
        ({"network": {"crop": {}}}, "there is no network"),
    ],
)
def test_a_manifest_that_lies_about_its_network_is_refused(
    networked: Path, change: dict[str, Any], message: str
) -> None:
    change_manifest(networked, lambda manifest: manifest.update(change))
    refused(networked, message)


@pytest.mark.parametrize(
    "change",
    [{"side_px": 10**9}, {"side_px": 64}, {"embedding_size": 16}, {"definition": "os.system"}, {"colour_order": "BGR"},
     {"scaling": "none"}, {"crop": {"kind": "aligned", "side_px": 10**9, "margin": 0}}, {"extra": 1},
     {"crop": {"kind": "box", "side_px": 64, "margin": float("nan")}}],
)  # fmt: skip
def test_a_network_that_this_version_does_not_know_is_refused(networked: Path, change: dict[str, Any]) -> None:
    change_manifest(networked, lambda manifest: manifest["network"].update(change))
    refused(networked, "must be a number|must be 0|model bundle|there is no network")


def test_a_changed_network_is_refused(networked: Path) -> None:
    content = (networked / NETWORK).read_bytes()
    (networked / NETWORK).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused(networked, f"{NETWORK} of the model bundle is not what its manifest states")
    put(networked, NETWORK, content[:-1])  # with its digest: then the name of the space is another
    refused(networked, "and says that it is densenet121-")


def test_a_projection_of_another_shape_or_without_numbers_is_refused(headed: tuple[ModelBundle, Path]) -> None:
    _, folder = headed
    content = (folder / PROJECTION).read_bytes()
    for size in (47, 10**12):
        change_manifest(folder, lambda manifest, size=size: manifest.update(embedding_size=size))  # type: ignore[misc]
        refused(folder, "weights of the model bundle must be|must state embedding_size")
    change_manifest(folder, lambda manifest: manifest.update(embedding_size=EMBEDDER_SIZE))
    bad = np.full((EMBEDDER_SIZE, 32), np.inf, np.float32)
    with (folder / "p.npz").open("wb") as file:
        np.savez(file, weights=bad, bias=np.zeros(32, np.float32))
    put(folder, PROJECTION, (folder / "p.npz").read_bytes())
    refused(folder, "holds numbers that are none")
    put(folder, PROJECTION, content)
    load_bundle(folder)
