"""Arguments with a form of their own."""

import re
from typing import Any, Final

import typer

_DURATION: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|)")


def parse_duration_ms(text: str | int) -> int:
    """Return milliseconds.

    >>> parse_duration_ms("500ms"), parse_duration_ms("2s"), parse_duration_ms("0.5 s"), parse_duration_ms("40")
    (500, 2000, 500, 40)

    Raises:
        BadParameter: it is no time, or shorter than a millisecond.

    """
    found = _DURATION.fullmatch(str(text).strip().lower())
    duration_ms = round(float(found["number"]) * (1000 if found["unit"] == "s" else 1)) if found else 0
    if duration_ms < 1:
        raise typer.BadParameter(f"{text!r} is no time: write 500ms or 2s")
    return duration_ms


def one_sampling(frames: int | None, every_ms: int | None, *, is_all: bool) -> dict[str, Any]:
    """Return the settings of ``sampling``.

    >>> one_sampling(None, 500, is_all=False)
    {'frames': None, 'every_ms': 500, 'all': None}

    Raises:
        BadParameter: several ways are asked for.

    """
    sampling = {"frames": frames, "every_ms": every_ms, "all": is_all or None}
    if sum(one is not None for one in sampling.values()) > 1:
        raise typer.BadParameter("give only one of --frames, --every and --all")
    return sampling
