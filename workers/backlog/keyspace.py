"""Between two keys: where a stretch of a listing is cut when nobody knows which keys lie in it."""

from collections.abc import Callable
from typing import Final

_FIRST: Final = " "
# Behind nearly all characters of keys; what lies beyond is looked for once.
_LAST: Final = "\x7f"
_MAX_PROBES: Final = 40


def between(low: str, high: str) -> str | None:
    """Return a short key between two keys in the order of bytes; None where there is none that is worth it.

    >>> between("gifs/0012", "gifs/9"), between("a", "b"), between("a/x", "a/x ")
    ('gifs/4', 'aO', None)
    """
    shared = 0
    while shared < min(len(low), len(high)) and low[shared] == high[shared]:
        shared += 1
    if shared == len(high):
        return None
    begin = ord(low[shared]) if shared < len(low) else ord(_FIRST) - 1
    end = ord(high[shared])
    if end - begin > 1:
        return high[:shared] + _character((begin + end) // 2)
    if shared >= len(low):
        return None
    return _behind(low, shared + 1)


def _behind(low: str, place: int) -> str | None:
    """Return a key behind a key that shares its beginning: the character at a place, or a later one, is higher."""
    for at in range(place, len(low) + 1):
        code = ord(low[at]) if at < len(low) else ord(_FIRST)
        middle = (code + ord(_LAST)) // 2
        if middle > code:
            return low[:at] + _character(middle)
    return None


def _character(code: int) -> str:
    return chr(0xD7FF if 0xD800 <= code <= 0xDFFF else code)


def find_middle(low: str, high: str | None, prefix: str, *, has_key: Callable[[str], bool]) -> str | None:
    """Probe for a key near the middle of a stretch: in the middle of its occupied part, as far as probes tell.

    Args:
        low: where the stretch begins, exclusive.
        high: its last key, None for the end of the prefix.
        prefix: what keys begin with.
        has_key: whether a key of the stretch lies behind this one.

    Returns:
        A key with keys of the stretch behind it; None where none was found.

    """
    if high is None:
        beyond = prefix + _LAST
        if low < beyond and has_key(beyond):
            return beyond
        high = beyond if low < beyond else prefix + "\U0010ffff"
    for _ in range(_MAX_PROBES):
        middle = between(low, high)
        if middle is None or not low < middle < high:
            return None
        if has_key(middle):
            return middle
        high = middle
    return None
