"""Exports on this machine: a file, or a folder with files of each media, that appears only when it is whole."""

import contextlib
import csv
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from annotator.errors import ConfigError, LocalDiskError
from annotator.export.paths import alternatives, path_of
from annotator.export.records import ExportedMedia
from annotator.export.rows import safe_cells

INDEX: Final = "index.csv"
_INDEX_COLUMNS: Final = ("file", "media_id", "media_uri", "identity")


def write_file(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file, all of it or nothing: under another name beside it first, then under its own.

    A pipe or a device is written to as it is.

    Raises:
        LocalDiskError: it cannot be written there.

    """
    path = path.resolve()  # of a link, what it leads to is replaced
    with _translated(path):
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            with path.open("wb") as file:
                file.writelines(pieces)
            return
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                file.writelines(pieces)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def write_folder(folder: Path, files: Iterable[tuple[ExportedMedia, str, str, str]]) -> int:
    """Write files of media into a new folder, which appears when all are there; ``index.csv`` says whose they are.

    Args:
        folder: must not be there, or be empty.
        files: of each media: itself, the name of a person where the file is about one, suffix, text.

    Returns:
        How many files.

    Raises:
        ConfigError: the folder holds something.
        LocalDiskError: it cannot be written there.

    """
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already: --output must be a new or empty folder")
    with _translated(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
        try:
            count = _fill(part, files)
            part.chmod(0o777 & ~_umask())
            part.replace(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return count


def _fill(folder: Path, files: Iterable[tuple[ExportedMedia, str, str, str]]) -> int:
    count = 0
    with (folder / INDEX).open("x", encoding="utf-8", newline="") as index:
        writer = csv.writer(index, lineterminator="\n")
        writer.writerow(_INDEX_COLUMNS)
        for media, name, suffix, text in files:
            path = _write_new(folder, alternatives(path_of(media.uri), name, suffix, media.media_id), text)
            writer.writerow(safe_cells([str(path), media.media_id, media.uri, name]))
            count += 1
    return count


def _write_new(folder: Path, names: Iterator[PurePosixPath], text: str) -> PurePosixPath:
    """Write a file under the first name that nobody has: file systems may take two names for one."""
    for name in names:
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="") as file:
                file.write(text)
        except FileExistsError:
            continue
        return name
    raise FileExistsError(17, "too many media have one name", str(folder))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise LocalDiskError(f"{path} cannot be written ({exc.strerror}): give --output another path") from exc
