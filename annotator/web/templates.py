"""What pages are made of: Jinja templates, which escape whatever they are given, and fail for what they are not."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from annotator.results import confidence_in_words


class Templates:
    """The templates of the package's folder ``templates``."""

    def __init__(self) -> None:
        """Prepare them; each is compiled when it is first used."""
        self._environment = Environment(
            loader=PackageLoader("annotator.web", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "percent": confidence_in_words,
            "clock": clock,
            "when": when,
            "grouped": lambda number: f"{number:,}",
        }

    def render(self, name: str, values: Mapping[str, Any]) -> str:
        """Return a page."""
        return self._environment.get_template(name).render(values)


def clock(ms: int) -> str:
    """Return a point in time of a clip, to a tenth of a second.

    >>> clock(3_140), clock(65_000), clock(3_600_000)
    ('0:03.1', '1:05.0', '1:00:00.0')
    """
    tenths = ms // 100
    seconds, tenth = divmod(tenths, 10)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}.{tenth}" if hours else f"{minute}:{second:02}.{tenth}"


def when(time: datetime) -> str:
    """Return a point in time in UTC.

    >>> from datetime import UTC
    >>> when(datetime(2026, 11, 27, 2, 5, tzinfo=UTC))
    '2026-11-27 02:05'
    """
    return f"{time:%Y-%m-%d %H:%M}"
