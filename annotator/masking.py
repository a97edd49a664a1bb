"""What must never be read by others is taken out of texts: passwords in addresses, signatures, known secrets."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote, unquote_plus

HIDDEN: Final = "***"

# Shorter ones would take harmless text along; in an address they are hidden all the same.
_MIN_SECRET_LENGTH: Final = 4
# A user and what comes after the colon, which is a password where an @ follows: the rest of the line, since a password
# that was not percent-encoded may hold blanks and slashes, too; but another address begins anew.
_USER: Final = r"(?P<web>(?<=http)|(?<=https))?://(?!\[)(?P<user>[^\s:/?#@]*):"
_AFTER_USER: Final = re.compile(rf"{_USER}(?P<rest>(?:(?!://)[^\n])*)", re.IGNORECASE)
_AFTER_USER_OF_WHOLE: Final = re.compile(rf"{_USER}(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_PORT: Final = re.compile(r"\d+(?:[/?#].*|\W*)", re.DOTALL)
# Whoever has a presigned address has the object; the rest of its query is harmless and stays.
_PARAMETER_NAME: Final = (
    r"(?P<name>[?&;](?:x-(?:amz|goog)-(?:signature|credential|security-token)|signature|sig|awsaccesskeyid|key-pair-id"
    r"|policy|(?:\w+[_-])?token|(?:\w*[_-])?(?:api)?key|[^\s?&;=]*passw(?:or)?d|pass|pwd|secret)=)"
)
_SECRET_PARAMETER: Final = re.compile(rf"{_PARAMETER_NAME}(?P<value>[^&\s\"'<>]*)", re.IGNORECASE)
_SECRET_PARAMETER_OF_WHOLE: Final = re.compile(rf"{_PARAMETER_NAME}(?P<value>[^&]*)", re.IGNORECASE)
# A connection string of libpq, a header.
_SECRET_FIELD: Final = re.compile(
    r"(?P<name>(?<![?&;\w])\w*password\s*=\s*|\bauthorization['\"]?\s*[:=]\s*['\"]?(?:bearer |basic )?)"
    r"(?:'[^']*'|[^\s'\",]+)",
    re.IGNORECASE,
)


class Masker:
    """Hides secrets in texts.

    >>> Masker(["hunter2"]).mask("redis://:pa55@broker:6379/0 refused hunter2")
    'redis://:***@broker:6379/0 refused ***'
    >>> Masker().mask("https://clips.example/a.gif?size=5&X-Amz-Signature=f00d&X-Amz-Date=20261125")
    'https://clips.example/a.gif?size=5&X-Amz-Signature=***&X-Amz-Date=20261125'
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Take the secrets that are known; without any, what looks like one is hidden all the same."""
        long_enough = {secret for secret in secrets if len(secret) >= _MIN_SECRET_LENGTH}
        longest_first = sorted(long_enough, key=lambda secret: (-len(secret), secret))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def mask(self, text: str) -> str:
        """Return the text with ``***`` in place of every secret."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        text = _AFTER_USER.sub(_mask_in_text, text)
        text = _SECRET_PARAMETER.sub(rf"\g<name>{HIDDEN}", text)
        return _SECRET_FIELD.sub(rf"\g<name>{HIDDEN}", text)


def mask_url(url: str) -> str:
    """Return an address with its password, if it has one, as ``***``: by the same rule as in texts.

    Args:
        url: all of it is one address. In a text, where an address ends can only be guessed.

    >>> mask_url("postgresql://ann:secret@db:5432/annotations")
    'postgresql://ann:***@db:5432/annotations'
    """
    masked = _AFTER_USER_OF_WHOLE.sub(_mask_in_whole, url)
    return _SECRET_PARAMETER_OF_WHOLE.sub(rf"\g<name>{HIDDEN}", masked)


def secrets_of_url(url: str) -> set[str]:
    """Return what :func:`mask_url` hides of an address, and the same decoded.

    >>> sorted(secrets_of_url("postgresql://ann:d%40ta@db/clips?sslpassword=x"))
    ['d%40ta', 'd@ta', 'x']
    """
    hidden = {match["value"] for match in _SECRET_PARAMETER_OF_WHOLE.finditer(url)}
    found = (_password_of_whole(match) for match in _AFTER_USER_OF_WHOLE.finditer(url))
    hidden |= {password for password in found if password is not None}
    return hidden | {unquote(one) for one in hidden} | {unquote_plus(one) for one in hidden}


def _mask_in_text(match: re.Match[str]) -> str:
    """Hide the password up to the last @ of the line, or of what stands before a quotation mark behind a blank.

    What looks like a port is one in an address of the web, whose path may hold an @, and elsewhere, where no @ follows
    before the next blank.
    """
    rest: str = match["rest"]
    blank = re.search(r"\s", rest)
    word = rest[: blank.start()] if blank else rest
    if _PORT.fullmatch(word):
        searched = word if match["web"] is None else ""
    else:
        searched = word + re.split(r"[\"'<>]", rest[len(word) :], maxsplit=1)[0]
    password, at, _ = searched.rpartition("@")
    return _with_password_hidden(match, password) if at else match[0]


def _mask_in_whole(match: re.Match[str]) -> str:
    password = _password_of_whole(match)
    return match[0] if password is None else _with_password_hidden(match, password)


def _password_of_whole(match: re.Match[str]) -> str | None:
    password, at, _ = match["rest"].rpartition("@")
    is_path = match["web"] is not None and _PORT.fullmatch(match["rest"])
    return password if at and not is_path else None


def _with_password_hidden(match: re.Match[str], password: str) -> str:
    return f"://{match['user']}:{HIDDEN}{match['rest'][len(password) :]}"
