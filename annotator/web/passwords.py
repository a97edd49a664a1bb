"""Hashes of passwords: argon2id with the parameters that its authors recommend where memory is scarce (RFC 9106)."""

import threading
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from annotator.errors import AccountError

SHORTEST: Final = 12
LONGEST: Final = 1024
# A hash takes 64 MiB and 30 to 100 ms: so many at once, whoever asks.
_AT_ONCE: Final = threading.BoundedSemaphore(2)
_HASHER: Final = PasswordHasher()


def hash_password(password: str) -> str:
    """Return what is kept of a password.

    Raises:
        AccountError: it is too short, or too long.

    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise AccountError(f"a password has {SHORTEST} to {LONGEST} letters, this one has {len(password)}")
    with _AT_ONCE:
        return _HASHER.hash(password)


def is_password(password_hash: str | None, password: str) -> bool:
    """Say whether a password is the one of a hash.

    Args:
        password_hash: of :func:`hash_password`; None, for an account that does not exist, is compared with one that
            nobody knows, and takes as long.
        password: as typed.

    """
    with _AT_ONCE:
        if password_hash is None:
            _HASHER.hash(password[:LONGEST])
            return False
        try:
            return _HASHER.verify(password_hash, password[: LONGEST + 1])
        except (VerificationError, InvalidHashError):
            return False
