"""A row of the table: what was measured, beside what, and what was to be reached."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

TIMES: Final = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True, slots=True)
class Value:
    """A number with its unit.

    Attributes:
        value: median of all runs.
        unit: e.g. ``"s"``.
        text: what else is to be said of it; may be empty.

    """

    value: float
    unit: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """What is to be reached.

    Attributes:
        of: the ratio, or our own value.
        how: on which side of the limit it must lie.
        limit: as many times as long, or in the unit of our value.

    """

    of: Literal["ratio", "ours"]
    how: Literal["at least", "at most", "less than"]
    limit: float

    def is_reached(self, value: float) -> bool:
        """Say whether a value is where it should be."""
        if self.how == "at least":
            return value >= self.limit
        return value <= self.limit if self.how == "at most" else value < self.limit


def row(
    work: str,
    ours: Value,
    *,
    beside: tuple[str, Value] | None = None,
    ratio: Mapping[str, float] | None = None,
    reach: Reach | None = None,
) -> dict[str, Any]:
    """Return a row as it stands in the results.

    Args:
        work: what was done.
        ours: what it took us, or what we reached.
        beside: beside what, and what it took that.
        ratio: median, min and max of how many times as long it took.
        reach: what was to be reached; None where nothing was.

    """
    measured = None
    if reach is not None:
        measured = ours.value if reach.of == "ours" else (ratio or {})["median"]
    return {
        "work": work,
        "ours": asdict(ours),
        "beside": None if beside is None else {"name": beside[0], **asdict(beside[1])},
        "ratio": None if ratio is None else dict(ratio),
        "reach": None if reach is None else asdict(reach),
        "reached": None if reach is None or measured is None else reach.is_reached(measured),
    }
