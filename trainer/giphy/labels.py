"""Which class is who, by the release's rule: **the rank of the sorted label**.

The header and the column ``Index`` decide nothing. The rows are sorted by their first column as text, code point by
code point, the Knowledge Graph id included, and the first of them is class 0. Who read the index instead would give
every person behind a gap somebody else's name, while every layer of the network agreed.
"""

import csv
import io
from pathlib import Path

from annotator.errors import ModelError
from annotator.recognition.labels import MAX_LABELS, parse_label
from trainer.problems import Problem, ProblemsError


def read_class_labels(content: bytes, path: Path) -> tuple[str, ...]:
    """Read the labels of the release, or of any experiment made in its manner.

    Args:
        content: of ``labels.csv``.
        path: what the messages call it.

    Returns:
        The labels by ascending class, e.g. ``"50_Cent_[m.01vvyc_]"``.

    Raises:
        ProblemsError: everything that is wrong with it, line by line.

    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProblemsError([Problem(path, f"it is not UTF-8 ({error.reason}): save it again as UTF-8")]) from error
    labels: dict[str, int] = {}
    names: dict[str, int] = {}
    problems: list[Problem] = []
    for line, row in _rows(text, path)[1:]:
        label = row[0] if row else ""
        try:
            name = parse_label(label).name
        except ModelError as error:
            problems.append(Problem(path, str(error), line=line))
            continue
        first = labels.setdefault(label, names.setdefault(name, line))
        if first != line:
            problems.append(Problem(path, f"{name!r} stands in line {first} already: keep one of them", line=line))
    if not labels and not problems:
        problems.append(Problem(path, "it must have a header and a line for each class"))
    if problems:
        raise ProblemsError(problems)
    return tuple(sorted(labels))


def _rows(text: str, path: Path) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""))
    rows: list[tuple[int, list[str]]] = []
    try:
        for row in reader:
            rows.append((reader.line_num, row))
            if len(rows) > MAX_LABELS:
                raise ProblemsError([Problem(path, f"it has more than {MAX_LABELS} labels")])
    except csv.Error as error:
        raise ProblemsError([Problem(path, f"it is no CSV file: {error}", line=reader.line_num)]) from error
    return rows
