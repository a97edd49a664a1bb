"""Installed models are kept whole, once and for good, in a folder or in a bucket."""

import os
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from annotator.build import open_bundle
from annotator.errors import ConfigError, LocalDiskError, ModelError
from annotator.library import Library
from annotator.media.limits import FetchLimits, S3Access
from annotator.media.s3 import S3Store
from annotator.recognition.bundle import CREDITS, MANIFEST, load_bundle
from annotator.settings import load_settings
from tests.made_up_bundles import write_made_up_bundle

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def library_at(place: str, tmp_path: Path, access: S3Access | None = None) -> Library:
    return Library(place, tmp_path / f"cache-{uuid4().hex}", S3Store(access or S3Access(), FetchLimits()))


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.servers)])
def library(request: pytest.FixtureRequest, tmp_path: Path) -> Library:
    """A library in a folder, and one in a bucket."""
    if request.param == "folder":
        return library_at(str(tmp_path / "models"), tmp_path)
    bucket = f"models-{uuid4().hex}"
    request.getfixturevalue("client").create_bucket(Bucket=bucket)
    return library_at(f"s3://{bucket}/annotator", tmp_path, request.getfixturevalue("access"))


@pytest.fixture
def bundle_folder(tmp_path: Path) -> Path:
    write_made_up_bundle(tmp_path / "bundle")
    return tmp_path / "bundle"


def names_below(library: Library, tmp_path: Path) -> set[str]:
    places = [Path(library.place), library.cache_dir, tmp_path / "models"]
    return {path.name for place in places if place.is_dir() for path in place.iterdir()}


def test_a_model_is_kept_whole_under_its_name_and_found_there(
    library: Library, bundle_folder: Path, tmp_path: Path
) -> None:
    assert library.find("mine@1") is None
    kept = library.add(str(bundle_folder))
    assert (kept.is_new, kept.bundle.model) == (True, "mine@1")
    assert kept.uri.endswith("/mine@1")
    found = library.find("mine@1")
    assert found is not None
    assert {path.name: path.read_bytes() for path in found.iterdir()} == {
        path.name: path.read_bytes() for path in bundle_folder.iterdir()
    }
    assert not [name for name in names_below(library, tmp_path) if name.startswith(".part-")]


def test_adding_it_again_changes_nothing_and_another_content_is_refused(library: Library, tmp_path: Path) -> None:
    write_made_up_bundle(tmp_path / "first")
    write_made_up_bundle(tmp_path / "second", swapped={3: 4})
    kept = library.add(str(tmp_path / "first"))
    again = library.add(str(tmp_path / "first"))
    assert (again.is_new, again.uri) == (False, kept.uri)
    with pytest.raises(ConfigError, match="higher version"):
        library.add(str(tmp_path / "second"))
    found = library.find("mine@1")
    assert found is not None
    assert load_bundle(found).digest == kept.bundle.digest


def test_a_bundle_with_a_changed_file_is_refused_and_leaves_nothing(
    library: Library, bundle_folder: Path, tmp_path: Path
) -> None:
    (bundle_folder / CREDITS).write_text("name,photographs,sources\nSomebody,1,elsewhere\n")
    with pytest.raises(ModelError, match=CREDITS):
        library.add(str(bundle_folder))
    assert library.find("mine@1") is None
    assert not [name for name in names_below(library, tmp_path) if name.startswith((".part-", "mine"))]


def test_what_the_manifest_does_not_state_is_not_copied(library: Library, bundle_folder: Path) -> None:
    (bundle_folder / "notes.txt").write_text("of a friend")
    library.add(str(bundle_folder))
    found = library.find("mine@1")
    assert found is not None
    assert "notes.txt" not in {path.name for path in found.iterdir()}


@pytest.mark.parametrize("name", ["../bundle", ".part-x", "mine", "mine@0", "nobody@1", "a/b@1"])
def test_what_is_no_name_of_a_model_is_not_there(library: Library, bundle_folder: Path, name: str) -> None:
    library.add(str(bundle_folder))
    assert library.find(name) is None


def test_a_folder_without_a_manifest_is_refused(library: Library, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=MANIFEST):
        library.add(str(tmp_path))


@pytest.mark.servers
def test_a_model_of_a_bucket_is_installed_from_there(access: S3Access, client: "S3Client", tmp_path: Path) -> None:
    bucket = f"models-{uuid4().hex}"
    client.create_bucket(Bucket=bucket)
    write_made_up_bundle(tmp_path / "bundle")
    theirs = library_at(f"s3://{bucket}/theirs", tmp_path, access)
    theirs.add(str(tmp_path / "bundle"))
    mine = library_at(str(tmp_path / "models"), tmp_path, access)
    assert mine.add(f"s3://{bucket}/theirs/mine@1").is_new
    assert [folder.name for folder in mine.folders()] == ["mine@1"]


@pytest.mark.servers
def test_other_machines_take_a_model_from_the_bucket_by_its_name(
    access: S3Access, client: "S3Client", tmp_path: Path
) -> None:
    bucket = f"models-{uuid4().hex}"
    client.create_bucket(Bucket=bucket)
    write_made_up_bundle(tmp_path / "bundle")
    library_at(f"s3://{bucket}/annotator", tmp_path, access).add(str(tmp_path / "bundle"))
    settings = load_settings(
        env_file=None,
        model="mine@1",
        models_uri=f"s3://{bucket}/annotator",
        data_dir=tmp_path / "other" / "data",
        cache_dir=tmp_path / "other" / "cache",
        s3_endpoint_url=access.endpoint_url,
        s3_region=access.region,
        s3_access_key_id=access.access_key_id,
        s3_secret_access_key=access.secret_access_key,
    )
    assert open_bundle(settings).digest == load_bundle(tmp_path / "bundle").digest
    client.put_object(Bucket=bucket, Key="annotator/mine@1/labels.csv", Body=b"Label,Index\nSomebody_Else,0\n")
    assert open_bundle(settings).model == "mine@1"  # it has the right files already
    with pytest.raises(ModelError, match=r"labels\.csv"):
        open_bundle(settings.model_copy(update={"cache_dir": tmp_path / "third"}))


@pytest.mark.servers
def test_a_model_whose_upload_was_broken_off_is_not_there_and_can_be_added(
    access: S3Access, client: "S3Client", tmp_path: Path
) -> None:
    bucket = f"models-{uuid4().hex}"
    client.create_bucket(Bucket=bucket)
    write_made_up_bundle(tmp_path / "bundle")
    client.put_object(Bucket=bucket, Key="mine@1/labels.csv", Body=b"half of it")
    library = library_at(f"s3://{bucket}", tmp_path, access)
    assert library.find("mine@1") is None
    assert library.add(str(tmp_path / "bundle")).is_new
    assert library.find("mine@1") is not None


def test_a_folder_that_cannot_be_written_is_told(bundle_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()  # closed to everybody, the superuser too
    with pytest.raises(LocalDiskError, match="name another folder"):
        library_at(str(tmp_path / "file" / "models"), tmp_path).add(str(bundle_folder))


def test_half_made_folders_of_killed_processes_are_removed_after_a_day(bundle_folder: Path, tmp_path: Path) -> None:
    old, young = tmp_path / "models" / ".part-old", tmp_path / "models" / ".part-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    library_at(str(tmp_path / "models"), tmp_path).add(str(bundle_folder))
    assert (old.exists(), young.exists()) == (False, True)
