"""Which known names somebody may have meant who has written one wrongly.

Word by word: whoever writes «jenifer» has not written the family name wrongly, but left it out. A word is compared with
those that begin like it and those that are one letter away from it, since comparing it with all takes too long.
"""

import difflib
from collections.abc import Iterable
from string import ascii_lowercase
from typing import Final

# How alike two words, or two names, must be to be suggested, of 1 (difflib's ratio); typing errors of one or two
# letters pass.
_MIN_LIKENESS: Final = 0.75
_LETTERS: Final = ascii_lowercase + "0123456789"
_LONGEST_WORD: Final = 40


def near_keys(key: str, known: Iterable[str]) -> list[str]:
    """Return the names that are near to one, nearest first, then by alphabet.

    Args:
        key: what was written, as of ``name_key``.
        known: names, as of ``name_key``.

    >>> known = ["jennifer aniston", "jennifer lopez", "barack obama", "joe biden"]
    >>> near_keys("jenifer", known)
    ['jennifer aniston', 'jennifer lopez']
    >>> near_keys("obamma", known), near_keys("joebiden", known), near_keys("zzyzx", known)
    (['barack obama'], ['joe biden'], [])

    """
    typed = [word[:_LONGEST_WORD] for word in dict.fromkeys(key.split())]
    if not typed:
        return []
    names = [one for one in known if one]  # a name of before, without a letter and a digit, has no key
    words = set(" ".join(names).split())
    near = [_near_words(word, words) for word in typed]
    found = {}
    for one in names if all(near) else ():
        its_own = one.split()
        if not any(likeness.keys().isdisjoint(its_own) for likeness in near):
            found[one] = sum(max(likeness.get(word, 0.0) for word in its_own) for likeness in near) / len(near)
    if not found:  # a space too few, or a word too many
        squeezed = "".join(typed)
        likeness = _near_words(squeezed, {one.replace(" ", "") for one in names})
        found = {one: likeness[word] for one in names if (word := one.replace(" ", "")) in likeness}
    return sorted(found, key=lambda one: (-found[one], one))


def _near_words(typed: str, known: set[str]) -> dict[str, float]:
    """Return known words that are near to one, with how alike they are."""
    letters = set(typed)
    candidates = _one_letter_away(typed) & known
    for word in known:
        if word[0] == typed[0]:
            # Letters that only one of both has leave at most so many for what both have in common.
            common = min(len(typed) - len(letters.difference(word)), len(word) - len(set(word) - letters))
            if 2 * common >= _MIN_LIKENESS * (len(typed) + len(word)):
                candidates.add(word)
    likeness = {}
    matcher = difflib.SequenceMatcher(None, "", typed, autojunk=False)
    for word in candidates:
        matcher.set_seq1(word)
        if matcher.quick_ratio() >= _MIN_LIKENESS and (share := matcher.ratio()) >= _MIN_LIKENESS:
            likeness[word] = share
    return likeness


def _one_letter_away(word: str) -> set[str]:
    """Return what comes of a word by leaving out, adding, changing or swapping a letter."""
    halves = [(word[:place], word[place:]) for place in range(len(word) + 1)]
    without = {left + right[1:] for left, right in halves if right}
    swapped = {left + right[1] + right[0] + right[2:] for left, right in halves if len(right) > 1}
    changed = {left + letter + right[1:] for left, right in halves if right for letter in _LETTERS}
    added = {left + letter + right for left, right in halves for letter in _LETTERS}
    return without | swapped | changed | added
