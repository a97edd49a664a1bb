"""Tombstones: how a person who must not be known any more is recognised by name, without the name being kept.

A tombstone is scrypt over the name, with one salt for all of a database. It cannot be read backwards, but names can be
tried: whoever has the database can ask it of a name that he already has in mind, at the price of SCRYPT_COST each time.
It keeps the list from being a directory of those who asked to be forgotten, not from being asked about one person.
"""

import hashlib
import re
import unicodedata
from typing import Final

from annotator.types import Identity

SALT_BYTES: Final = 16
DIGEST_BYTES: Final = 32
SCRYPT_COST: Final = 2**14
"""scrypt's N; with r = 8 and p = 1 a name takes 16 MiB and about 40 ms of one processor."""

_SCRYPT_BLOCK: Final = 8
_SCRYPT_MEMORY_BYTES: Final = 64 * 1024 * 1024  # more than it needs: OpenSSL refuses where it is too little


def name_digest(key: str, *, salt: bytes) -> bytes:
    """Return the tombstone of a name: 32 bytes.

    Args:
        key: one of :func:`keys_of`.
        salt: of the database.

    """
    return hashlib.scrypt(
        key.encode(),
        salt=salt,
        n=SCRYPT_COST,
        r=_SCRYPT_BLOCK,
        p=1,
        maxmem=_SCRYPT_MEMORY_BYTES,
        dklen=DIGEST_BYTES,
    )


def keys_of(identity: Identity) -> list[str]:
    """Return what stands for a person: the name without case, accents, punctuation and spacing; the Knowledge Graph id.

    >>> keys_of(Identity("Beyoncé  Knowles-Carter")), keys_of(Identity("50_Cent", "/m/01vvyc_"))
    (['name beyonceknowlescarter'], ['name 50cent', 'kg /m/01vvyc_'])
    """
    named = [f"name {plain_name(identity.name)}"]
    return [*named, f"kg {identity.kg_mid}"] if identity.kg_mid else named


def plain_name(name: str) -> str:
    """Return only the letters and digits of a name, without case and accents: however it is written, it is the same.

    >>> plain_name("  Żółć_Straße "), plain_name("O'Neil, Jr.")
    ('zołcstrasse', 'oneiljr')
    """
    return "".join(char for char in folded(name) if char.isalnum())


def folded(text: str) -> str:
    """Return a text without case and accents; letter for letter, so that it may be asked of a text or of its letters.

    >>> folded("Zoë Ek, ŻÓŁĆ"), folded("Straße")
    ('zoe ek, zołc', 'strasse')
    """
    text = text.casefold()
    for _ in range(3):  # folded characters may decompose, and decomposed ones fold: three rounds settle all of Unicode
        small = without_marks(text)
        text = small.casefold()
        if text == small:
            break
    return text


def without_marks(text: str) -> str:
    """Return a text without accents.

    >>> without_marks("Zoë Ek")
    'Zoe Ek'
    """
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFKD", text)
    marks = "".join(char for char in set(decomposed) if unicodedata.combining(char))  # none of them has to be escaped
    return re.sub(f"[{marks}]", "", decomposed) if marks else decomposed
