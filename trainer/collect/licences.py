"""Which copyright licences are taken: an allow-list. Whatever is not on it is refused.

The codes are those of ``extmetadata`` (https://www.mediawiki.org/wiki/Extension:CommonsMetadata): ``License`` for
machines (``cc-by-sa-4.0``, ``cc0``, ``pd``) and ``LicenseShortName`` for people («CC BY-SA 4.0», «Public domain»).

A copyright licence is the photographer's word. It is no consent of the person shown to having her face measured.
"""

import re
from typing import Final

_PORT: Final = r"(?:[- ](?:[a-z]{2,3}|scotland|migrated|igo))?"
_VERSION: Final = r"(?:1\.0|2\.0|2\.1|2\.5|3\.0|4\.0)"
_CODES: Final = re.compile(rf"cc0|cc-zero|pd|public domain|cc-by(?:-sa)?-{_VERSION}{_PORT}", re.IGNORECASE)
_NAMES: Final = re.compile(
    rf"cc0(?: 1\.0)?|public domain|pd|no restrictions|cc[ -]by(?:-sa)?[ -]{_VERSION}{_PORT}", re.IGNORECASE
)


def is_allowed(code: str, name: str) -> bool:
    """Return whether a licence is on the list; code and name must both be, where both are given.

    >>> is_allowed("cc-by-sa-4.0", "CC BY-SA 4.0"), is_allowed("", "CC BY 2.0"), is_allowed("pd", "Public domain")
    (True, True, True)
    >>> is_allowed("cc-by-nc-2.0", "CC BY-NC 2.0"), is_allowed("", "GFDL"), is_allowed("pd", "Fair use")
    (False, False, False)
    """
    given = [(pattern, text.strip()) for pattern, text in ((_CODES, code), (_NAMES, name)) if text.strip()]
    return bool(given) and all(pattern.fullmatch(text) is not None for pattern, text in given)


def needs_author(code: str, name: str) -> bool:
    """Return whether a licence asks for the author's name.

    >>> needs_author("cc-by-2.0", ""), needs_author("", "CC BY-SA 3.0 de"), needs_author("cc0", "CC0")
    (True, True, False)
    """
    return any(text.lower().replace(" ", "-").startswith("cc-by") for text in (code, name))
