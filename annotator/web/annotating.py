"""The process that annotates what visitors give: started when there is something to do, and looked after.

It is a process of its own: pages stay quick while networks compute, what goes wrong in a network or ends it takes no
page along, and its memory is free again when nobody has given anything for a while. What it is to do is in the
database; by its standard input it is told to look there, and to leave.
"""

import contextlib
import logging
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Final, Protocol, Self

from annotator.errors import StoreUnavailableError
from annotator.store import Store
from annotator.store.web.jobs import give_back, has_work, job_in_hand, take_job

LOOK_EVERY_S: Final = 1.0
FIRST_WAIT_S: Final = 2.0
# Loading a model takes seconds, giving an archive new names first minutes: a job has so much longer than it may take.
MARGIN_S: Final = 600.0
_LONGEST_WAIT_S: Final = 300.0
_LEAVES_WITHIN_S: Final = 3.0
_TOLD_TO_LEAVE: Final = frozenset({os.EX_OK, -signal.SIGTERM, -signal.SIGINT})
# It could begin, or was killed from outside: what waits is not to blame.
_NOT_BY_WHAT_WAITS: Final = frozenset({os.EX_SOFTWARE, -signal.SIGKILL})
_LOG: Final = logging.getLogger(__name__)


class Helper(Protocol):
    """The process, as :mod:`subprocess` has it."""

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""

    def wake(self) -> None:
        """Tell it that there is something to do."""

    def leave(self, within_s: float) -> None:
        """Tell it to leave, and end it if it has not left in time."""

    def kill(self) -> None:
        """End it: it does not answer any more."""


class HelperProcess:
    """A child that reads lines: the first says what it works with, each further one wakes it, the end lets it leave."""

    def __init__(self, command: Sequence[str], first_line: str, environment: Mapping[str, str]) -> None:
        """Start it."""
        self._process = subprocess.Popen([*command], stdin=subprocess.PIPE, text=True, env=dict(environment))
        self._write(first_line)

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""
        return self._process.poll()

    def wake(self) -> None:
        """Tell it that there is something to do."""
        self._write("")

    def leave(self, within_s: float) -> None:
        """Tell it to leave, and end it if it has not left in time."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """End it: it does not answer any more."""
        self._process.kill()

    def _write(self, line: str) -> None:
        with contextlib.suppress(OSError):  # it has ended: that is found out by its exit code
            if self._process.stdin is not None:
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()


class Annotating:
    """Looks after the process, in a thread of its own, while its context lasts."""

    def __init__(
        self,
        store: Store,
        start: Callable[[str], Helper],
        *,
        now: Callable[[], datetime],
        longest_s: float,
        look_every_s: float = LOOK_EVERY_S,
        first_wait_s: float = FIRST_WAIT_S,
    ) -> None:
        """Take where the jobs are.

        Args:
            store: the database.
            start: starts the process, given the name of its session.
            now: the clock.
            longest_s: a process that has had one job in hand for so long hangs, and is ended.
            look_every_s: how long it waits between two looks whether the process lives, and whether it is needed.
            first_wait_s: how long no process is started after one that could do nothing; each further one doubles it,
                up to five minutes.

        """
        self._look_every_s = look_every_s
        self._longest_s = longest_s
        self._first_wait_s = first_wait_s
        self._wait_s = first_wait_s
        self._not_before_s = 0.0
        self._started_s = 0.0
        self._in_hand: tuple[int | None, float] = (None, 0.0)
        self._store = store
        self._start = start
        self._now = now
        self._helper: Helper | None = None
        self._session = ""
        self._changed = threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="annotating", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closing = True
        self._changed.set()
        self._thread.join()

    def wake(self) -> None:
        """Say that there is something to do."""
        self._changed.set()

    def _run(self) -> None:
        while not self._is_closing:
            is_told = self._changed.wait(self._look_every_s)
            if is_told:  # what is said right after the wait is for the next look
                self._changed.clear()
            try:
                self._look(is_told=is_told)
            except StoreUnavailableError as error:
                _LOG.warning("what visitors give waits: %s", error)
            except Exception:  # noqa: BLE001 - the boundary: pages go on
                _LOG.exception("what visitors give waits")
        self._close()

    def _look(self, *, is_told: bool) -> None:
        if self._helper is not None and (code := self._helper.poll()) is not None:
            self._note_end(code)
            self._helper = None
        if self._is_closing:
            return
        if self._helper is not None:
            if is_told:
                self._helper.wake()
            self._end_if_it_hangs(self._helper)
            return
        if time.monotonic() < self._not_before_s:
            return
        with self._store.reading() as connection:
            is_wanted = has_work(connection, now=self._now())
        if is_wanted:
            self._session, self._started_s = secrets.token_hex(8), time.monotonic()
            self._in_hand = (None, self._started_s)
            self._helper = self._start(self._session)

    def _end_if_it_hangs(self, helper: Helper) -> None:
        """End a process that has had the same job in hand for too long, or has left what waits alone for so long."""
        now_s = time.monotonic()
        with self._store.reading() as connection:
            job_id = job_in_hand(connection, self._session)
            is_idle = job_id is None and not has_work(connection, now=self._now())
        if is_idle or job_id != self._in_hand[0]:
            self._in_hand = (job_id, now_s)
        elif now_s - self._in_hand[1] > self._longest_s:
            _LOG.warning("what annotates for visitors hangs since %.0f s, and is ended", now_s - self._in_hand[1])
            self._in_hand = (job_id, now_s)
            helper.kill()

    def _note_end(self, code: int) -> None:
        """Give back what the process had in hand; what it may have been ended by counts as a try of it."""
        is_later = code == os.EX_TEMPFAIL
        is_lost = not is_later and code not in _TOLD_TO_LEAVE
        with self._store.writing() as connection:
            had_any = job_in_hand(connection, self._session) is not None
            # One that ends before it can read its settings must not be started for ever.
            if is_lost and not had_any and code not in _NOT_BY_WHAT_WAITS:
                take_job(connection, self._session, now=self._now())
            give_back(connection, self._session, is_lost=is_lost)
        if is_lost:
            _LOG.warning("what annotates for visitors has ended with %d", code)
        self._rest(is_in_vain=is_later or (is_lost and not had_any))

    def _rest(self, *, is_in_vain: bool) -> None:
        """Wait longer and longer before each process after those that could do nothing."""
        now_s = time.monotonic()
        if not is_in_vain or now_s - self._started_s > _LONGEST_WAIT_S:
            self._wait_s = self._first_wait_s
        if is_in_vain:
            self._not_before_s = now_s + self._wait_s
            self._wait_s = min(2 * self._wait_s, _LONGEST_WAIT_S)

    def _close(self) -> None:
        if self._helper is None:
            return
        self._helper.leave(_LEAVES_WITHIN_S)
        with contextlib.suppress(StoreUnavailableError), self._store.writing() as connection:
            give_back(connection, self._session, is_lost=False)
