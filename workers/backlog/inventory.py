"""Keys from an S3 Inventory: a manifest that names files of comma-separated lines, compressed with gzip.

Nothing of it is believed before it is checked: the manifest's form, the size and digest of each file, every line.
"""

import csv
import gzip
import hashlib
import io
import json
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, Final, Protocol
from urllib.parse import unquote_plus

from annotator.errors import InputError, SourceChangedError
from annotator.media.s3 import ListedObject, split_s3_uri
from annotator.store.backlog.listing import Shard
from workers.backlog.batches import LINES_PER_BATCH, Choice, is_media_key
from workers.backlog.lines import LinesSource, ReadLines

MAX_MANIFEST_BYTES: Final = 64 << 20
_MAX_LINE: Final = 64 << 10
_SIZE_DIGITS: Final = 15
_MAX_KEY_BYTES: Final = 1024
_SURELY_SHORT: Final = _MAX_KEY_BYTES // 4  # characters
_QUOTE: Final = '"'
_NEEDED: Final = ("Key", "Size", "ETag")
_REMEDY: Final = "configure the inventory as CSV with the fields Size and ETag"


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object:
        """Take some."""


class ObjectReader(Protocol):
    """Reads objects; ``annotator.media.s3.S3Store`` is one."""

    def fetch(self, bucket: str, key: str, *, etag: str | None, sink: Sink) -> None:
        """Read an object into a sink, which may refuse."""


