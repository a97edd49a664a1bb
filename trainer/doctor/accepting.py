"""``doctor/accepted.csv``: findings that a person has looked at and found right as they are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from annotator.errors import ConfigError
from trainer.dataset.files import write_whole
from trainer.doctor.findings import JUDGED, Diagnosis
from trainer.problems import Problem, ProblemsError
from trainer.tables import read_table, table_text

FILE_NAME: Final = "accepted.csv"
HEADER: Final = ("id", "kind", "what")


def read_accepted(path: Path) -> dict[str, tuple[str, str]]:
    """Return kind and text of what is accepted, by id; nothing where the file is not there.

    Raises:
        ProblemsError: lines are not as they were written; all of them are listed.

    """
    if not path.exists():
        return {}
    accepted: dict[str, tuple[str, str]] = {}
    problems: list[Problem] = []
    for line, (name, kind, what) in read_table(path, HEADER, problems):
        if kind in JUDGED and name:
            accepted[name] = (kind, what)
        else:
            problems.append(Problem(path, "it is no id with a kind: put the line right, or take it out", line))
    if problems:
        raise ProblemsError(problems)
    return accepted


def accept(path: Path, ids: Sequence[str], diagnosis: Diagnosis, before: Mapping[str, tuple[str, str]]) -> None:
    """Add findings to the file.

    Args:
        path: the file.
        ids: of findings that are there now; what is accepted already may be among them.
        diagnosis: all that was found.
        before: what the file holds.

    Raises:
        ConfigError: no finding that can be accepted has such an id; all of them are told, and nothing is written.

    """
    found = {finding.id: finding for finding in (*diagnosis.findings, *diagnosis.accepted) if finding.is_judged}
    unknown = [name for name in ids if name not in found]
    if unknown:
        error = ConfigError("nothing was accepted: the id of a finding stands before it, in brackets")
        error.details = tuple(f"no finding that can be accepted has the id {name}" for name in unknown)
        raise error
    added = {name: (found[name].kind, found[name].what) for name in ids}
    rows = [(name, *entry) for name, entry in sorted({**before, **added}.items(), key=lambda one: (one[1], one[0]))]
    write_whole(path, table_text(HEADER, rows).encode())
