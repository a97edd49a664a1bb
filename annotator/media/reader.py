"""Gets a media to where a decoder can open it: a file, checked against its version mark, with its sha256."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO
from urllib.parse import unquote_to_bytes, urlsplit

from annotator.errors import (
    ForbiddenSourceError,
    MediaTooLargeError,
    SourceChangedError,
    SourceNotFoundError,
    SourceUnavailableError,
    UnsupportedMediaError,
)
from annotator.media.http import fetch_http
from annotator.media.limits import DecodeLimits, FetchLimits, S3Access
from annotator.media.local import LocalMedia
from annotator.media.machine import on_this_disk, temporary_file, within_its_limits
from annotator.media.s3 import S3Store, split_s3_uri
from annotator.types import MediaRef

HASH_BYTES = 1 << 20


class BoundedSink:
    """Writes to a file, counts and hashes.

    Args:
        file: where the bytes go.
        name: what messages call the media.
        max_bytes: how many may come.

    """

    def __init__(self, file: IO[bytes], *, name: str, max_bytes: int) -> None:
        """Begin."""
        self._file = file
        self._name = name
        self._max_bytes = max_bytes
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes, /) -> None:
        """Take some bytes.

        Raises:
            MediaTooLargeError: there are too many; nothing more is written.
            LocalDiskError: the disk takes no more.

        """
        self.size_bytes += len(data)
        if self.size_bytes > self._max_bytes:
            raise MediaTooLargeError(
                f"{self._name} has more than {self._max_bytes} bytes; give a smaller one or raise the limit."
            )
        self._digest.update(data)
        with on_this_disk():
            self._file.write(data)

    def flush(self) -> None:
        """Let readers of the file see all of it.

        Raises:
            LocalDiskError: the disk takes no more.

        """
        with on_this_disk():
            self._file.flush()

    @property
    def sha256(self) -> str:
        """Digest of what has come, in hexadecimal."""
        return self._digest.hexdigest()


class MediaReader:
    """Opens media of all sources. Safe to use from several threads.

    Args:
        fetch: limits for http(s) and S3.
        decode: limits of decoding; kept for those who decode what is opened.
        s3: how S3 is reached; None for boto3's own chain.

    """

    def __init__(self, *, fetch: FetchLimits, decode: DecodeLimits, s3: S3Access | None = None) -> None:
        """Remember how to read; nothing is connected."""
        self.fetch = fetch
        self.decode = decode
        self._store = S3Store(s3 or S3Access(), fetch)

    @contextlib.contextmanager
    def open(self, media: MediaRef, *, time_limit_s: Callable[[int], float] | None = None) -> Iterator[LocalMedia]:
        """Bring a media to a file.

        Args:
            media: which one.
            time_limit_s: how long fetching it may take, in seconds, by its length in bytes (0 where a trusted source
                tells none), if that is less than the limits allow.

        Yields:
            The media in a file. A local one is read in place; one that was fetched has a path in this process alone,
            and is gone afterwards, always.

        Raises:
            SourceNotFoundError: it is not there.
            ForbiddenSourceError: it may not be read.
            SourceUnavailableError: the transfer failed; trying again may help.
            SourceChangedError: it is not the version that ``media.etag`` names.
            MediaTooLargeError: it is longer than allowed.
            UnsupportedMediaError: an address of another kind.
            LocalDiskError: there is no room for what is fetched.
            MachineLimitError: no file can be opened.

        """
        scheme = scheme_of(media.uri)
        if scheme == "file":
            yield _local(media)
        elif scheme in {"http", "https", "s3"}:
            with self._fetched(media, scheme, time_limit_s) as local:
                yield local
        else:
            raise UnsupportedMediaError(f"{media.uri} is no file, http(s) or s3 address; give one of these.")

    @contextlib.contextmanager
    def open_path(self, media: MediaRef) -> Iterator[Path]:
        """Bring a media to a file as :meth:`open` does, for those who ask for no digest: a local one is not read.

        Yields:
            The path of the file; of one that was fetched it is gone afterwards.

        Raises:
            InputError: as of :meth:`open`.
            TransientError: as of :meth:`open`.

        """
        if scheme_of(media.uri) == "file":
            with _opened(media) as (path, _):
                yield path
        else:
            with self.open(media) as local:
                yield local.path

    @contextlib.contextmanager
    def _fetched(
        self, media: MediaRef, scheme: str, time_limit_s: Callable[[int], float] | None
    ) -> Iterator[LocalMedia]:
        with temporary_file(self.fetch.temp_dir) as file:
            sink = BoundedSink(file, name=media.media_id, max_bytes=self.fetch.max_bytes)
            if scheme == "s3":
                bucket, key = split_s3_uri(media.uri)
                self._store.fetch(bucket, key, etag=media.etag, sink=sink, time_limit_s=time_limit_s)
            else:
                limit_s = self.fetch.timeout_s if time_limit_s is None else min(self.fetch.timeout_s, time_limit_s(0))
                fetch_http(media.uri, etag=media.etag, sink=sink, limits=replace(self.fetch, timeout_s=limit_s))
            sink.flush()
            yield LocalMedia(media, Path(f"/proc/self/fd/{file.fileno()}"), sink.size_bytes, sink.sha256)


def file_etag(status: os.stat_result) -> str:
    """Return the version mark of a local file: its time of change and its length."""
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"


def scheme_of(uri: str) -> str:
    """Return the scheme of an address in lower case, ``""`` without any.

    Raises:
        UnsupportedMediaError: it is written wrongly.

    """
    try:
        return urlsplit(uri).scheme
    except ValueError as exc:
        raise UnsupportedMediaError(f"{uri} is no address ({exc}); write it rightly.") from exc


def path_of(uri: str) -> Path:
    """Return the path of a ``file://`` address; its bytes need not be UTF-8.

    Raises:
        ForbiddenSourceError: it names another host.

    """
    parts = urlsplit(uri)
    if parts.netloc not in {"", "localhost"}:
        raise ForbiddenSourceError(f"{uri} names a file of another machine; give a path of this one.")
    return Path(os.fsdecode(unquote_to_bytes(parts.path)))


def _local(media: MediaRef) -> LocalMedia:
    digest = hashlib.sha256()
    with _opened(media) as (path, file):
        size_bytes = os.fstat(file.fileno()).st_size
        while data := file.read(HASH_BYTES):
            digest.update(data)
    return LocalMedia(media, path, size_bytes, digest.hexdigest())


@contextlib.contextmanager
def _opened(media: MediaRef) -> Iterator[tuple[Path, IO[bytes]]]:
    """Open a local file, if it is the version that is wanted."""
    path = path_of(media.uri)
    try:
        if not path.is_file():  # A pipe or device would keep us waiting.
            raise SourceNotFoundError(f"There is no file {path}; check the path.")
        with within_its_limits():
            file = path.open("rb")
        with file:
            if media.etag is not None and media.etag != file_etag(os.fstat(file.fileno())):
                raise SourceChangedError(f"{path} has changed since it was registered; register it anew.")
            yield path, file
    except PermissionError as exc:
        raise ForbiddenSourceError(f"{path} may not be read; change its permissions.") from exc
    except OSError as exc:
        raise SourceUnavailableError(f"{path} cannot be read ({exc.strerror}); try again.") from exc
