"""Folders without a person: work directories, reports, exports, what was rendered.

What is named after the person goes whole; tables lose the lines that name the person; of SQLite files the rows go; any
other text that has the name goes whole, since it was made and can be made again. A network that was fitted with the
person as a class has the person in its last layer, so the fit goes, too. What cannot be looked into is left, and said.
"""

import contextlib
import csv
import gzip
import json
import lzma
import sqlite3
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from annotator.appearing import appearing_path
from annotator.recognition.photographs import PICTURE_SUFFIXES
from annotator.store.takedowns.name_finder import NameFinder

FITTED: Final = ("model", "logs")
"""Folders of an experiment of the trainer that hold what was fitted."""

_CLASSES: Final = ("labels.csv", "dataset.csv")
_TABLES: Final = (".csv", ".tsv")
_DATABASES: Final = (".db", ".sqlite", ".sqlite3")
_BESIDE_DATABASES: Final = ("-wal", "-shm", "-journal")  # they are SQLite's: without them a database loses what it has
_DIGEST_COLUMN: Final = "sha256"
_OURS: Final = "alembic_version"  # a database of annotations has a takedown of its own
_MAX_TEXT_BYTES: Final = 256 * 1024 * 1024
_LOCKS: Final = (".lock",)


class _UnreadableError(Exception):
    """A file cannot be looked into; the message says why, and may follow «it»."""


@dataclass(slots=True)
class Sweep:
    """What goes, or went, of a folder.

    Attributes:
        files: that go whole: photographs, crops, reports, fits.
        lines: of tables.
        rows: of SQLite files.
        left: files that could not be looked into and stay, each with the reason: paths from the folder on.

    """

    files: int = 0
    lines: int = 0
    rows: int = 0
    left: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return the numbers by name, those that are not 0."""
        found = {"files": self.files, "lines": self.lines, "rows": self.rows}
        return {name: count for name, count in found.items() if count}


def sweep_folder(root: Path, names: Sequence[str], *, kg_mids: Sequence[str] = (), is_dry: bool = False) -> Sweep:
    """Take all that names a person out of a folder and what lies below it; links are not followed.

    It may be killed at any time and called again: databases, which say which photographs are the person's, come first,
    and of each fit the labels that say so come last.

    Args:
        root: the folder.
        names: of the person.
        kg_mids: Knowledge Graph ids of the person.
        is_dry: only count.

    Raises:
        OSError: a file cannot be changed.
        LocalDiskError: a table cannot be written anew; it is what it was.

    """
    sweep, matcher = Sweep(), _Matcher.of(names, kg_mids)
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink()]
    mine = {path for path in files if matcher.is_path(path.relative_to(root))}
    others = [path for path in files if path not in mine and not _is_kept(path)]

    def looked(look: Callable[[Path], int], path: Path) -> int:
        try:
            return look(path)
        except _UnreadableError as error:
            shown = str(path.relative_to(root)).encode(errors="replace").decode()
            sweep.left.append(f"{shown} {error}")
            return 0

    for path in [one for one in others if one.suffix in _DATABASES]:
        sweep.rows += looked(lambda one: _sweep_database(one, matcher, is_dry=is_dry), path)
    # Tables of classes that cannot be read are told of below, as all tables are.
    fitted = {path for one in others if _has_class(one, matcher) for path in _fitted(one.parent)}
    texts = [one for one in others if one.suffix not in {*_TABLES, *_DATABASES} and one not in fitted]
    whole = {*mine, *fitted, *(one for one in texts if looked(matcher.is_in_file, one))}
    for path in sorted(whole):
        sweep.files += 1
        if not is_dry:
            path.unlink(missing_ok=True)
    # The tables of the classes come last of all: without their lines nothing says any more which fits have to go.
    tables = [one for one in others if one.suffix in _TABLES and one not in whole]
    for path in sorted(tables, key=lambda one: one.name in _CLASSES):
        sweep.lines += looked(lambda one: _sweep_table(one, matcher, is_dry=is_dry), path)
    if not is_dry:
        _remove_empty(root, {path.parent for path in whole})
    return sweep


def _is_kept(path: Path) -> bool:
    """Say whether a file is of a program that may be at work: a lock, or what SQLite keeps beside a database."""
    return path.name in _LOCKS or path.name.endswith(
        tuple(f"{kind}{ending}" for kind in _DATABASES for ending in _BESIDE_DATABASES)
    )


@dataclass(frozen=True, slots=True)
class _Matcher:
    """Tells what names the person."""

    finder: NameFinder
    in_bytes: tuple[bytes, ...]

    @classmethod
    def of(cls, names: Sequence[str], kg_mids: Sequence[str]) -> Self:
        several = [name for name in names if len(name.split()) > 1]
        forms = {form for name in several for form in (name, name.replace(" ", "_"), name.replace(" ", "-"))}
        # Arrays of NumPy have letters of four bytes, JSON may have escaped ones.
        spelt = {form.encode(encoding) for form in forms for encoding in ("utf-8", "utf-32-le")}
        spelt |= {json.dumps(form)[1:-1].encode() for form in forms}
        return cls(NameFinder.of(names, kg_mids), tuple(sorted(spelt)))

    def is_path(self, path: Path) -> bool:
        """Say whether a folder or file on a path is named after the person."""
        return any(self.finder.is_alone(part) or self.finder.is_within(part) for part in (*path.parts[:-1], path.stem))

    def is_cell(self, text: str) -> bool:
        """Say whether a cell of a table or a row names the person, alone, within a path or within a sentence."""
        return self.finder.is_within(text) or any(self.finder.is_alone(part) for part in Path(text).parts)

    def is_row(self, cells: Iterable[object]) -> bool:
        """Say whether a line of a table, or a row, has a text that names the person."""
        return any(isinstance(cell, str) and self.is_cell(cell) for cell in cells)

    def is_in_file(self, path: Path) -> bool:
        """Say whether a file has the name in it; among other bytes only where it stands letter by letter.

        Pictures are not looked into: a caption that names the person makes no picture of somebody else hers or his.

        Raises:
            _UnreadableError: it is too large, or encrypted.

        """
        if path.suffix.lower() in PICTURE_SUFFIXES:
            return False
        _insist_on_size(path.stat().st_size)
        return any(self._is_in(content) for content in _contents(path))

    def _is_in(self, content: bytes) -> bool:
        try:
            return self.finder.is_within(content.decode())
        except UnicodeDecodeError:
            return any(form in content for form in self.in_bytes)


def _contents(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file: of an archive (.npz, .zip) each member's, of a compressed one what is in it.

    Raises:
        _UnreadableError: an archive is encrypted, or compressed in an unknown way, or what is in it is too large.

    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    yield member.filename.encode()
                    _insist_on_size(member.file_size)
                    yield archive.read(member)
            return
        if path.suffix == ".gz":
            with gzip.open(path) as file:
                content = file.read(_MAX_TEXT_BYTES + 1)
            _insist_on_size(len(content))
            yield content
            return
    except RuntimeError as error:  # of zipfile, NotImplementedError included; its message may have the member's name
        raise _UnreadableError("is an archive that is encrypted, or of an unknown kind") from error
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError):
        pass  # it is no archive after all, or a broken one: its bytes are what it has
    yield path.read_bytes()


def _insist_on_size(size_bytes: int) -> None:
    """Let nothing be read that is larger than _MAX_TEXT_BYTES."""
    if size_bytes > _MAX_TEXT_BYTES:
        raise _UnreadableError(f"has more than {_MAX_TEXT_BYTES // 2**20} MiB in one piece")


def _has_class(path: Path, matcher: _Matcher) -> bool:
    """Say whether a file says that the person is a class of the experiment in whose folder it is."""
    if path.name not in _CLASSES:
        return False
    with contextlib.suppress(_UnreadableError):
        return any(matcher.is_row(row) for row in _rows(path))
    return False


def _fitted(folder: Path) -> Iterator[Path]:
    for name in FITTED:
        yield from (one for one in sorted((folder / name).rglob("*")) if one.is_file())


def _rows(path: Path) -> Iterator[list[str]]:
    """Yield the lines of a table.

    Raises:
        _UnreadableError: it is none.

    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield from csv.reader(file, delimiter=_delimiter(path))
    except csv.Error as error:
        raise _UnreadableError(f"is no table ({error})") from error


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix == ".tsv" else ","


