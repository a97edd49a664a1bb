"""An attempt to log in elsewhere: what goes along, and must come back to the browser that began it.

Nothing is kept for it. State, nonce and PKCE's verifier are made from the secret of the browser's cookie, which no one
else knows: an answer that belongs to another browser, or to an attempt before the last login, fits to none.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

# Whoever has to look for a second factor needs a while.
LASTS: Final = timedelta(minutes=10)
_LONGEST_TARGET: Final = 1000


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to log in elsewhere.

    Attributes:
        body: when it began, something random, and where to go afterwards; with dots between, none of it secret.
        secret: of the cookie.

    """

    body: str
    secret: str

    @classmethod
    def begin(cls, secret: str, *, target: str, now: datetime) -> Self:
        """Return a new attempt.

        Args:
            secret: of the browser's cookie.
            target: a path of ours, to go to afterwards; one that is too long for an address is forgotten.
            now: the time.

        """
        kept = _encoded(target.encode()) if len(target) <= _LONGEST_TARGET else ""
        return cls(f"{int(now.timestamp())}.{secrets.token_urlsafe(16)}.{kept}", secret)

    @classmethod
    def of_state(cls, state: str, secret: str | None, *, now: datetime) -> Self | None:
        """Return the attempt that an answer belongs to; None where it is none of this browser, or over.

        Args:
            state: as it came back.
            secret: of the cookie that came along.
            now: the time.

        """
        body, _, given = state.rpartition(".")
        if secret is None:
            return None
        attempt = cls(body, secret)
        if not hmac.compare_digest(attempt._derived("state").encode(), given.encode()):
            return None
        age_s = now.timestamp() - int(body.partition(".")[0])
        return attempt if 0 <= age_s <= LASTS.total_seconds() else None

    @property
    def state(self) -> str:
        """What comes back with the answer."""
        return f"{self.body}.{self._derived('state')}"

    @property
    def nonce(self) -> str:
        """What the token must hold."""
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """What only we can show when the code is exchanged: who has stolen a code cannot use it."""
        return self._derived("verifier")

    @property
    def challenge(self) -> str:
        """What the provider is told of the verifier beforehand (RFC 7636, S256)."""
        return _encoded(hashlib.sha256(self.verifier.encode()).digest())

    @property
    def target(self) -> str:
        """Where to go afterwards, as it was given; empty where nothing was."""
        kept = self.body.rpartition(".")[2]
        return base64.urlsafe_b64decode(kept + "=" * (-len(kept) % 4)).decode()

    def _derived(self, purpose: str) -> str:
        return _encoded(hmac.digest(self.secret.encode(), f"annotator-{purpose}:{self.body}".encode(), "sha256"))


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
