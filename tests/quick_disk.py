"""A folder in memory for the databases of tests, where the machine has one.

Each test copies a template database of hundreds of small files. On ext4 that takes 0.1 to 0.5 s of processor time, more
the more files were deleted lately; in memory it takes 0.03 s.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

_MEMORY: Final = Path("/dev/shm")  # noqa: S108  (not for a file that somebody could have put there before)
_PREFIX: Final = "annotator-tests-"
# What the databases of two test processes take at most (a million media: 1 GB), and as much again for everybody else.
_MIN_FREE_BYTES: Final = 4 << 30


@contextmanager
def quick_folder(otherwise: Path) -> Iterator[Path]:
    """Yield a folder in memory that is removed at the end, or another folder where there is too little memory."""
    if not _MEMORY.is_dir() or shutil.disk_usage(_MEMORY).free < _MIN_FREE_BYTES:
        yield otherwise
        return
    with ExitStack() as stack:
        with _locked(_MEMORY, fcntl.LOCK_EX):  # a new folder has no lock yet: nobody may take it for a leftover
            _remove_leftovers()
            name = stack.enter_context(tempfile.TemporaryDirectory(dir=_MEMORY, prefix=_PREFIX))
            stack.enter_context(_locked(Path(name), fcntl.LOCK_SH))
        yield Path(name)


def _remove_leftovers() -> None:
    """Remove what killed test processes have left: nobody holds the lock of their folder any more."""
    for folder in _MEMORY.glob(f"{_PREFIX}*"):
        with suppress(OSError), _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(folder)


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
