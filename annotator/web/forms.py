"""Values of forms that are more than text."""

from collections.abc import Mapping
from typing import Final

from annotator.store.ids import LARGEST_BIG_ID, LARGEST_ID, LARGEST_TRACK
from annotator.web.errors import WebError

MOST_FACES: Final = 50
"""Of a photograph, from left to right."""


def whole_number(given: str, *, most: int = LARGEST_ID) -> int | None:
    """Return a number that is written with digits alone; None where it is none, or larger.

    >>> whole_number("12"), whole_number("-12"), whole_number("13", most=12), whole_number("²")
    (12, None, None, None)
    """
    if not (given.isascii() and given.isdigit() and len(given) <= len(str(most)) and int(given) <= most):
        return None
    return int(given)


def dashed_numbers(given: str, *most: int) -> tuple[int, ...] | None:
    """Return numbers with dashes between them, as many as there are bounds; None where they are none, or larger.

    >>> dashed_numbers("12-0", 20, 9), dashed_numbers("12", 20, 9), dashed_numbers("12-10", 20, 9)
    ((12, 0), None, None)
    """
    parts = given.split("-")
    if len(parts) != len(most):
        return None
    numbers = [whole_number(part, most=bound) for part, bound in zip(parts, most, strict=True)]
    return None if None in numbers else tuple(one for one in numbers if one is not None)


def track_key(given: str) -> tuple[int, int]:
    """Return content and number of a track as pages and the API write them: ``12-0``.

    Raises:
        WebError: it is no track.

    """
    numbers = dashed_numbers(given, LARGEST_BIG_ID, LARGEST_TRACK)
    if numbers is None:
        raise WebError(400, f"{given[:40]!r} is no track: it is written as 12-0.")
    return numbers[0], numbers[1]


def chosen_tracks(form: Mapping[str, str]) -> list[str]:
    """Return the tracks that are chosen on a form, as :func:`track_key` takes them.

    Raises:
        WebError: none is.

    """
    chosen = [name.removeprefix("track-") for name, value in form.items() if name.startswith("track-") and value]
    if not chosen:
        raise WebError(400, "Choose the faces that are somebody else's.")
    return chosen


def which_face(given: str) -> int | None:
    """Return which face of a photograph is meant, counted from the left; None where nothing is written.

    Raises:
        WebError: it is no number from 1 to ``MOST_FACES``.

    """
    if not given.strip():
        return None
    number = whole_number(given, most=MOST_FACES)
    if not number:
        raise WebError(400, f"Which face is a number from 1, the leftmost, to {MOST_FACES}.")
    return number
