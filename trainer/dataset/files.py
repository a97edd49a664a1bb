"""Files that are whole or not there, and folders that one process works in at a time."""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from annotator.appearing import appearing_file
from annotator.errors import BusyError, LocalDiskError

_REMEDY: Final = "make room or change its rights, and start again; it goes on where it stopped"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a kill leaves the old one or the new one, never a part.

    Raises:
        LocalDiskError: the disk is full or refuses; the old file stays.

    """
    with appearing_file(path, remedy=_REMEDY) as file:
        file.write(content)


@contextmanager
def only_worker(folder: Path) -> Iterator[None]:
    """Keep other processes from working in a folder, which is made where it is missing; who dies lets go of it.

    Raises:
        BusyError: another process works there.
        LocalDiskError: the folder cannot be written.

    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a")
    except OSError as error:
        raise LocalDiskError(
            f"{folder} cannot be written ({error.strerror}): make room or change its rights"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BusyError(f"another process works in {folder}: wait until it has ended") from error
        yield


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Say in one line that a disk is full; what was done up to there stays, and the next run goes on from it.

    Raises:
        LocalDiskError: it is.

    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise LocalDiskError(_full(folder)) from error
    except sqlite3.OperationalError as error:
        if "full" not in str(error):
            raise
        raise LocalDiskError(_full(folder)) from error


def _full(folder: Path) -> str:
    free = os.statvfs(folder)
    free_mib = free.f_bavail * free.f_frsize // 1024**2
    return f"the disk of {folder} is full ({free_mib} MiB free): make room and start again, it goes on where it stopped"
