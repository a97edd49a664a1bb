"""A job of beat: what is worth a reviewer's look is queued, some at a time; tracks without a name, too."""

import time
from typing import Final

from sqlalchemy import Engine

from annotator.store.review.scanning import next_nameless, scan_nameless, scan_some
from workers.beat.shown_names import ShownNames

_TURN_S: Final = 10.0  # after so long a turn begins no further thousands


class ReviewFiller:
    """Looks through what has come since the last turn."""

    def __init__(self, engine: Engine, names: ShownNames) -> None:
        """Take what loads models; nothing is loaded yet.

        Args:
            engine: of the database.
            names: of the model that is shown.

        """
        self._engine = engine
        self._names = names

    def run(self) -> int:
        """Do a turn, which takes seconds at most; may be killed at any time. Returns the contents looked at.

        Raises:
            StoreUnavailableError: the database does not answer.

        """
        until_s = time.monotonic() + _TURN_S
        looked_at, is_done = 0, False
        while not is_done and time.monotonic() < until_s:
            scanned = scan_some(self._engine)
            looked_at, is_done = looked_at + scanned.contents, scanned.is_done
        while time.monotonic() < until_s and (this := next_nameless(self._engine)) is not None:
            names = self._names.find(this.model, this.digest)
            if names is None:
                break
            scan_nameless(self._engine, this, names.identify)
            looked_at += this.contents
        return looked_at
