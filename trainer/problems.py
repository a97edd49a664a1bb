"""What is wrong with data that people have made by hand: all of it in one go, with file and line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from annotator.errors import InputError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and what to do about it.

    Attributes:
        path: the file or folder.
        what: a sentence without its full stop, with the remedy.
        line: of the file, counted from 1; None where the whole is meant.

    """

    path: Path
    what: str
    line: int | None = None

    def __str__(self) -> str:
        """Return ``file:line: what``, as compilers write it."""
        return f"{self.path}: {self.what}" if self.line is None else f"{self.path}:{self.line}: {self.what}"


class ProblemsError(InputError):
    """Data that cannot be worked with.

    Attributes:
        problems: everything that is wrong, in the order of reading; never empty.

    """

    reason = "problems"

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep the problems; the message says how many there are."""
        count = len(problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} to be put right first; nothing was done")
        self.problems = tuple(problems)
        self.details = tuple(str(problem) for problem in problems)
