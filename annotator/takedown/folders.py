"""Folders without a person: work directories, reports, exports, what was rendered.

What is named after the person goes whole; tables lose the lines that name the person; of SQLite files the rows go; any
other text that has the name goes whole, since it was made and can be made again. A network that was fitted with the
person as a class has the person in its last layer, so the fit goes, too.
"""

import csv
import gzip
import io
import sqlite3
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from annotator.recognition.photographs import PICTURE_SUFFIXES
from annotator.store.takedowns.texts import NameFinder

FITTED: Final = ("model", "logs")
"""Folders of an experiment of the trainer that hold what was fitted."""

_CLASSES: Final = ("labels.csv", "dataset.csv")
_TABLES: Final = (".csv", ".tsv")
_DATABASES: Final = (".db", ".sqlite", ".sqlite3")
_DIGEST_COLUMN: Final = "sha256"
_OURS: Final = "alembic_version"  # a database of annotations has a takedown of its own
_MAX_TEXT_BYTES: Final = 256 * 1024 * 1024
_LOCKS: Final = (".lock",)


@dataclass(slots=True)
class Sweep:
    """What goes, or went, of a folder.

    Attributes:
        files: that go whole: photographs, crops, reports, fits.
        lines: of tables.
        rows: of SQLite files.

    """

    files: int = 0
    lines: int = 0
    rows: int = 0

    def counts(self) -> dict[str, int]:
        """Return the numbers by name, those that are not 0."""
        found = {"files": self.files, "lines": self.lines, "rows": self.rows}
        return {name: count for name, count in found.items() if count}


def sweep_folder(root: Path, names: Sequence[str], *, is_dry: bool = False) -> Sweep:
    """Take all that names a person out of a folder and what lies below it; links are not followed.

    It may be killed at any time and called again: databases, which say which photographs are the person's, come first,
    and of each fit the labels that say so come last.

    Args:
        root: the folder.
        names: of the person.
        is_dry: only count.

    Raises:
        OSError: a file cannot be changed.

    """
    sweep, matcher = Sweep(), _Matcher.of(names)
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink()]
    mine = [path for path in files if matcher.is_path(path.relative_to(root))]
    others = [path for path in files if path not in set(mine) and path.name not in _LOCKS]
    for path in [one for one in others if one.suffix in _DATABASES]:
        sweep.rows += _sweep_database(path, matcher, is_dry=is_dry)
    fitted = {path for one in others if _has_class(one, matcher) for path in _fitted(one.parent)}
    texts = [one for one in others if one.suffix not in {*_TABLES, *_DATABASES} and one not in fitted]
    whole = {*mine, *fitted, *(one for one in texts if matcher.is_in_file(one))}
    for path in sorted(whole):
        sweep.files += 1
        if not is_dry:
            path.unlink(missing_ok=True)
    # The tables of the classes come last of all: without their lines nothing says any more which fits have to go.
    tables = [one for one in others if one.suffix in _TABLES and one not in whole]
    for path in sorted(tables, key=lambda one: one.name in _CLASSES):
        sweep.lines += _sweep_table(path, matcher, is_dry=is_dry)
    if not is_dry:
        _remove_empty(root, {path.parent for path in whole})
    return sweep


