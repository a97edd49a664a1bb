"""What must never be read by others is taken out of texts: passwords in addresses, signatures, known secrets."""

import re
from collections.abc import Iterable
from typing import Final

HIDDEN: Final = "***"

# Shorter ones would take harmless text along; in an address they are hidden all the same.
_MIN_SECRET_LENGTH: Final = 4
# Up to the last @ before the path: a password that was not percent-encoded must not show either.
_PASSWORD_IN_URL: Final = re.compile(r"(?<=://)([^\s:/?#@]*):[^\s/]*@")
# Whoever has a presigned address has the object; the rest of its query is harmless and stays.
_SECRET_PARAMETER: Final = re.compile(
    r"(?P<name>[?&;](?:x-(?:amz|goog)-(?:signature|credential|security-token)|signature|sig|awsaccesskeyid|key-pair-id"
    r"|policy|(?:\w+[_-])?token|(?:\w*[_-])?(?:api)?key|pass(?:word|wd)?|pwd|secret)=)[^&\s\"'<>]*",
    re.IGNORECASE,
)
# A connection string of libpq, a header.
_SECRET_FIELD: Final = re.compile(
    r"(?P<name>\bpassword\s*=\s*|\bauthorization['\"]?\s*[:=]\s*['\"]?(?:bearer |basic )?)(?:'[^']*'|[^\s'\",]+)",
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
        text = _PASSWORD_IN_URL.sub(rf"\1:{HIDDEN}@", text)
        text = _SECRET_PARAMETER.sub(rf"\g<name>{HIDDEN}", text)
        return _SECRET_FIELD.sub(rf"\g<name>{HIDDEN}", text)
