"""How often media are viewed, from a file of comma-separated lines."""

import csv
from collections.abc import Iterator
from pathlib import Path

from annotator.errors import ConfigError


def read_views(path: Path) -> Iterator[tuple[str, float]]:
    """Yield keys with their views, line by line; a first line of names is skipped.

    Args:
        path: a file of lines ``key,views``.

    Raises:
        ConfigError: the file cannot be read, or a line is no key and number.

    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for number, line in enumerate(csv.reader(file), start=1):
                if not line or (number == 1 and not is_number(line[-1])):
                    continue
                if len(line) != 2 or not is_number(line[1]):
                    raise ConfigError(f"{path}, line {number}: expected key,views; got {','.join(line)[:80]}")
                yield line[0], float(line[1])
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise ConfigError(f"{path} cannot be read as lines of key,views: {exc}") from exc


def is_number(value: object) -> bool:
    """Say whether a value reads as a number of views.

    >>> is_number("12"), is_number("views")
    (True, False)
    """
    try:
        float(str(value))
    except ValueError:
        return False
    return True
