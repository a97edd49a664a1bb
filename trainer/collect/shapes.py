"""Read JSON of strangers: what has another type than was documented counts as absent, and is never an exception."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from annotator.errors import SourceUnavailableError

MAX_TEXT_CHARS: Final = 20_000
_TAGS: Final = re.compile(r"<[^<>]{0,2000}>")
_HIDDEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")


def parse_json(url: str, body: bytes) -> Mapping[str, Any]:
    """Return the object of an answer.

    Raises:
        SourceUnavailableError: it is no JSON object: a page of HTML, say, or one that is nested without end.

    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise SourceUnavailableError(f"{url} answers something that is no JSON; try again later.") from error
    if not isinstance(value, dict):
        raise SourceUnavailableError(f"{url} answers something that is no JSON object; try again later.")
    return value


def as_map(value: object) -> Mapping[str, Any]:
    """Return a mapping; an empty one for anything else (PHP writes an empty map as ``[]``)."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> Sequence[Any]:
    """Return a list; an empty one for anything else."""
    return value if isinstance(value, list) else ()


def as_text(value: object) -> str:
    """Return a text; an empty one for anything else, digits for a number."""
    if isinstance(value, str):
        return value[:MAX_TEXT_CHARS]
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def plain(value: object) -> str:
    """Return a text without tags, entities, control characters and turned writing directions, as one line.

    >>> plain('<a href="//commons.wikimedia.org/wiki/User:Jane">Jane &amp; Joe</a> ')
    'Jane & Joe'
    """
    text = html.unescape(_TAGS.sub(" ", as_text(value)))
    return " ".join(_HIDDEN.sub(" ", _TAGS.sub(" ", text)).split())


def cell(text: str) -> str:
    """Return a cell that a spreadsheet takes for a text and not for a formula.

    >>> cell("=HYPERLINK(1)"), cell("Jane")
    ("'=HYPERLINK(1)", 'Jane')
    """
    return f"'{text}" if text[:1] in {"=", "+", "-", "@"} else text
