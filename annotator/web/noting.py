"""When it is time to try again to note that a session or a token is used: seldom, also where noting it fails."""

import threading
from datetime import datetime
from typing import Final

from annotator.store.web.sessions import NOTED_EVERY

_MOST: Final = 10_000


class Noting:
    """Remembers, in this process, when noting was last tried; for as long as it forbids another try."""

    def __init__(self) -> None:
        """Begin."""
        self._lock = threading.Lock()
        self._tried_at: dict[bytes, datetime] = {}

    def is_due(self, digest: bytes, now: datetime) -> bool:
        """Say whether noting may be tried, and take it as tried.

        Args:
            digest: of the session or token.
            now: the time.

        """
        with self._lock:
            tried_at = self._tried_at.get(digest)
            if tried_at is not None and now - tried_at < NOTED_EVERY:
                return False
            if len(self._tried_at) >= _MOST:
                self._tried_at = {one: at for one, at in self._tried_at.items() if now - at < NOTED_EVERY}
            self._tried_at[digest] = now
            return True