@dataclass(frozen=True, slots=True)
class InventoryFile:
    """A file of an inventory.

    Attributes:
        key: where it lies in the inventory's bucket.
        size_bytes: its length.
        md5: of its bytes, hexadecimal.

    """

    key: str
    size_bytes: int
    md5: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an inventory says of itself.

    Attributes:
        digest: sha256 of the manifest, which tells inventories apart.
        columns: of each line.
        files: in their order.

    """

    digest: str
    columns: tuple[str, ...]
    files: tuple[InventoryFile, ...]


def read_manifest(reader: ObjectReader, uri: str, *, source_bucket: str) -> Manifest:
    """Read and check a manifest.

    Args:
        reader: the server.
        uri: ``s3://BUCKET/…/manifest.json``.
        source_bucket: the bucket that the inventory must be of.

    Raises:
        InputError: it is no manifest, of another bucket, or in a form that is not read.
        SourceNotFoundError: no such object.
        SourceUnavailableError: the server does not answer.

    """
    bucket, key = split_s3_uri(uri)
    sink = _Bounded(MAX_MANIFEST_BYTES, uri)
    reader.fetch(bucket, key, etag=None, sink=sink)
    whole = sink.value
    try:
        parsed = json.loads(whole)
    except ValueError as exc:
        raise InputError(f"{uri} is no manifest of an inventory: it is no JSON; give …/manifest.json") from exc
    if not isinstance(parsed, dict):
        raise InputError(f"{uri} is no manifest of an inventory; give …/manifest.json")
    return _check_manifest(parsed, uri, source_bucket, hashlib.sha256(whole).hexdigest())


def _check_manifest(parsed: Mapping[str, Any], uri: str, source_bucket: str, digest: str) -> Manifest:
    file_format, schema, files = (parsed.get(name) for name in ("fileFormat", "fileSchema", "files"))
    if file_format != "CSV":
        raise InputError(f"{uri} is an inventory in the format {file_format}, which is not read; {_REMEDY}")
    if not isinstance(schema, str) or not isinstance(files, list) or not files:
        raise InputError(f"{uri} names no fileSchema or no files; give the manifest.json of an S3 Inventory")
    columns = tuple(name.strip() for name in schema.split(","))
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise InputError(f"{uri} is an inventory without the fields {', '.join(missing)}; {_REMEDY}")
    if parsed.get("sourceBucket") != source_bucket:
        raise InputError(f"{uri} is an inventory of the bucket {parsed.get('sourceBucket')}, not of {source_bucket}")
    checked = {one.key: one for one in (_check_file(said, uri) for said in files)}
    if len(checked) < len(files):
        raise InputError(f"{uri} names a file twice; let the inventory be made anew")
    return Manifest(digest, columns, tuple(checked.values()))


def _check_file(said: object, uri: str) -> InventoryFile:
    if isinstance(said, dict):
        key, size_bytes, md5 = said.get("key"), said.get("size"), said.get("MD5checksum")
        if isinstance(key, str) and isinstance(size_bytes, int) and isinstance(md5, str) and key and size_bytes >= 0:
            return InventoryFile(key, size_bytes, md5.lower())
    raise InputError(f"{uri} has a file without key, size and MD5checksum; let the inventory be made anew")


class InventorySource(LinesSource[list[str]]):
    """The lines of an inventory. Each file is a shard, whose cursor is the number of its last line."""

    def __init__(self, reader: ObjectReader, bucket: str, manifest: Manifest, choice: Choice) -> None:
        """Read nothing yet.

        Args:
            reader: the server.
            bucket: where the files lie.
            manifest: which files.
            choice: which keys are wanted.

        """
        super().__init__(lines_per_batch=LINES_PER_BATCH)
        self._reader = reader
        self._bucket = bucket
        self._files = {one.key: one for one in manifest.files}
        self._lines = _Lines(manifest.columns, choice)

    @contextmanager
    def reading(self, shard: Shard) -> Iterator[ReadLines[list[str]]]:
        """Fetch and check a whole file, and read its lines.

        Raises:
            InputError: a line is no line of an inventory.
            SourceChangedError: the file is not the one of the manifest.

        """
        file = self._files[shard.start_key]
        with tempfile.TemporaryFile() as fetched:
            self._fetch(file, fetched)
            fetched.seek(0)
            objects_of = partial(self._lines.objects, file_key=file.key)
            yield ReadLines(_read_lines(fetched, file.key), objects_of, counts_left_out=True)

    def _fetch(self, file: InventoryFile, into: IO[bytes]) -> None:
        sink = _Digesting(into, file)
        self._reader.fetch(self._bucket, file.key, etag=None, sink=sink)
        sink.check()


class _Lines:
    """Turns lines into objects."""

    def __init__(self, columns: Sequence[str], choice: Choice) -> None:
        self._width = len(columns)
        self._key, self._size, self._etag = (columns.index(name) for name in _NEEDED)
        # In an inventory of all versions, only the newest ones lie in the bucket.
        self._flags = [
            (columns.index(name), value)
            for name, value in (("IsLatest", "true"), ("IsDeleteMarker", "false"))
            if name in columns
        ]
        self._choice = choice

    def objects(self, rows: Iterable[list[str]], file_key: str) -> list[ListedObject]:
        """Return the wanted objects in the order of keys, each key once."""
        prefix, choice = self._choice.prefix, None if self._choice.takes_all else self._choice
        found = {}
        for row in rows:  # a hundred thousand a second: what is nearly always so is looked at without a call
            if len(row) != self._width:
                raise InputError(f"{file_key} has a line of {len(row)} fields, not {self._width}; make it anew")
            if self._flags and any(row[place].lower() != value for place, value in self._flags):
                continue
            key, size = row[self._key], row[self._size]
            if "%" in key or "+" in key or not 0 < len(key) <= _SURELY_SHORT:
                key = _decode(key, file_key)
            if not key.startswith(prefix) or not is_media_key(key) or (choice is not None and not choice(key)):
                continue
            if not (size.isdigit() and size.isascii() and len(size) <= _SIZE_DIGITS):
                raise InputError(f"{file_key} has an object of size {size[:20]!r}; let the inventory be made anew")
            found[key] = ListedObject(key, f'"{row[self._etag].strip(_QUOTE)}"', int(size))
        return [found[key] for key in sorted(found)]


def _decode(quoted: str, file_key: str) -> str:
    try:
        key = unquote_plus(quoted, errors="strict") if "%" in quoted or "+" in quoted else quoted
        length = len(key.encode())
    except UnicodeError as exc:
        raise InputError(f"{file_key} has a key that is no UTF-8; let the inventory be made anew") from exc
    if not 0 < length <= _MAX_KEY_BYTES:
        raise InputError(f"{file_key} has a key of {length} bytes; let the inventory be made anew")
    return key


def _read_lines(file: IO[bytes], file_key: str) -> Iterator[list[str]]:
    """Yield the lines of a compressed file; a line that is too long is refused before it is held in memory."""
    try:
        with gzip.open(file) as packed:
            yield from csv.reader(_bounded_lines(packed, file_key), strict=True)
    except (OSError, EOFError, zlib.error, csv.Error, UnicodeDecodeError) as exc:
        raise InputError(
            f"{file_key} is no gzip file of comma-separated lines; let the inventory be made anew"
        ) from exc


def _bounded_lines(packed: gzip.GzipFile, file_key: str) -> Iterator[str]:
    while line := packed.readline(_MAX_LINE):
        if len(line) == _MAX_LINE:
            raise InputError(f"{file_key} has a line of more than {_MAX_LINE} bytes; let the inventory be made anew")
        yield line.decode()


class _Bounded:
    """Holds an object in memory, up to a length."""

    def __init__(self, max_bytes: int, uri: str) -> None:
        self._buffer = io.BytesIO()
        self._max_bytes = max_bytes
        self._uri = uri

    def write(self, data: bytes, /) -> None:
        if self._buffer.tell() + len(data) > self._max_bytes:
            raise InputError(f"{self._uri} is longer than any manifest ({self._max_bytes} bytes)")
        self._buffer.write(data)

    @property
    def value(self) -> bytes:
        return self._buffer.getvalue()


class _Digesting:
    """Writes on what it is given, and checks it against what the manifest says."""

    def __init__(self, into: IO[bytes], file: InventoryFile) -> None:
        self._into = into
        self._file = file
        self._left = file.size_bytes
        self._md5 = hashlib.md5(usedforsecurity=False)

    def write(self, data: bytes, /) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._refuse()
        self._md5.update(data)
        self._into.write(data)

    def check(self) -> None:
        """Refuse what is too short or has another digest."""
        if self._left != 0 or self._md5.hexdigest() != self._file.md5:
            self._refuse()

    def _refuse(self) -> None:
        raise SourceChangedError(
            f"{self._file.key} is not the file that the manifest describes; take a newer inventory"
        )