@dataclass(frozen=True, slots=True)
class _Matcher:
    """Tells what names the person."""

    finder: NameFinder
    in_bytes: tuple[bytes, ...]

    @classmethod
    def of(cls, names: Sequence[str]) -> Self:
        several = [name for name in names if len(name.split()) > 1]
        forms = {form for name in several for form in (name, name.replace(" ", "_"), name.replace(" ", "-"))}
        # Arrays of NumPy have letters of four bytes.
        spelt = {form.encode(encoding) for form in forms for encoding in ("utf-8", "utf-32-le")}
        return cls(NameFinder.of(names), tuple(sorted(spelt)))

    def is_path(self, path: Path) -> bool:
        """Say whether a folder or file on a path is named after the person."""
        return any(self.finder.is_alone(part) or self.finder.is_within(part) for part in (*path.parts[:-1], path.stem))

    def is_cell(self, text: str) -> bool:
        """Say whether a cell of a table or a row names the person, alone, within a path or within a sentence."""
        return self.finder.is_within(text) or any(self.finder.is_alone(part) for part in Path(text).parts)

    def is_in_file(self, path: Path) -> bool:
        """Say whether a file has the name in it; among other bytes only where it stands letter by letter.

        Pictures are not looked into: a caption that names the person makes no picture of somebody else hers or his.
        """
        if path.suffix.lower() in PICTURE_SUFFIXES or path.stat().st_size > _MAX_TEXT_BYTES:
            return False
        return any(self._is_in(content) for content in _contents(path))

    def _is_in(self, content: bytes) -> bool:
        try:
            return self.finder.is_within(content.decode())
        except UnicodeDecodeError:
            return any(form in content for form in self.in_bytes)


def _contents(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file: of an archive (.npz, .zip) each member's, of a compressed one what is in it."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    if member.file_size <= _MAX_TEXT_BYTES:
                        yield member.filename.encode()
                        yield archive.read(member)
            return
        if path.suffix == ".gz":
            with gzip.open(path) as file:
                yield file.read(_MAX_TEXT_BYTES)
            return
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error):
        pass  # it is no archive after all, or a broken one: its bytes are what it has
    yield path.read_bytes()


def _has_class(path: Path, matcher: _Matcher) -> bool:
    """Say whether a file says that the person is a class of the experiment in whose folder it is."""
    if path.name not in _CLASSES:
        return False
    return any(matcher.is_cell(cell) for row in _rows(path) for cell in row)


def _fitted(folder: Path) -> Iterator[Path]:
    for name in FITTED:
        yield from (one for one in sorted((folder / name).rglob("*")) if one.is_file())


def _rows(path: Path) -> list[list[str]]:
    text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    return list(csv.reader(io.StringIO(text), delimiter="\t" if path.suffix == ".tsv" else ","))


def _sweep_table(path: Path, matcher: _Matcher, *, is_dry: bool) -> int:
    rows = _rows(path)
    left = [row for row in rows if not any(matcher.is_cell(cell) for cell in row)]
    if len(left) < len(rows) and not is_dry:
        out = io.StringIO()
        csv.writer(out, delimiter="\t" if path.suffix == ".tsv" else ",", lineterminator="\n").writerows(left)
        scratch = path.with_name(f".{path.name}.part")
        scratch.write_text(out.getvalue(), encoding="utf-8", errors="surrogateescape")
        scratch.replace(path)
    return len(rows) - len(left)


def _sweep_database(path: Path, matcher: _Matcher, *, is_dry: bool) -> int:
    """Delete the rows that name the person, and those of other tables about the same photographs."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        tables = _columns(connection)
        if _OURS in tables:
            return 0
        doomed: Counter[str] = Counter()
        digests: set[str] = set()
        for table, columns in tables.items():
            for rowid, *cells in connection.execute(f'SELECT rowid, * FROM "{table}"').fetchall():  # noqa: S608
                if any(isinstance(cell, str) and matcher.is_cell(cell) for cell in cells):
                    doomed[table] += 1
                    digests |= {cells[columns.index(_DIGEST_COLUMN)]} if _DIGEST_COLUMN in columns else set()
                    connection.execute(f'DELETE FROM "{table}" WHERE rowid = ?', (rowid,))  # noqa: S608
        for table, columns in tables.items():
            if _DIGEST_COLUMN in columns:
                gone = f'DELETE FROM "{table}" WHERE {_DIGEST_COLUMN} = ?'  # noqa: S608
                doomed[table] += connection.executemany(gone, [(one,) for one in sorted(digests)]).rowcount
        if is_dry:
            connection.rollback()
            return doomed.total()
        connection.commit()
        if doomed.total():
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return doomed.total()


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
