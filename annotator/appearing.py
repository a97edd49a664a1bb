"""Files and folders that appear under their name when they are whole, or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from annotator.errors import ConfigError, LocalDiskError

_REMEDY: Final = "make room, or name another place"


def check_new(folder: Path) -> None:
    """Check that a folder may be written.

    Raises:
        ConfigError: it holds something.

    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already: name a new or empty folder")


@contextmanager
def appearing_folder(folder: Path, *, remedy: str = _REMEDY) -> Iterator[Path]:
    """Give a scratch folder beside a folder, and put it in the folder's place when all has gone well.

    Args:
        folder: must not be there, or be empty.
        remedy: what is advised where it cannot be written.

    Raises:
        ConfigError: it holds something.
        LocalDiskError: the disk is full, or refuses; nothing is left behind.

    """
    folder = folder.resolve()
    check_new(folder)
    with _translated(folder, remedy):
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
        try:
            part = scratch / folder.name
            part.mkdir()  # unlike a temporary folder it is for whom the umask says
            yield part
            part.replace(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def appearing_file(path: Path, *, remedy: str = _REMEDY) -> Iterator[IO[bytes]]:
    """Give a file that is written beside a file, and put it in the file's place when all has gone well.

    Args:
        path: may be there; whoever reads it meanwhile reads what it was. Its folder is made if missing.
        remedy: what is advised where it cannot be written.

    Raises:
        LocalDiskError: the disk is full, or refuses; nothing is left behind.

    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with _translated(path, remedy):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as file:
                yield file
            part.replace(path)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


@contextmanager
def _translated(path: Path, remedy: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise LocalDiskError(f"{path} cannot be written ({exc.strerror}): {remedy}") from exc
