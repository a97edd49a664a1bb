"""Messages of errors as rows keep them: bounded, readable by every database, and without secrets."""

from typing import Final

from annotator.masking import Masker

# A row keeps a sentence, not a log.
_MOST_CHARACTERS: Final = 2000
_MASKER: Final = Masker()


def clean_message(message: str) -> str:
    """Return a message as a row takes it: no secrets, no NUL, no lone surrogates, of bounded length.

    >>> clean_message("https://ann:pa55@host/a.gif?sig=f00d answers 500")
    'https://ann:***@host/a.gif?sig=*** answers 500'
    """
    whole = _MASKER.mask(message.replace("\x00", "").encode("utf-8", "replace").decode("utf-8"))
    return whole if len(whole) <= _MOST_CHARACTERS else whole[: _MOST_CHARACTERS - 1] + "…"
