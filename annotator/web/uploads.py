"""What visitors have uploaded: a folder of files named by their bytes, each of them a picture or a video."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from annotator.errors import InputError, LocalDiskError
from annotator.media.reader import BoundedSink
from annotator.media.sniff import sniff
from annotator.store.web.jobs import Wanted

# How a media is called by what it is, so that others know it, too.
_ENDINGS: Final = {
    "GIF": ".gif",
    "JPEG": ".jpg",
    "PNG": ".png",
    "APNG": ".apng",
    "WebP": ".webp",
    "animated WebP": ".webp",
    "mp4 or mov": ".mp4",
    "webm or mkv": ".webm",
}
_PART: Final = ".part"
_ABANDONED_AFTER_S: Final = 24 * 3600
# The database, the cache and the log may be on the same disk: visitors may not fill it.
RESERVE_BYTES: Final = 1024**3
_LOCK: Final = ".keeping"
_IN_THIS_PROCESS: Final = threading.Lock()
_LONGEST_NAME: Final = 120
_NO_NAME: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Uploads:
    """The folder.

    Attributes:
        folder: is made when something comes.
        max_bytes: of one file.
        reserve_bytes: so much of the disk stays free.
        is_kept: False for files without a name: whatever ends this program, nobody finds them.

    """

    folder: Path
    max_bytes: int
    reserve_bytes: int = RESERVE_BYTES
    is_kept: bool = True

    def begin(self, name: str) -> "Incoming":
        """Begin to take a file.

        Args:
            name: as whoever sends it calls it; it is told and never used as a path.

        Raises:
            LocalDiskError: the folder cannot be written, or the disk is almost full.

        """
        with _written(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            is_full = shutil.disk_usage(self.folder).free < self.reserve_bytes + self.max_bytes
        if is_full:
            raise LocalDiskError("The disk of this server is almost full, and takes no uploads: an admin makes room.")
        with _written(self.folder):
            handle, path = tempfile.mkstemp(prefix=".", suffix=_PART, dir=self.folder)
            if not self.is_kept:  # nothing is in it yet
                Path(path).unlink()
        return Incoming(Path(path), plain_name(name), handle, self.max_bytes)

    @contextlib.contextmanager
    def keeping(self) -> Iterator[None]:
        """Let nobody else keep files until the block ends, nor another process that has the same folder.

        It lasts until the jobs of what was kept are there: nobody else relies on a file that may be taken back.

        Raises:
            LocalDiskError: the folder cannot be written.

        """
        with _IN_THIS_PROCESS, contextlib.ExitStack() as stack:
            with _written(self.folder):
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                # A file: network file systems lock what is open for writing. It is free again when the process ends.
                handle = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
                stack.callback(os.close, handle)
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def remove_abandoned(self) -> None:
        """Remove what a program that was killed had begun to take, a day ago or longer."""
        before_s = time.time() - _ABANDONED_AFTER_S
        for part in self.folder.glob(f".*{_PART}"):
            with contextlib.suppress(OSError):
                if part.stat().st_mtime < before_s:
                    part.unlink()


class Incoming:
    """A file that comes. It is nobody's until it is kept, and gone when its block is left without that."""

    def __init__(self, path: Path, name: str, handle: int, max_bytes: int) -> None:
        """Take a new file that is open for writing."""
        self._path = path
        self._file = os.fdopen(handle, "w+b")
        self._sink = BoundedSink(self._file, name=name, max_bytes=max_bytes)
        self._added: Path | None = None
        self.name = name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)

    @property
    def size_bytes(self) -> int:
        """How much has come."""
        return self._sink.size_bytes

    def write(self, data: bytes) -> None:
        """Take some bytes.

        Raises:
            MediaTooLargeError: there are too many.
            LocalDiskError: the disk takes no more.

        """
        self._sink.write(data)

    def close(self) -> Path:
        """Return where all of it is, until its block is left.

        Raises:
            LocalDiskError: it cannot be written.

        """
        with _written(self._path):
            self._file.close()
        return self._path

    def read(self) -> bytes:
        """Return all bytes of a file that is open, with a name or without."""
        self._file.seek(0)
        return self._file.read()

    def find_fault(self) -> tuple[str, str] | None:
        """Return why it is no media, as a short reason and a sentence; None where it is one.

        Raises:
            LocalDiskError: it cannot be written.

        """
        self.close()
        try:
            self._ending()
        except InputError as error:
            return error.reason, str(error)
        return None

    def keep(self) -> Wanted:
        """Look what it is, and keep it under the name of its bytes; what is no media is told, and not kept.

        What is kept is on the disk, whatever becomes of the machine then.

        Raises:
            LocalDiskError: it cannot be written.

        """
        fault = self.find_fault()
        if fault is not None:
            return Wanted("", self.name, failure=fault)
        target = self._path.with_name(self._sink.sha256 + self._ending())
        with _written(target):
            # The same bytes are there already: a file that is put in their place would be another version of them.
            if not self._is_at(target):
                self._added = None if target.exists() else target
                self._path.chmod(0o640)
                _write_through(self._path)
                self._path.replace(target)
                _write_through(target.parent)
        return Wanted(target.resolve().as_uri(), self.name)

    def take_back(self) -> None:
        """Remove what was kept, where it was not there before."""
        if self._added is not None:
            self._added.unlink(missing_ok=True)

    def _ending(self) -> str:
        with self._path.open("rb") as file:
            return _ENDINGS[sniff(file, name=self.name).name]

    def _is_at(self, target: Path) -> bool:
        """Say whether all bytes are there; a machine that went down may have left fewer of them, or others."""
        if not target.is_file() or target.stat().st_size != self.size_bytes:
            return False
        with target.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self._sink.sha256


def plain_name(name: str) -> str:
    r"""Return the last part of a path of any system, without what is no letter of a name, and not too long.

    >>> plain_name("C:\\clips\\a b.gif"), plain_name("../../etc/passwd"), plain_name("clips/")
    ('a b.gif', 'passwd', 'upload')
    """
    last = _NO_NAME.sub("", re.split(r"[/\\]", name)[-1]).strip()
    return last[-_LONGEST_NAME:] or "upload"


def _write_through(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise LocalDiskError(f"{path} cannot be written ({exc.strerror}): make room, or change its rights.") from exc
