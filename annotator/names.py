"""What the name of a person may consist of: all of it is to be seen, so that two names that look alike are one."""

import unicodedata
from typing import Final

MAX_NAME_CHARS: Final = 200

# Letters and marks that are drawn as nothing (Default_Ignorable_Code_Point of Unicode, and the empty braille pattern).
_INVISIBLE: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_VARIATIONS: Final = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))  # of how the letter before is drawn
JOINERS: Final = "\u200c\u200d"
"""They tell how the letters beside them are drawn, so that a name is the same without them."""
# Scripts whose letters are drawn otherwise beside a joiner, as names of Persian have them.
_JOINING_SCRIPTS: Final = frozenset(
    ["ARABIC", "SYRIAC", "MONGOLIAN", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL", "TELUGU"]
) | frozenset(["KANNADA", "MALAYALAM", "SINHALA", "KHMER", "MYANMAR"])
_MOST_MARKS: Final = 4  # on one letter, as Unicode Technical Standard 39 has it (5.4)


def fault_of_name(name: str) -> str | None:
    r"""Return why a text cannot be somebody's name, or None where it can.

    >>> fault_of_name("Nguyễn Văn Thiệu") is None
    True
    >>> fault_of_name("Ada\u3164")
    'it has a letter that cannot be seen (U+3164)'
    """
    if not any(letter.isalnum() for letter in name):
        return "it has no letter and no digit" if name.strip() else "nothing of it can be seen"
    if len(name) > MAX_NAME_CHARS:
        return f"it has more than {MAX_NAME_CHARS} characters"
    marks = 0
    for before, letter, after in zip(" " + name, name, name[1:] + " ", strict=False):
        if not _is_seen(before, letter, after):
            return f"it has a letter that cannot be seen (U+{ord(letter):04X})"
        marks = marks + 1 if unicodedata.category(letter) in ("Mn", "Me") else 0
        if marks > _MOST_MARKS:
            return f"it has more than {_MOST_MARKS} marks on one letter"
        if marks and before.isspace():
            return f"it has a mark on no letter (U+{ord(letter):04X})"
    return None


def _is_seen(before: str, letter: str, after: str) -> bool:
    """Say whether a letter is seen, or changes how the one before it is drawn."""
    if letter in JOINERS:
        return _script(before) == _script(after) and _script(after) in _JOINING_SCRIPTS
    if any(ord(letter) in some for some in _VARIATIONS):
        return unicodedata.category(before) in ("Lo", "So")
    return (letter.isprintable() or unicodedata.category(letter) == "Zs") and letter not in _INVISIBLE


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]
