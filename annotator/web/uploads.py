"""What visitors have uploaded: a folder of files named by their bytes, each of them a picture or a video."""

import contextlib
import os
import re
import tempfile
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
_LONGEST_NAME: Final = 120
_NO_NAME: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Uploads:
    """The folder.

    Attributes:
        folder: is made when something comes.
        max_bytes: of one file.

    """

    folder: Path
    max_bytes: int

    def begin(self, name: str) -> "Incoming":
        """Begin to take a file.

        Args:
            name: as whoever sends it calls it; it is told and never used as a path.

        Raises:
            LocalDiskError: the folder cannot be written.

        """
        with _written(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, path = tempfile.mkstemp(prefix=".", suffix=_PART, dir=self.folder)
        return Incoming(Path(path), plain_name(name), handle, self.max_bytes)

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
        self._file = os.fdopen(handle, "wb")
        self._sink = BoundedSink(self._file, name=name, max_bytes=max_bytes)
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

    def keep(self) -> Wanted:
        """Look what it is, and keep it under the name of its bytes; what is no media is told, and not kept.

        Raises:
            LocalDiskError: it cannot be written.

        """
        self.close()
        try:
            with self._path.open("rb") as file:
                ending = _ENDINGS[sniff(file, name=self.name).name]
        except InputError as error:
            return Wanted("", self.name, failure=(error.reason, str(error)))
        target = self._path.with_name(self._sink.sha256 + ending)
        with _written(target):
            # The same bytes are there already: a file that is put in their place would be another version of them.
            if not target.exists():
                self._path.chmod(0o640)
                self._path.replace(target)
        return Wanted(target.resolve().as_uri(), self.name)


def plain_name(name: str) -> str:
    r"""Return the last part of a path of any system, without what is no letter of a name, and not too long.

    >>> plain_name("C:\\clips\\a b.gif"), plain_name("../../etc/passwd"), plain_name("clips/")
    ('a b.gif', 'passwd', 'upload')
    """
    last = _NO_NAME.sub("", re.split(r"[/\\]", name)[-1]).strip()
    return last[-_LONGEST_NAME:] or "upload"


@contextlib.contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise LocalDiskError(f"{path} cannot be written ({exc.strerror}): make room, or change its rights.") from exc
