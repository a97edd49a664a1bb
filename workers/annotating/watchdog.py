"""The watchdog: tells the supervisor that the worker gets on, and lets the process leave when it does not.

A decoder that hangs is killed by its own limits, and a media that takes too long is given up by its decoding thread.
What is left is code that cannot be stopped from outside: a network that never returns. Only the end of the process
helps there.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from annotator.liveness import AliveFile, State
from annotator.store.queue.lanes import FILM, GIF, Lane
from workers.annotating.media_queue import Begun

_LOGGER: Final = logging.getLogger(__name__)
HANG_SHARE: Final = 0.95
"""Of a claim's deadline: earlier than the sweeper, which would blame the deadline and let others hang the same way."""
_MAX_SILENT_HEART_S: Final = 300.0
"""The heart may wait for a database that is away, not for ever."""


class Watchdog:
    """One thread, which waits for nobody: not for the database, not for the networks."""

    def __init__(  # noqa: PLR0913 - the parts, by name
        self,
        *,
        every_s: float,
        silent_s: Callable[[], float],
        state: Callable[[], State],
        alive: AliveFile | None,
        begun: Callable[[], Sequence[Begun]] = tuple,
        deadlines: Mapping[Lane, float] | None = None,
        on_hang: Callable[[Begun], None] = lambda _: None,
        on_turn: Callable[[], None] = lambda: None,
    ) -> None:
        """Take whom to watch; :meth:`start` begins.

        Args:
            every_s: time between two looks.
            silent_s: for how long the heart has not come round.
            state: what the supervisor is told.
            alive: where it is told; None for nowhere.
            begun: what is under way in the engine, where there is one.
            deadlines: how long a claim may last, in seconds, by lane.
            on_hang: called once with the media that has held the engine for too long.
            on_turn: called at every look.

        """
        self._every_s = every_s
        self._begun = begun
        self._deadlines = deadlines or {}
        self._silent_s = silent_s
        self._state = state
        self._alive = alive
        self._on_hang = on_hang
        self._on_turn = on_turn
        self._seen_s: dict[Begun, float] = {}
        self._awake_s = 0.0
        self._is_file_broken = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Say that the worker is ready, and begin to watch."""
        self._tell()
        self._thread.start()

    def close(self) -> None:
        """Stop watching and take the sign of life away."""
        self._closed.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(1.0)
        if self._alive is not None:
            self._alive.remove()

    def _run(self) -> None:
        looked_s = time.monotonic()
        while not self._closed.wait(self._every_s):
            now_s = time.monotonic()
            # A process that was frozen has not hung: time counts only as far as this thread has lived through it.
            self._awake_s += min(now_s - looked_s, 2 * self._every_s)
            looked_s = now_s
            self._on_turn()
            hung = self._look()
            if hung is not None:
                self._on_hang(hung)
                return
            if self._silent_s() < _MAX_SILENT_HEART_S and not self._closed.is_set():
                self._tell()

    def _look(self) -> Begun | None:
        """Return what has been under way for too long."""
        begun = self._begun()
        self._seen_s = {one: self._seen_s.get(one, self._awake_s) for one in begun}
        for one in begun:
            limit_s = HANG_SHARE * self._deadlines[FILM if one.is_film else GIF]
            if self._awake_s - self._seen_s[one] > limit_s:
                return one
        return None

    def _tell(self) -> None:
        if self._alive is None:
            return
        try:
            self._alive.beat(self._state())
            self._is_file_broken = False
        except OSError as error:  # a file that cannot be written must not harm the work
            if not self._is_file_broken:
                _LOGGER.warning("The sign of life cannot be written: %s.", error)
            self._is_file_broken = True
