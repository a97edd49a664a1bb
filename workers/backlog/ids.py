"""Keys from a list of the user's: a file, or standard input."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Final, Protocol

from annotator.errors import ConfigError, InputError
from annotator.media.s3 import ListedObject
from annotator.store.backlog.listing import Shard
from workers.backlog.batches import Choice, is_media_key
from workers.backlog.lines import LinesSource, ReadLines

_LINES_PER_BATCH: Final = 1000
_ASKED_AT_ONCE: Final = 16
_MAX_LINE: Final = 8 << 10
_MAX_TOLD: Final = 1000


class ObjectFinder(Protocol):
    """Says what an object is; ``annotator.media.s3.S3Store`` is one."""

    def find_object(self, bucket: str, key: str) -> ListedObject | None:
        """Return an object as a listing would tell it, None where there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class IdList:
    """A list that can be read again from its beginning.

    Attributes:
        file: its bytes.
        digest: sha256, which tells lists apart.

    """

    file: IO[bytes]
    digest: str


@contextlib.contextmanager
def open_ids(path: str, stdin: IO[bytes]) -> Iterator[IdList]:
    """Open a list; what cannot be read twice (standard input, a pipe) is kept in a temporary file.

    Args:
        path: a file, or ``-``.
        stdin: what ``-`` means.

    Raises:
        ConfigError: the file cannot be read.

    """
    if path != "-" and not os.access(path, os.R_OK):
        raise ConfigError(f"the list {path} cannot be read; name a file with one key a line, or - for standard input")
    with contextlib.ExitStack() as stack:
        file = stdin if path == "-" else stack.enter_context(Path(path).open("rb"))
        if path == "-" or not Path(path).is_file():
            kept = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(file, kept)
            kept.seek(0)
            file = kept
        yield IdList(file, hashlib.file_digest(file, "sha256").hexdigest())  # type: ignore[arg-type]  # any file will do


class IdSource(LinesSource[str]):
    """The objects of a list. It is one shard, whose cursor is the number of its last line."""

    def __init__(self, finder: ObjectFinder, bucket: str, ids: IdList, choice: Choice) -> None:
        """Ask for nothing yet.

        Args:
            finder: the bucket's server.
            bucket: where the objects lie.
            ids: keys or ``s3://`` addresses, one a line; empty lines and those that begin with # are skipped.
            choice: which keys are wanted.

        """
        super().__init__(lines_per_batch=_LINES_PER_BATCH)
        self._finder = finder
        self._bucket = bucket
        self._ids = ids
        self._choice = choice
        self.unknown: list[str] = []
        self.unknown_count = 0
        self._has_looked = False  # at any object, with these credentials

    @contextlib.contextmanager
    def reading(self, shard: Shard) -> Iterator[ReadLines[str]]:
        """Read the list from its beginning.

        Raises:
            InputError: a line is no text, or too long; or the first objects may not be looked at, none of them.

        """
        self._has_looked = self._has_looked or bool(shard.cursor)  # there is only one shard
        self._ids.file.seek(0)
        with ThreadPoolExecutor(_ASKED_AT_ONCE, thread_name_prefix="finder") as pool:
            # Lines that name nothing are told by themselves, see `unknown`.
            yield ReadLines(self._lines(), partial(self._find, pool), counts_left_out=False)

    def _lines(self) -> Iterator[str]:
        number = 0
        while line := self._ids.file.readline(_MAX_LINE):
            number += 1
            if len(line) == _MAX_LINE:
                raise InputError(f"line {number} of the list is longer than any key; give one key a line")
            try:
                yield line.decode().rstrip("\r\n")
            except UnicodeDecodeError as exc:
                raise InputError(f"line {number} of the list is no UTF-8; give one key a line") from exc

    def _find(self, pool: ThreadPoolExecutor, lines: Sequence[str]) -> list[ListedObject]:
        meant = {line: self._key(line) for line in lines if line and not line.startswith("#")}
        keys = sorted({key for key in meant.values() if key is not None})
        found = dict(zip(keys, pool.map(self._answer, keys), strict=True))
        refused = [one for one in found.values() if isinstance(one, InputError)]
        self._has_looked = self._has_looked or len(refused) < len(found)
        if refused and not self._has_looked:  # nothing may be looked at: no key is at fault
            raise refused[0]
        objects = {key: one for key, one in found.items() if isinstance(one, ListedObject)}
        for line, key in meant.items():
            if key not in objects:
                self._tell_unknown(line)
        return list(objects.values())

    def _answer(self, key: str) -> ListedObject | InputError | None:
        try:
            return self._finder.find_object(self._bucket, key)
        except InputError as error:
            return error

    def _key(self, line: str) -> str | None:
        """Return the key that a line means, None where it cannot be one of this backlog."""
        key = line.removeprefix(f"s3://{self._bucket}/")
        if key.startswith("s3://") or not key.startswith(self._choice.prefix) or not is_media_key(key):
            return None
        return key if self._choice(key) else None

    def _tell_unknown(self, line: str) -> None:
        self.unknown_count += 1
        if len(self.unknown) < _MAX_TOLD:
            self.unknown.append(line)
