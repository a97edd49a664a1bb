"""From what a user names to media: files, folders, addresses, buckets."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from annotator.errors import ForbiddenSourceError, SourceNotFoundError, UnsupportedMediaError
from annotator.media.limits import FetchLimits, S3Access
from annotator.media.reader import file_etag, path_of, scheme_of
from annotator.media.s3 import S3Store, split_s3_uri
from annotator.media.sniff import HEAD_BYTES, looks_like_media
from annotator.types import MediaRef

# In a folder, a file of one of these names is listed even if its content is no media, so that its failure is told.
MEDIA_SUFFIXES = frozenset(
    {".apng", ".avif", ".gif", ".heic", ".jpeg", ".jpg", ".m4v", ".mkv", ".mov", ".mp4", ".png", ".webm", ".webp"}
)


def expand_sources(sources: Sequence[str], *, s3: S3Access | None = None) -> list[MediaRef]:
    """Find the media that sources name.

    Args:
        sources: files, folders (searched through, sorted by path), ``file://``, ``http(s)://`` and ``s3://`` addresses.
            An s3 address of no object stands for all objects below it.
        s3: how S3 is reached; None for boto3's own chain.

    Returns:
        The media in the order of the sources, each once. Ids are paths relative to the folder given, paths of files
        and addresses as given, and keys.

    Raises:
        SourceNotFoundError: a source that does not exist.
        ForbiddenSourceError: a folder or bucket that may not be read.
        SourceUnavailableError: a bucket that does not answer.
        UnsupportedMediaError: an address of another kind.

    """
    found: dict[str, MediaRef] = {}
    for source in sources:
        for media in _expand(source, s3):
            found.setdefault(media.uri, media)
    return list(found.values())


def _expand(source: str, s3: S3Access | None) -> Iterator[MediaRef]:
    scheme, separator, rest = source.partition("://")
    if not source:
        raise SourceNotFoundError("A source is empty; give a file, a folder (. is this one) or an address.")
    if not separator:
        return _expand_path(Path(source), source)
    address = f"{scheme.lower()}://{rest}"
    match scheme_of(address):
        case "http" | "https":
            return iter([MediaRef(source, address)])
        case "s3":
            return _expand_s3(address, s3)
        case "file":
            return _expand_path(path_of(address), source)
        case _:
            raise UnsupportedMediaError(f"{source} is no file, folder, http(s) or s3 address; give one of these.")


def _expand_path(path: Path, source: str) -> Iterator[MediaRef]:
    try:
        if path.is_dir():
            return iter([_media_of(file, file.relative_to(path).as_posix()) for file in _files_below(path)])
        if path.is_file():
            return iter([_media_of(path, source)])
    except PermissionError as exc:
        raise ForbiddenSourceError(f"{exc.filename} may not be read; change its permissions.") from exc
    raise SourceNotFoundError(f"There is no file or folder {source}; check the path.")


def _media_of(path: Path, media_id: str) -> MediaRef:
    try:
        etag = file_etag(path.stat())
    except FileNotFoundError:  # It went while we were looking: its failure is told when it is read.
        etag = None
    return MediaRef(media_id, path.resolve().as_uri(), etag)


def _refuse(error: OSError) -> None:
    raise error


def _files_below(folder: Path) -> list[Path]:
    """Return the media of a folder, sorted. Hidden files, and files that are no media by content and name, are left."""
    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            path for name in files if not name.startswith(".") and (path := Path(parent, name)) and _is_media(path)
        ]
    return sorted(found)


def _is_media(path: Path) -> bool:
    if not path.is_file():
        return False
    if path.suffix.lower() in MEDIA_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return looks_like_media(file.read(HEAD_BYTES))
    except FileNotFoundError:  # It went while we were looking.
        return False
    except OSError:  # It may be media: that it cannot be read is told as its failure, and fails nothing else.
        return True


def _expand_s3(source: str, s3: S3Access | None) -> Iterator[MediaRef]:
    bucket, prefix = split_s3_uri(source)
    store = S3Store(s3 or S3Access(), FetchLimits())
    listed = [MediaRef(key, f"s3://{bucket}/{key}", etag) for key, etag in store.list_objects(bucket, prefix)]
    exact = [media for media in listed if media.media_id == prefix]
    folder = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    below = exact or [media for media in listed if media.media_id.startswith(folder)]
    if not below:
        raise SourceNotFoundError(f"There is no object {source} and none below it; check bucket and key.")
    return iter(below)
