from pathlib import Path

import pytest

from trainer.problems import Problem
from trainer.tables import read_table, table_text

HEADER = ("name", "count")


def read(path: Path) -> tuple[list[tuple[int, list[str]]], list[str]]:
    problems = list[Problem]()
    rows = list(read_table(path, HEADER, problems))
    return rows, [f"{problem.line}: {problem.what}" for problem in problems]


def test_what_was_written_is_read_again_whatever_is_in_the_cells(tmp_path: Path) -> None:
    cells = ['a "quoted", name', "two\nlines", "Beyoncé"]
    (tmp_path / "a.csv").write_text(table_text(HEADER, [(cell, 1) for cell in cells]), encoding="utf-8")
    assert read(tmp_path / "a.csv") == ([(2, [cells[0], "1"]), (3, [cells[1], "1"]), (5, [cells[2], "1"])], [])


def test_what_a_spreadsheet_has_saved_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfname,count\r\nLenna,1\r\n\r\n")
    assert read(tmp_path / "a.csv") == ([(2, ["Lenna", "1"])], [])


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (b"name;count\nLenna,1\n", ["1: the first line is 'name;count': it must be name,count"]),
        (b"name,count\nLenna\nA,1,2\n", ["2: it has 1 columns", "3: it has 3 columns"]),
        (b'name,count\nLenna,1\n"open,2\n', ["3: it is no CSV from here on"]),
        (b"name,count\n\xff,1\n", ["None: it cannot be read"]),
    ],
)
def test_all_that_is_wrong_is_told_with_its_line(tmp_path: Path, content: bytes, problems: list[str]) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    _, told = read(tmp_path / "a.csv")
    assert len(told) == len(problems)
    assert all(one.startswith(start) for one, start in zip(told, problems, strict=True))
