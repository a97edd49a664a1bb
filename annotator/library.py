"""The library: where installed models are kept, in a folder or a bucket, each once and for good under its name.

``mine@3`` is a folder of that name with the files of the bundle. It is checked whole before it is there, appears at
once, and is never replaced by another content: whoever has used ``mine@3`` can rely on it.
"""

import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from annotator.errors import ConfigError, LocalDiskError, ModelError, SourceNotFoundError
from annotator.media.reader import BoundedSink
from annotator.media.s3 import S3Store, split_s3_uri
from annotator.recognition.bundle import MANIFEST, MAX_FILE_BYTES, ModelBundle, fetch_bundle, load_bundle

S3: Final = "s3://"
_MODEL: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}@[1-9][0-9]{0,9}")
_PART: Final = ".part-"
_ABANDONED_S: Final = 24 * 3600.0
"""So old a half-made folder is of a process that was killed."""


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A model in the library.

    Attributes:
        bundle: as it was checked.
        uri: where it is: the address of a folder or ``s3://…``.
        is_new: whether it was not there before.

    """

    bundle: ModelBundle
    uri: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class Library:
    """Installed models.

    Attributes:
        place: a folder, or ``s3://BUCKET/PREFIX``.
        cache_dir: folder for what comes from a bucket.
        bucket_store: reaches buckets.

    """

    place: str
    cache_dir: Path
    bucket_store: S3Store

    def add(self, source: str) -> Kept:
        """Check a bundle whole and keep it under its name and version; nothing happens where it is kept already.

        Args:
            source: its folder, or ``s3://…``.

        Raises:
            ConfigError: there is no bundle, or another one is kept under its name and version.
            ModelError: it fails its checks.
            LocalDiskError: it cannot be written.
            InputError: the bucket does not have it, or refuses.
            TransientError: the bucket does not answer.

        """
        folder = self.fetch(source) if source.startswith(S3) else Path(source).expanduser()
        scratch = self.cache_dir if self.place.startswith(S3) else Path(self.place).expanduser()
        with _scratch_folder(scratch) as part:
            bundle = _copy_checked(folder, part)
            if self.place.startswith(S3):
                return self._upload(bundle, part)
            target = scratch / bundle.model
            is_new = not target.exists() and _appears(part, target)
            if not is_new:
                _insist_on_same(bundle, load_bundle(target), f"the folder {target}")
            return Kept(bundle, folder_uri(target), is_new)

    def find(self, model: str) -> Path | None:
        """Return the local folder of a model by its name and version, None where it is not in the library.

        What is in a bucket is brought into the cache; files that are there with the right digest are kept.

        Raises:
            ModelError: it fails its checks.
            InputError: the bucket refuses.
            TransientError: the bucket does not answer.

        """
        if not self.place.startswith(S3):
            folder = Path(self.place).expanduser() / model
            return folder if folder.is_dir() and not model.startswith(".") and "/" not in model else None
        if not _MODEL.fullmatch(model):
            return None
        try:
            return self.fetch(self._uri(model))
        except SourceNotFoundError:
            return None

    def folders(self) -> list[Path]:
        """Return the folders of the models; none where they are in a bucket."""
        place = Path(self.place).expanduser()
        if self.place.startswith(S3) or not place.is_dir():
            return []
        return sorted(one for one in place.iterdir() if one.is_dir() and not one.name.startswith("."))

    def fetch(self, uri: str) -> Path:
        """Bring a bundle of a bucket into the cache and return its folder; raises as :meth:`find`."""
        return fetch_bundle(uri, download=self._download, cache_dir=self.cache_dir)

    def _uri(self, model: str) -> str:
        return f"{self.place.rstrip('/')}/{model}"

    def _upload(self, bundle: ModelBundle, folder: Path) -> Kept:
        """Write the manifest last: without it there is no bundle."""
        uri = self._uri(bundle.model)
        there = self.find(bundle.model)
        if there is not None:
            _insist_on_same(bundle, load_bundle(there), uri)
            return Kept(bundle, uri, is_new=False)
        bucket, prefix = split_s3_uri(uri)
        for name in [*bundle.manifest["files"], MANIFEST]:
            self.bucket_store.put(bucket, f"{prefix}/{name}", folder / name)
        return Kept(bundle, uri, is_new=True)

    def _download(self, uri: str, path: Path, max_bytes: int) -> None:
        bucket, key = split_s3_uri(uri)
        with path.open("wb") as file:
            self.bucket_store.fetch(bucket, key, etag=None, sink=BoundedSink(file, name=uri, max_bytes=max_bytes))


def folder_uri(folder: Path) -> str:
    """Return where a model is that is kept in a folder, as the database says it."""
    return f"file://{quote(folder.resolve().as_posix(), safe='/@')}"


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """Return sha256 over a manifest, hexadecimal: it states the digest of every file, so it stands for the bundle.

    What it tells of how the model was measured (``calibrated``) is left out: that decides no label.
    """
    told = {name: value for name, value in manifest.items() if name != "calibrated"}
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _copy_checked(source: Path, target: Path) -> ModelBundle:
    """Copy the files that the manifest states, and check the copy: the source may change meanwhile."""
    if not (source / MANIFEST).is_file():
        raise ConfigError(f"there is no model bundle at {source}: it must be a folder with a {MANIFEST}")
    try:
        _copy_bounded(source / MANIFEST, target / MANIFEST)
        for name in sorted(MAX_FILE_BYTES.keys() - {MANIFEST}):
            if (source / name).is_file():
                _copy_bounded(source / name, target / name)
        bundle = load_bundle(target)
        for name, stated in bundle.manifest["files"].items():
            _check_digest(target / name, str(stated["sha256"]))
        for path in target.iterdir():  # what the manifest does not state was not checked
            if path.name not in {MANIFEST, *bundle.manifest["files"]}:
                path.unlink()
    except OSError as exc:
        raise LocalDiskError(f"the model cannot be copied to {target.parent} ({exc.strerror}): make room") from exc
    return bundle


def _copy_bounded(source: Path, target: Path) -> None:
    limit = MAX_FILE_BYTES[source.name]
    if source.stat().st_size > limit:
        raise ModelError(f"{source.name} of the model bundle is larger than {limit} bytes: it is not trusted")
    with source.open("rb") as reading, target.open("wb") as writing:
        shutil.copyfileobj(reading, writing)


def _check_digest(path: Path, stated: str) -> None:
    if not path.is_file():
        raise ModelError(f"the model bundle lacks {path.name}, which its manifest states: build it again")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != stated:
        raise ModelError(f"{path.name} of the model bundle is not what its manifest states: build the bundle again")


def _insist_on_same(bundle: ModelBundle, there: ModelBundle, where: str) -> None:
    if manifest_digest(there.manifest) != manifest_digest(bundle.manifest):
        raise ConfigError(
            f"{bundle.model} is installed already, with another content ({where}): give the new one a higher version"
        )


def _appears(part: Path, target: Path) -> bool:
    """Move a folder to where it belongs, at once; False where another process was quicker."""
    try:
        part.rename(target)
    except OSError as exc:
        if target.is_dir():
            return False
        raise LocalDiskError(f"the model cannot be moved to {target} ({exc.strerror}): check the folder") from exc
    return True


@contextmanager
def _scratch_folder(parent: Path) -> Iterator[Path]:
    """Give an empty folder that is gone afterwards, unless it was moved; those of killed processes go, too."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for old in parent.glob(f"{_PART}*"):
            if time.time() - old.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(old, ignore_errors=True)
        part = Path(tempfile.mkdtemp(prefix=_PART, dir=parent))
        part.chmod(0o755)  # others read models, too
    except OSError as exc:
        raise LocalDiskError(f"nothing can be written to {parent} ({exc.strerror}): name another folder") from exc
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)
