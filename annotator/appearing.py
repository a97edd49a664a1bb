"""Files and folders that appear under their name when they are whole, or not at all."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from annotator.errors import ConfigError, LocalDiskError

PART: Final = ".part"
"""In the names of what is not whole yet, which begin with a dot."""

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
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=PART, dir=folder.parent))
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
    with appearing_path(path, remedy=remedy) as part, part.open("wb") as file:
        yield file


@contextmanager
def appearing_path(path: Path, *, remedy: str = _REMEDY) -> Iterator[Path]:
    """Give a path beside a file, with the same endings, and put what is written there in the file's place.

    For programs and libraries that write by name; whoever has bytes takes :func:`appearing_file`. Any number of threads
    and processes may write the same file: the last one that is done wins.

    Args:
        path: may be there; whoever reads it meanwhile reads what it was. Its folder is made if missing.
        remedy: what is advised where it cannot be written.

    Raises:
        LocalDiskError: the disk is full, or refuses; nothing is left behind.

    """
    endings = "".join(path.suffixes[-2:])  # Keras insists on «.weights.h5»
    part = path.with_name(f".{secrets.token_hex(8)}{PART}{endings}")
    with _translated(path, remedy):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            part.replace(path)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    """Take away what programs that were killed have left half written in a folder where nobody writes now.

    Raises:
        LocalDiskError: the folder cannot be changed.

    """
    try:
        for path in [*folder.glob(f".*{PART}"), *folder.glob(f".*{PART}.*")]:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise LocalDiskError(f"{folder} cannot be changed ({error.strerror or error}): check its rights") from error


@contextmanager
def _translated(path: Path, remedy: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise LocalDiskError(f"{path} cannot be written ({exc.strerror or exc}): {remedy}") from exc
