"""Who is seen in which clip, as a person has written it down.

A CSV with a header; these columns count, others are let be:

- ``file``: path of the clip within the folder of clips;
- ``people``: names, with ``;`` between; empty where nobody is known for certain, which does not mean nobody;
- ``start_ms``, ``end_ms``: optional; when these people are seen. A clip may then have several lines.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotator.errors import ConfigError
from trainer.labels import person_key
from trainer.problems import Problem, ProblemsError

MAX_TRUTH_BYTES: Final = 64 * 1024**2

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ClipTruth:
    """Who is seen in a clip.

    Attributes:
        file: path within the folder of clips.
        people: when each person is seen, half-open spans in milliseconds; none where the time is not told.

    """

    file: str
    people: Mapping[str, Sequence[Span]]


def read_truth(path: Path, clips: Path) -> list[ClipTruth]:
    """Read who is seen in which clip, in the order of the file.

    Raises:
        ConfigError: the file is not there, too large or no CSV with the columns ``file`` and ``people``.
        ProblemsError: lines are wrong or clips missing; all of them are listed.

    """
    rows = _rows(path)
    problems: list[Problem] = []
    people: dict[str, dict[str, list[Span]]] = {}
    for line, row in rows:
        file = (row["file"] or "").strip()
        inside = clips / file
        if not file or Path(file).is_absolute() or ".." in Path(file).parts or not inside.is_file():
            problems.append(Problem(path, f"there is no clip {file!r} in {clips}: correct the name, or add it", line))
            continue
        span = _span(path, row, line, problems)
        mine = people.setdefault(Path(file).as_posix(), {})
        for name in (row["people"] or "").split(";"):
            if name.strip():
                mine.setdefault(person_key(name), []).extend(span)
    if problems:
        raise ProblemsError(problems)
    return [ClipTruth(file, its) for file, its in people.items()]


def _rows(path: Path) -> list[tuple[int, dict[str, str | None]]]:
    if not path.is_file():
        raise ConfigError(f"there is no file {path} that says who is seen in the clips")
    if path.stat().st_size > MAX_TRUTH_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_TRUTH_BYTES} bytes: it cannot be a list of clips")
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""), strict=True)
        rows = [(reader.line_num, row) for row in reader]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no CSV in UTF-8 ({error}): save it as one") from error
    missing = {"file", "people"} - set(reader.fieldnames or ())
    if missing:
        raise ConfigError(f"{path} has no column {' and '.join(sorted(missing))}: its first line must name them")
    return rows


def _span(path: Path, row: Mapping[str, str | None], line: int, problems: list[Problem]) -> list[Span]:
    """Return the span of a line; empty where it has none."""
    start, end = ((row.get(name) or "").strip() for name in ("start_ms", "end_ms"))
    if not start and not end:
        return []
    if start.isascii() and start.isdigit() and end.isascii() and end.isdigit() and int(start) < int(end):
        return [(int(start), int(end))]
    problems.append(Problem(path, f"{start!r} to {end!r} is no span: give start_ms below end_ms, or neither", line))
    return []
