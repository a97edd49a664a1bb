"""Where a page of a list ended, as pages and the API write it into addresses."""

import base64
import binascii
import json
from typing import Any

from annotator.store.ids import LARGEST_BIG_ID
from annotator.web.errors import WebError


def to_cursor(*values: float) -> str:
    """Return where a page ended, as text that nobody need understand."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def from_cursor(cursor: str, *kinds: type[int] | type[float]) -> tuple[Any, ...]:
    """Return the values of :func:`to_cursor`.

    Raises:
        WebError: it is none of ours.

    """
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if len(values) == len(kinds) and all(
            type(value) in ((int, float) if kind is float else (int,)) and abs(value) <= LARGEST_BIG_ID
            for value, kind in zip(values, kinds, strict=True)
        ):
            return tuple(kind(value) for value, kind in zip(values, kinds, strict=True))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        pass
    raise WebError(400, "cursor: it must be what an answer gave as next, unchanged.")
