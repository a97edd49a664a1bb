"""Folders that appear under their name when they are whole."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from annotator.errors import ConfigError, LocalDiskError


def check_new(folder: Path) -> None:
    """Check that a folder may be written.

    Raises:
        ConfigError: it holds something.

    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already: name another folder, or remove it")


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """Give a scratch folder beside a folder, and put it in the folder's place when all has gone well.

    Args:
        folder: must not be there, or be empty.

    Raises:
        ConfigError: it holds something.
        LocalDiskError: the disk is full, or refuses; nothing is left behind.

    """
    check_new(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise LocalDiskError(f"{folder.parent} cannot be written to: {error.strerror}") from error
    try:
        yield part
        part.chmod(0o755)  # a temporary folder is made for its owner only
        part.rename(folder)
    except OSError as error:
        raise LocalDiskError(f"{folder} cannot be written: {error.strerror}; make room, or name another") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
