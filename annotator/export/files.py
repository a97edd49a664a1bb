"""Exports on this machine: a file, or a folder with files of each media, that appears only when it is whole."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from annotator.appearing import appearing_file, appearing_folder
from annotator.errors import LocalDiskError
from annotator.export.paths import alternatives, path_of
from annotator.export.records import ExportedMedia
from annotator.export.rows import safe_cells

INDEX: Final = "index.csv"
_REMEDY: Final = "give --output another path"
_INDEX_COLUMNS: Final = ("file", "media_id", "media_uri", "identity")


def write_file(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file, all of it or nothing. A pipe or a device is written to as it is.

    Raises:
        LocalDiskError: it cannot be written there.

    """
    path = path.resolve()  # of a link, what it leads to is replaced
    if path.exists() and not path.is_file():
        _write_through(path, pieces)
        return
    with appearing_file(path, remedy=_REMEDY) as file:
        file.writelines(pieces)


def _write_through(path: Path, pieces: Iterable[bytes]) -> None:
    try:
        with path.open("wb") as file:
            file.writelines(pieces)
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise LocalDiskError(f"{path} cannot be written ({exc.strerror}): {_REMEDY}") from exc


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
    with appearing_folder(folder, remedy=_REMEDY) as part:
        return _fill(part, files)


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
