"""Small CSV files that the trainer writes, and reads again after a person may have had them open."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from trainer.problems import Problem


def table_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as CSV; None becomes an empty cell.

    >>> table_text(("name", "count"), [("Lenna", 1), ("a,b", None)]).splitlines()
    ['name,count', 'Lenna,1', '"a,b",']
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return text.getvalue()


def read_table(path: Path, header: Sequence[str], problems: list[Problem]) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a file, each with its line, counted from 1.

    Args:
        path: the file.
        header: its first line; each row has as many cells.
        problems: gets whatever is wrong; what can be read is yielded all the same.

    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(path, f"it cannot be read ({error}): save it as UTF-8"))
        return
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for number, row in enumerate(reader):
            if number == 0 and row != list(header):
                problems.append(Problem(path, f"the first line is {','.join(row)!r}: it must be {','.join(header)}", 1))
            elif row and len(row) != len(header):
                problems.append(Problem(path, f"it has {len(row)} columns: it must have {len(header)}", line))
            elif number > 0 and row:
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        problems.append(Problem(path, f"it is no CSV from here on ({error}): put the line right", line))
