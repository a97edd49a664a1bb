"""Rows of a report, as their JSON, in tables of Markdown. Shares are in per cent, each with its interval."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from annotator.accuracy.measures import RATES

Rows = Sequence[Mapping[str, Any]]
Numbers = Sequence[float] | None
"""A value and the ends of its interval."""

_RATES: Final = tuple(f"{rate:.1%}" for rate in RATES)


def precision(rows: Rows) -> str:
    """Return what names are worth, at each prior."""
    head = ("known people among the tracks, names", "precision", "recall", "wrong names of 1,000 strangers", "names")
    body = []
    for row in rows:
        values = row["values"]
        named = values["strangers named"]
        wrong = _interval([1000 * one for one in named], digits=2) if named else ""
        body.append((row["what"], percent(values["precision"]), percent(values["recall"]), wrong, f"{row['count']:,}"))
    firsts = {row["what"].split(",")[0]: row["values"] for row in reversed(rows)}
    errors = [
        f"{prior}: {_number(values['calibration error'], digits=4)}, of names that are at least half sure "
        f"{_number(values['calibration error of names'], digits=3)}"
        for prior, values in reversed(firsts.items())
    ]
    return f"{table(head, body)}\n\nExpected calibration error, at each prior: {'; '.join(errors)}."


def recognition(rows: Rows) -> str:
    """Return how many are found at rates of strangers."""
    head = (
        *("tracks", "of known people", "nearest is right"),
        *(f"found at {rate} of strangers" for rate in _RATES),
        "strangers named at the threshold for 0.1%",
    )
    body = [
        (
            *(row["what"], f"{row['count']:,}", percent(row["values"]["nearest"])),
            *(percent(row["values"][f"found at {rate}"]) for rate in _RATES),
            percent(row["values"]["strangers at 0.1%"], digits=2),
        )
        for row in rows
    ]
    return table(head, body)


def shares(rows: Rows, names: Sequence[str], of: str) -> str:
    """Return a table of shares."""
    body = [
        (f"{of} {row['what']}".strip(), f"{row['count']:,}", *(percent(row["values"][name]) for name in names))
        for row in rows
    ]
    return table(("", "how many", *names), body)


def figures(rows: Rows) -> str:
    """Return a table of one value a row: shares in per cent, seconds as they are."""
    body = []
    for row in rows:
        ((name, value),) = row["values"].items()
        shown = percent(value) if name == "share" else _number(value, digits=3)
        body.append((row["what"], f"{row['count']:,}", shown))
    return table(("", "how many", "value"), body)


def gallery(rows: Rows) -> str:
    """Return what changes with the gallery's size."""
    names = list(rows[0]["values"])
    head = ("gallery", "tracks of known people", *(name.replace(" at ", ", prior ") for name in names))
    body = [
        (row["what"], f"{row['count']:,}", *(percent(row["values"][name], digits=2) for name in names)) for row in rows
    ]
    return table(head, body)


def prior(rows: Rows) -> str:
    """Return what is estimated of shares that are known."""
    head = ("true share", "archives", "estimated", "its interval holds the truth, of 100 archives")
    body = [
        (
            *(row["what"], f"{row['count']:,}", percent(row["values"]["estimate"], digits=2)),
            percent(row["values"]["interval holds it"]),
        )
        for row in rows
    ]
    return table(head, body)


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a table of cells."""
    if not body:
        return "Not measured."
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(row)} |" for row in body)]
    return "\n".join(lines)


def percent(interval: Numbers, *, digits: int = 1) -> str:
    """Return a share with its interval.

    >>> percent([0.9, 0.8, 0.95])
    '90.0 (80.0 to 95.0)'
    """
    return _interval([100 * one for one in interval], digits=digits) if interval else "too few"


def _interval(interval: Sequence[float], *, digits: int) -> str:
    value, low, high = (f"{one:.{digits}f}" for one in interval)
    return f"{value} ({low} to {high})"


def _number(interval: Numbers, *, digits: int) -> str:
    return _interval(interval, digits=digits) if interval else "too few"
