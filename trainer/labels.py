"""``labels.csv`` of an experiment: which people are classes. Written by hand, so all that is wrong is told at once.

The header is ``Label,Index`` or ``Labels,Index``. Indices may have gaps. A label is the name with underscores for
spaces, and may carry a Knowledge Graph id, as in a model bundle: ``50_Cent_[m.01vvyc_]``.
"""

import csv
import io
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotator.errors import ModelError
from annotator.recognition.labels import format_label, parse_label
from annotator.types import Identity
from trainer.dataset.files import write_whole
from trainer.problems import Problem, ProblemsError
from trainer.tables import table_text

MAX_INDEX: Final = 10_000_000
"""No head has more classes; a larger index is a slip."""

_HEADERS: Final = (["Label", "Index"], ["Labels", "Index"])


@dataclass(frozen=True, slots=True)
class Label:
    """One line of ``labels.csv``.

    Attributes:
        text: as it is written; a folder of this name holds the person's photographs.
        identity: whom it names.
        index: as it is written; may be far beyond the number of labels.
        line: of the file, counted from 1.

    """

    text: str
    identity: Identity
    index: int
    line: int


@dataclass(frozen=True, slots=True)
class LabelTable:
    """The labels of an experiment, in the order of the file.

    Attributes:
        path: the file.
        labels: no two with one name or one index.

    """

    path: Path
    labels: tuple[Label, ...]

    def of_folder(self, name: str) -> Label | None:
        """Return the label of a folder of photographs, which bears the label's text or the person's name."""
        wanted = person_key(name)
        return next((label for label in self.labels if person_key(label.text) == wanted), None)


def person_key(label_or_folder: str) -> str:
    """Return what is the same for a label, a folder and a name of one person: spacing, id and Unicode form aside.

    >>> person_key("50_Cent_[m.01vvyc_]") == person_key("50 Cent")
    True
    """
    text = unicodedata.normalize("NFC", label_or_folder)
    try:
        name = parse_label(text).name
    except ModelError:
        name = text
    return " ".join(name.split())


def read_label_table(path: Path) -> LabelTable:
    """Read ``labels.csv``.

    Raises:
        ProblemsError: it is not there or cannot be read, or lines are wrong; all of them are listed.

    """
    table, problems = inspect_label_table(path)
    if problems:
        raise ProblemsError(problems)
    return table


def inspect_label_table(path: Path) -> tuple[LabelTable, tuple[Problem, ...]]:
    """Read what can be read of ``labels.csv``, and tell everything that is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        what = (
            "it is not there: write Label,Index and a line for each person, or let `trainer check --write-labels` do so"
        )
        return LabelTable(path, ()), (Problem(path, what),)
    except (OSError, UnicodeDecodeError) as error:
        return LabelTable(path, ()), (Problem(path, f"it cannot be read ({error}): save it as UTF-8"),)
    problems: list[Problem] = []
    labels = list(_labels(path, text, problems))
    kept = _unique(path, labels, problems)
    if not problems and not kept:
        problems.append(Problem(path, "it names nobody: write a line such as Brad_Pitt,0 for each person"))
    return LabelTable(path, tuple(kept)), tuple(sorted(problems, key=lambda problem: problem.line or 0))


def write_label_table(path: Path, folders: Iterable[str]) -> int:
    """Write a ``labels.csv`` for folders of photographs, sorted by name.

    Args:
        path: the file; must not be there.
        folders: names of folders.

    Returns:
        How many labels it has.

    Raises:
        ProblemsError: it is there already, or a folder's name cannot be a label.

    """
    names = sorted(folders)
    problems = [Problem(path.parent / name, what) for name in names if (what := _name_problem(name))]
    if path.exists():
        problems.append(Problem(path, "it is there already: move it away to have it written anew"))
    if problems:
        raise ProblemsError(problems)
    rows = [(format_label(parse_label(name)), index) for index, name in enumerate(names)]
    write_whole(path, table_text(_HEADERS[0], rows).encode())
    return len(names)


def _name_problem(name: str) -> str | None:
    try:
        parse_label(name)
    except ModelError as error:
        return str(error)
    if name in (".", "..") or any(letter in name for letter in "/\\\0"):
        return f"{name!r} cannot be the name of a folder: leave slashes out"
    return None


def _labels(path: Path, text: str, problems: list[Problem]) -> Iterator[Label]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for number, row in enumerate(reader):
            if number == 0 and [cell.strip() for cell in row] not in _HEADERS:
                problems.append(Problem(path, f"the first line is {','.join(row)!r}: it must be Label,Index", 1))
                if len(row) != 2 or not row[1].strip().isdigit():
                    line = reader.line_num + 1
                    continue  # some other header
            elif number == 0:
                line = reader.line_num + 1
                continue
            label = _label(path, row, line, problems) if any(cell.strip() for cell in row) else None
            line = reader.line_num + 1
            if label is not None:
                yield label
    except csv.Error as error:
        problems.append(Problem(path, f"it is no CSV from here on ({error}): close or double the quotation mark", line))


def _label(path: Path, row: Sequence[str], line: int, problems: list[Problem]) -> Label | None:
    if len(row) != 2:
        problems.append(Problem(path, f"it has {len(row)} columns: it must be a label and an index", line))
        return None
    text, index = row[0].strip(), row[1].strip()
    what = _name_problem(text)
    if what:
        problems.append(Problem(path, what, line))
    is_index = index.isascii() and index.isdigit() and int(index) <= MAX_INDEX
    if not is_index:
        problems.append(Problem(path, f"index {index!r} of {text} is none: it must be a number from 0 up", line))
    return None if what or not is_index else Label(text, parse_label(text), int(index), line)


def _unique(path: Path, labels: Sequence[Label], problems: list[Problem]) -> list[Label]:
    """Return the labels without those that repeat a name, an id or an index, which become problems."""
    told = (
        ("name", lambda label: person_key(label.text), "tell namesakes apart, such as John_Smith_(painter)"),
        ("index", lambda label: label.index, "give it one of its own"),
        ("Knowledge Graph id", lambda label: label.identity.kg_mid, "it is one person: keep one of the two"),
    )
    repeated: set[int] = set()
    for what, key, remedy in told:
        for label, first in _repeats(labels, key):
            problems.append(
                Problem(path, f"{label.text} has the {what} of line {first.line}, {first.text}: {remedy}", label.line)
            )
            repeated.add(label.line)
    return [label for label in labels if label.line not in repeated]


def _repeats(labels: Sequence[Label], key: Callable[[Label], Hashable]) -> Iterator[tuple[Label, Label]]:
    seen: dict[Hashable, Label] = {}
    for label in labels:
        value = key(label)
        if value is None:
            continue
        first = seen.setdefault(value, label)
        if first is not label:
            yield label, first