def _sweep_table(path: Path, matcher: _Matcher, *, is_dry: bool) -> int:
    """Leave lines out that name the person; return how many. A table without any is not touched."""
    doomed = sum(matcher.is_row(row) for row in _rows(path))
    if doomed and not is_dry:
        with (
            appearing_path(path, remedy="change its rights, and call this again") as part,
            part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
        ):
            left = (row for row in _rows(path) if not matcher.is_row(row))
            csv.writer(file, delimiter=_delimiter(path), lineterminator="\n").writerows(left)
    return doomed


def _sweep_database(path: Path, matcher: _Matcher, *, is_dry: bool) -> int:
    """Delete the rows that name the person, and those of other tables about the same photographs; return how many."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            tables = _columns(connection)
            if _OURS in tables:
                return 0
            doomed = _delete_rows(connection, tables, matcher)
            if is_dry:
                connection.rollback()
                return doomed
            connection.commit()
            if doomed:
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise _UnreadableError(f"is no database of SQLite that can be changed ({error})") from error
    return doomed


def _delete_rows(connection: sqlite3.Connection, tables: Mapping[str, list[str]], matcher: _Matcher) -> int:
    count = 0
    digests: set[str] = set()
    for table, columns in tables.items():
        doomed = []
        for rowid, *cells in connection.execute(f'SELECT rowid, * FROM "{table}"'):  # noqa: S608
            if matcher.is_row(cells):
                doomed.append((rowid,))
                digests |= {cells[columns.index(_DIGEST_COLUMN)]} if _DIGEST_COLUMN in columns else set()
        connection.executemany(f'DELETE FROM "{table}" WHERE rowid = ?', doomed)  # noqa: S608
        count += len(doomed)
    for table, columns in tables.items():
        if _DIGEST_COLUMN in columns and digests:
            gone = f'DELETE FROM "{table}" WHERE {_DIGEST_COLUMN} = ?'  # noqa: S608
            count += connection.executemany(gone, [(one,) for one in sorted(digests)]).rowcount
    return count


def _columns(connection: sqlite3.Connection) -> Mapping[str, list[str]]:
    """Return the columns of all tables that have row ids."""
    tables = [
        name
        for name, sql in connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        if not name.startswith("sqlite_") and "WITHOUT ROWID" not in str(sql).upper()
    ]
    return {table: [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')] for table in tables}


def _remove_empty(root: Path, folders: set[Path]) -> None:
    """Remove folders that have become empty, and those above them, but not the root."""
    for folder in sorted(folders, key=lambda one: -len(one.parts)):
        here = folder
        while here != root and here.is_dir() and not any(here.iterdir()):
            here.rmdir()
            here = here.parent
