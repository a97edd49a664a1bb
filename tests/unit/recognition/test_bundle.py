"""A model bundle is written and read; a hostile one is refused in one line."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.errors import AnnotatorError, ConfigError, ModelError
from annotator.library import manifest_digest
from annotator.recognition.bundle import (
    CALIBRATION,
    CREDITS,
    LABELS,
    LICENSE,
    MANIFEST,
    MODEL_CARD,
    PROTOTYPES,
    REVOKED,
    ModelBundle,
    fetch_bundle,
    load_bundle,
    write_bundle,
)
from annotator.recognition.decision import Identifier
from annotator.recognition.evidence import stack_tracks
from annotator.recognition.gallery import Gallery
from annotator.recognition.prior import KnownTracks
from annotator.recognition.revocation import RevocationList, revoke
from annotator.recognition.scoring import Scorer
from annotator.takedown.bundles import Known, rewrite_without
from annotator.types import Identity, TrackEvidence
from tests.made_up_bundles import unit

TEXTS = {CREDITS: "name,photographs,sources\n", MODEL_CARD: "# card\n", LICENSE: "terms\n"}
EMPTY = RevocationList("00" * 16)


@pytest.fixture
def folder(bundle: ModelBundle, tmp_path: Path) -> Path:
    write_bundle(tmp_path / "bundle", bundle, texts=TEXTS, revoked=EMPTY)
    return tmp_path / "bundle"


def change_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def put(folder: Path, name: str, content: bytes) -> None:
    """Replace a file together with its digest, as somebody who makes bundles can."""
    (folder / name).write_bytes(content)
    stated = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    change_manifest(folder, lambda manifest: manifest["files"].update({name: stated}))


def refused(folder: Path, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        load_bundle(folder)
    assert "\n" not in str(caught.value)


def test_a_bundle_comes_back_as_it_was_written(bundle: ModelBundle, folder: Path) -> None:
    loaded = load_bundle(folder)
    assert loaded.identities == bundle.identities
    np.testing.assert_array_equal(loaded.prototypes, bundle.prototypes)
    np.testing.assert_array_equal(loaded.photo_counts, bundle.photo_counts)
    np.testing.assert_array_equal(loaded.mean, bundle.mean)
    assert loaded.calibration == bundle.calibration
    assert loaded.model == "small@1"
    assert not loaded.prototypes.flags.writeable


def test_the_same_values_give_the_same_bytes(bundle: ModelBundle, folder: Path, tmp_path: Path) -> None:
    write_bundle(tmp_path / "again", bundle, texts=TEXTS, revoked=EMPTY)
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_the_digest_is_of_what_decides_labels(bundle: ModelBundle, folder: Path, tmp_path: Path) -> None:
    write_bundle(tmp_path / "b", bundle, texts={**TEXTS, MODEL_CARD: "# better card\n"}, revoked=EMPTY)
    assert load_bundle(folder).digest == load_bundle(tmp_path / "b").digest
    put(tmp_path / "b", LABELS, (folder / LABELS).read_bytes().replace(b"Person_03", b"Person_X"))
    assert load_bundle(folder).digest != load_bundle(tmp_path / "b").digest


def test_what_a_manifest_tells_of_measurements_is_in_no_digest(
    bundle: ModelBundle, folder: Path, tmp_path: Path
) -> None:
    told = replace(bundle, manifest={**bundle.manifest, "calibrated": {"fitted_to": {"clips": 7}}})
    write_bundle(tmp_path / "b", told, texts=TEXTS, revoked=EMPTY)
    one, other = load_bundle(folder), load_bundle(tmp_path / "b")
    assert one.manifest != other.manifest
    assert one.digest == other.digest
    assert manifest_digest(one.manifest) == manifest_digest(other.manifest)
    assert manifest_digest(one.manifest) != manifest_digest({**one.manifest, "version": 2})


def test_a_bundle_without_people_that_were_taken_down_scores_as_without_revoked_ones(
    bundle: ModelBundle, folder: Path
) -> None:
    places = np.array([0, 2], np.int64)
    rest = np.setdiff1d(np.arange(len(bundle.identities)), places)
    rewritten = rewrite_without(Known(folder, load_bundle(folder), places), ["Person 00", "Person 02"])
    assert rewritten.calibration.cohort == load_bundle(folder).calibration.cohort
    assert rewritten.calibration.cohort == bundle.with_only(rest).calibration.cohort


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no model bundle"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("name", [LABELS, PROTOTYPES, CALIBRATION, REVOKED])
def test_a_file_that_was_changed_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    refused(folder, f"{name} of the model bundle is not what its manifest states")


@pytest.mark.parametrize("name", [LABELS, PROTOTYPES, CALIBRATION, REVOKED])
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    refused(folder, f"lacks {name}")
    change_manifest(folder, lambda manifest: manifest["files"].pop(name))
    refused(folder, f"does not state {name}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 3}, "format 3"),
        ({"format": True}, "format True"),
        ({"projected_size": 16}, "both projection.npz and projected_size"),
        ({"network": {}}, "both network.npz and network"),
        ({"name": "../../etc"}, "name of a model bundle"),
        ({"name": None}, "name of a model bundle"),
        ({"version": 0}, "version"),
        ({"version": True}, "version"),
        ({"version": "1"}, "version"),
        ({"embedding_size": 10**12}, "embedding_size"),
        ({"embedding_size": 64}, "prototypes of the model bundle must be"),
        ({"embedder": None}, "embedder"),
        ({"colour_order": "BGR"}, "another kind of crop"),
        ({"input_size_px": 160}, "another kind of crop"),
        ({"files": []}, "must state its files"),
    ],
)
def test_a_manifest_that_says_something_odd_is_refused(folder: Path, change: dict[str, Any], message: str) -> None:
    change_manifest(folder, lambda manifest: manifest.update(change))
    refused(folder, message)


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("../evil", {"sha256": "0" * 64, "size_bytes": 1}),
        ("/etc/passwd", {"sha256": "0" * 64, "size_bytes": 1}),
        ("extra.pkl", {"sha256": "0" * 64, "size_bytes": 1}),
        (MANIFEST, {"sha256": "0" * 64, "size_bytes": 1}),
        (LABELS, {"sha256": "0" * 64, "size_bytes": 10**15}),
        (LABELS, {"sha256": "0" * 64, "size_bytes": -1}),
        (LABELS, {"sha256": "short", "size_bytes": 1}),
        (LABELS, "text"),
    ],
)
def test_files_that_no_bundle_has_are_refused(folder: Path, name: str, stated: object) -> None:
    change_manifest(folder, lambda manifest: manifest["files"].update({name: stated}))
    refused(folder, "is no file of a bundle")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"[" * 200_000, b'{"format": 1'])
def test_a_manifest_that_is_no_json_object_is_refused(folder: Path, content: bytes) -> None:
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(ModelError):
        load_bundle(folder)


def test_an_oversized_manifest_is_refused(folder: Path) -> None:
    (folder / MANIFEST).write_bytes(b" " * (1024 * 1024 + 1))
    refused(folder, "larger than")


def npz(path: Path, **members: bytes) -> bytes:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path.read_bytes()


def test_arrays_of_other_shapes_are_refused_before_memory_is_taken(folder: Path, tmp_path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 128), }"
    header += b" " * (118 - len(header) - 1) + b"\n"
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    put(folder, PROTOTYPES, npz(tmp_path / "p.npz", prototypes=member))
    refused(folder, "prototypes of the model bundle must be")


def test_a_member_of_a_like_name_is_not_read(folder: Path, bundle: ModelBundle) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 128), }"
    header += b" " * (118 - len(header) - 1) + b"\n"
    with zipfile.ZipFile(folder / PROTOTYPES, "a") as archive:
        archive.writestr("prototypes", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    put(folder, PROTOTYPES, (folder / PROTOTYPES).read_bytes())
    np.testing.assert_array_equal(load_bundle(folder).prototypes, bundle.prototypes)


def test_pickles_are_refused(folder: Path) -> None:
    people = 40
    with (folder / "p.npz").open("wb") as file:
        np.savez(
            file,
            prototypes=np.array([[object()] * 32] * people),
            photo_counts=np.ones(people, np.int32),
            mean=np.zeros(32, np.float32),
            allow_pickle=True,
        )
    put(folder, PROTOTYPES, (folder / "p.npz").read_bytes())
    refused(folder, "prototypes of the model bundle must be")


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + b"\0" * 18, b"no zip"])
def test_no_archive_is_refused(folder: Path, content: bytes) -> None:
    put(folder, PROTOTYPES, content)
    refused(folder, "cannot be read")


@pytest.mark.parametrize("value", [np.nan, 2.0, 0.0])
def test_prototypes_that_are_no_unit_vectors_are_refused(folder: Path, bundle: ModelBundle, value: float) -> None:
    prototypes = bundle.prototypes.copy()
    prototypes[3] = value
    with (folder / "p.npz").open("wb") as file:
        np.savez(file, prototypes=prototypes, photo_counts=bundle.photo_counts, mean=bundle.mean)
    put(folder, PROTOTYPES, (folder / "p.npz").read_bytes())
    refused(folder, "not of unit length")


def test_a_centre_of_another_length_is_refused(bundle: ModelBundle) -> None:
    with pytest.raises(ModelError, match="centre of another length"):
        replace(bundle, calibration=replace(bundle.calibration, clip_centre=(0.1, 0.2)))


def test_people_on_the_bundles_list_are_not_in_it(bundle: ModelBundle, tmp_path: Path) -> None:
    write_bundle(
        tmp_path / "b", bundle, texts=TEXTS, revoked=EMPTY.extended([Identity("person 03"), Identity("x", "/m/05")])
    )
    loaded = load_bundle(tmp_path / "b")
    names = [person.name for person in loaded.identities]
    assert len(names) == 38
    assert "Person 03" not in names
    assert "Person 05" not in names
    np.testing.assert_array_equal(loaded.prototypes[3], bundle.prototypes[4])


def test_people_on_the_users_list_are_not_in_it_and_labels_differ(folder: Path, tmp_path: Path) -> None:
    revoke(tmp_path / "mine.json", [Identity("Person 09")])
    loaded = load_bundle(folder, revocations=tmp_path / "mine.json")
    assert "Person 09" not in {person.name for person in loaded.identities}
    assert loaded.digest != load_bundle(folder).digest
    with pytest.raises(ConfigError):
        load_bundle(folder, revocations=tmp_path / "none.json")


def test_what_is_known_of_known_peoples_tracks_changes_no_label(
    bundle: ModelBundle, folder: Path, tmp_path: Path, make_track: Callable[..., TrackEvidence]
) -> None:
    known = KnownTracks((32.0, 128.0), (0.5, 0.9), 1.2)
    assert load_bundle(folder).known_tracks is None
    said = replace(bundle, manifest={"calibrated": {"known_tracks": known.to_json()}})
    write_bundle(tmp_path / "said", said, texts=TEXTS, revoked=EMPTY)
    loaded = load_bundle(tmp_path / "said")
    assert loaded.known_tracks == known
    assert loaded.digest == load_bundle(folder).digest
    identifier = Identifier(Gallery.from_bundle(loaded))
    assert identifier.digest == Identifier(Gallery.from_bundle(load_bundle(folder))).digest
    # The likelihood ratio of a stranger's nearest person is small; that it is somebody of the gallery is likelier.
    ratios = identifier.ratios(stack_tracks([make_track(unit(-bundle.mean), face_px=32.0)]))
    np.testing.assert_allclose(np.exp(ratios.of_gallery), 0.5 + 1.2 * np.exp(ratios.log_ratios))


def test_scores_of_a_gallery_that_lost_most_people_are_no_higher(bundle: ModelBundle) -> None:
    random = np.random.default_rng(8)
    people = unit(random.normal(0, 1, (800, 32)))
    whole = replace(
        bundle,
        identities=tuple(Identity(f"Person {number}") for number in range(800)),
        prototypes=people,
        photo_counts=np.full(800, 5, np.int32),
        mean=people.mean(axis=0),
        calibration=replace(bundle.calibration, cohort=200),
    )
    strangers = random.normal(0, 1, (300, 32))

    def best_scores(one: ModelBundle) -> np.ndarray:
        scorer = Scorer(Gallery.from_bundle(one), cohort=one.calibration.cohort)
        return scorer.scores(strangers).max(axis=1)

    of_all = np.quantile(best_scores(whole), (0.5, 0.9, 0.99))
    for kept in (400, 200, 100, 24):
        less = whole.with_only(np.sort(random.permutation(800)[:kept]))
        assert less.calibration.cohort == kept // 4
        assert (np.quantile(best_scores(less), (0.5, 0.9, 0.99)) < of_all).all()


def test_whoever_is_revoked_leaves_the_cohort_as_large_a_share_as_it_was(folder: Path, tmp_path: Path) -> None:
    whole = load_bundle(folder)
    revoke(tmp_path / "mine.json", [Identity(f"Person {number:02}") for number in range(20)])
    half = load_bundle(folder, revocations=tmp_path / "mine.json")
    assert (whole.calibration.cohort, half.calibration.cohort) == (10, 5)
    np.testing.assert_array_equal(half.mean, whole.mean)
    revoke(tmp_path / "all.json", whole.identities)
    assert load_bundle(folder, revocations=tmp_path / "all.json").identities == ()


def test_a_remote_bundle_is_fetched_once_and_checked(folder: Path, tmp_path: Path) -> None:
    fetched: list[str] = []

    def download(uri: str, path: Path, max_bytes: int) -> None:
        name = uri.removeprefix("s3://models/small/")
        fetched.append(name)
        content = (folder / name).read_bytes()
        assert len(content) <= max_bytes
        path.write_bytes(content)

    local = fetch_bundle("s3://models/small/", download=download, cache_dir=tmp_path / "cache")
    assert load_bundle(local).digest == load_bundle(folder).digest
    assert len(fetched) == 8
    assert fetch_bundle("s3://models/small", download=download, cache_dir=tmp_path / "cache") == local
    assert len(fetched) == 9, "the second time only the manifest is fetched"
    assert not list(local.glob("*.part"))


def test_a_remote_bundle_whose_files_differ_from_its_manifest_is_refused(folder: Path, tmp_path: Path) -> None:
    def download(uri: str, path: Path, max_bytes: int) -> None:
        content = (folder / uri.rpartition("/")[2]).read_bytes()
        path.write_bytes(content if uri.endswith(MANIFEST) else content[: max_bytes - 1])

    with pytest.raises(ModelError, match="not what its manifest states"):
        fetch_bundle("s3://models/small", download=download, cache_dir=tmp_path / "cache")
    with pytest.raises(AnnotatorError):
        load_bundle(next((tmp_path / "cache").iterdir()))
