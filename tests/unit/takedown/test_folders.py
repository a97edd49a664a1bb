"""Folders without a person: odd files stop nothing, and are said; what is JSON is read as JSON."""

import csv
import gzip
import io
import json
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from annotator.takedown.folders import sweep_folder

NAME = "Zoë Ek"
TOO_LARGE_BYTES = 256 * 1024 * 1024 + 1


def write_encrypted(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("page.html", "a page")
    content = bytearray(path.read_bytes())
    for header, flags in ((content.index(b"PK\x03\x04"), 6), (content.index(b"PK\x01\x02"), 8)):
        content[header + flags] |= 1
    path.write_bytes(content)


def write_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(TOO_LARGE_BYTES)


def write_large_gz(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(257):
            file.write(bytes(1024 * 1024))


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "thumbs.db": (lambda path: path.write_bytes(b"no database" * 100), "no database of SQLite"),
    "odd.csv": (lambda path: path.write_text(f"a\n{'x' * 200_000}\n", encoding="utf-8"), "is no table"),
    "labels.csv": (lambda path: path.write_text(f"Label\n{'x' * 200_000}\n", encoding="utf-8"), "is no table"),
    "pages.zip": (write_encrypted, "is encrypted"),
    "log.txt": (write_large, "more than 256 MiB"),
    "log.gz": (write_large_gz, "more than 256 MiB"),
}


@pytest.mark.parametrize("name", ODD)
def test_a_file_that_cannot_be_looked_into_stays_and_is_said(tmp_path: Path, name: str) -> None:
    write, why = ODD[name]
    (tmp_path / "below").mkdir()
    write(tmp_path / "below" / name)
    (tmp_path / "zzz.html").write_text(f"<p>{NAME}</p>", encoding="utf-8")
    (tmp_path / "zzz.csv").write_text(f"name\n{NAME}\n", encoding="utf-8")
    for is_dry in (True, False):
        sweep = sweep_folder(tmp_path, [NAME], is_dry=is_dry)
        (told,) = sweep.left
        assert told.startswith(f"below/{name} ")
        assert why in told
        assert sweep.counts() == {"files": 1, "lines": 1}
    assert (tmp_path / "below" / name).exists()
    assert not (tmp_path / "zzz.html").exists()
    assert (tmp_path / "zzz.csv").read_text(encoding="utf-8") == "name\n"


@pytest.mark.parametrize("before", ["", "\n", "beside \u2014 "])
def test_letters_that_json_escapes_are_read(tmp_path: Path, before: str) -> None:
    told = json.dumps({"said": before + NAME.upper()})
    assert "\\u00cb" in told
    (tmp_path / "report.json").write_text(told, encoding="utf-8")
    (tmp_path / "packed.gz").write_bytes(gzip.compress(told.encode()))
    with (tmp_path / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["report"], [told], ["another"]])
    with closing(sqlite3.connect(tmp_path / "runs.db")) as connection, connection:
        connection.execute("CREATE TABLE runs (report)")
        connection.executemany("INSERT INTO runs VALUES (?)", [(told,), ("another",)])
    assert sweep_folder(tmp_path, [NAME]).counts() == {"files": 2, "lines": 1, "rows": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "runs.db"]


def test_letters_that_json_escapes_are_found_among_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "table.bin").write_bytes(b"\xff\xfe" + json.dumps({"said": NAME}).encode())
    assert sweep_folder(tmp_path, [NAME]).counts() == {"files": 1}


def test_what_sqlite_keeps_beside_a_database_stays(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "annotations.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE alembic_version (version_num)")
        connection.execute("CREATE TABLE identities (name)")
        connection.execute("INSERT INTO identities VALUES (?)", (NAME,))
        connection.commit()
        assert NAME.encode() in (tmp_path / "annotations.db-wal").read_bytes()
        assert sweep_folder(tmp_path, [NAME]).counts() == {}
        assert (tmp_path / "annotations.db-wal").exists()
        with closing(sqlite3.connect(tmp_path / "annotations.db")) as other:
            assert other.execute("SELECT name FROM identities").fetchall() == [(NAME,)]


def test_a_name_of_signs_only_is_not_found_in_what_is_empty(tmp_path: Path) -> None:
    rows = io.StringIO()
    csv.writer(rows, lineterminator="\n").writerows([["name", "note"], ["Somebody", ""]])
    (tmp_path / "rows.csv").write_text(rows.getvalue(), encoding="utf-8")
    (tmp_path / "___").mkdir()
    (tmp_path / "___" / "-.txt").write_text("...", encoding="utf-8")
    assert sweep_folder(tmp_path, ["!!!"]).counts() == {}


def test_what_has_only_the_id_of_the_person_goes_too(tmp_path: Path) -> None:
    (tmp_path / "credits.csv").write_text("id,photographs\n/m/0ek,3\n/m/0ekk,4\n", encoding="utf-8")
    (tmp_path / "Z_E_[m.0ek]").mkdir()
    (tmp_path / "Z_E_[m.0ek]" / "1.jpg").write_bytes(b"a picture")
    assert sweep_folder(tmp_path, [NAME], kg_mids=["/m/0ek"]).counts() == {"files": 1, "lines": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["credits.csv"]
    assert (tmp_path / "credits.csv").read_text(encoding="utf-8") == "id,photographs\n/m/0ekk,4\n"
