"""Takedowns, and looks at what they would take away: done by a process of its own, one at a time, and told to pages.

What was looked at, and the face on a picture, are kept in memory for a while, and nowhere else. A takedown is in the
database, step by step: when this program ends in the middle of it, the next one goes on.
"""

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from annotator.web.errors import NOTED, WebError
from annotator.web.telling import lines_told

KEPT_S: Final = 900.0
"""How long a look is kept after it has ended: so long a face that was given is known. Sentences about what went wrong,
which may name somebody, are kept no longer."""

LOOKS_FOR_S: Final = 3600.0
"""How long a look may take: then it is ended, so that others get their turn."""

_STOPS_WITHIN_S: Final = 30.0

_MOST_KEPT: Final = 16
_COME_AGAIN: Final = {"Retry-After": "10"}
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """What would go of somebody.

    Attributes:
        began_at: when it began.
        doing: what is done now, or was done last.
        report: what would go, as of ``TakedownReport.to_json``; None as long as it goes on, or where it went wrong.
        seen: who is on a picture: ``name``, None for nobody known, and ``face``; None where none was given.
        why: what went wrong, as a sentence.
        is_transient: that may be otherwise when it is looked again.

    """

    began_at: datetime
    doing: str = "beginning"
    report: Mapping[str, Any] | None = None
    seen: Mapping[str, Any] | None = None
    why: str | None = None
    is_transient: bool = False

    @property
    def is_over(self) -> bool:
        """It has ended, one way or the other."""
        return self.report is not None or self.why is not None


@dataclass(frozen=True, slots=True)
class TakedownState:
    """A takedown that this program does, or has done last.

    Attributes:
        began_at: when it began, or went on.
        doing: what is done now, or was done last.
        takedown_id: its number; None as long as it has none.
        is_over: it has ended, one way or the other.
        why: what went wrong, as a sentence; None where nothing did.
        is_transient: that may be otherwise when it is begun again.

    """

    began_at: datetime
    doing: str = "beginning"
    takedown_id: int | None = None
    is_over: bool = False
    why: str | None = None
    is_transient: bool = False


@dataclass(slots=True, eq=False)
class _Kept:
    """A look, until when it is kept, and how many takedowns had ended when it began: more are another archive."""

    look: Look
    ended: int
    until_s: float = math.inf


@dataclass(slots=True, eq=False)
class _Run:
    """The program at work. Why it was stopped is told instead of what it says itself."""

    is_look: bool
    kill: Callable[[], None] | None = None
    stopped: str | None = None


class TakingDown:
    """Does one look or one takedown at a time. Safe for threads."""

    def __init__(
        self,
        command: Sequence[str],
        settings: Mapping[str, Any],
        environment: Mapping[str, str],
        *,
        kept_s: float = KEPT_S,
        looks_for_s: float = LOOKS_FOR_S,
    ) -> None:
        """Take what is started.

        Args:
            command: the program: ``annotator.cli.web_takedown``.
            settings: values for ``load_settings``, which it is given with whatever is asked.
            environment: of the program.
            kept_s: how long a look is kept.
            looks_for_s: how long a look may take.

        """
        self._command = command
        self._settings = settings
        self._environment = environment
        self._kept_s = kept_s
        self._looks_for_s = looks_for_s
        self._changed = threading.Condition()
        self._run: _Run | None = None
        self._ended = 0
        self._state: TakedownState | None = None
        self._state_until_s = math.inf
        self._looks: OrderedDict[str, _Kept] = OrderedDict()
        self._timer: threading.Timer | None = None

    @property
    def state(self) -> TakedownState | None:
        """The last takedown of this program; None where there was none, or it went wrong long ago."""
        with self._changed:
            self._forget_old()
            return self._state

    @property
    def is_busy(self) -> bool:
        """Something is under way."""
        return self._run is not None

    def look_of(self, key: str) -> Look | None:
        """Return a look that was begun; None where there is none, or it was long ago."""
        with self._changed:
            self._forget_old()
            found = self._looks.get(key)
            return None if found is None else found.look

    def look(self, key: str, *, now: datetime, **asked: object) -> Look | None:
        """Begin to look what would go, or return the look that is kept; None where something else is under way.

        What went wrong is told once: who asks again lets it begin anew.

        Args:
            key: under which it is kept.
            now: the time.
            asked: JSON values for the program.

        """
        with self._changed:
            self._forget_old()
            if key in self._looks:
                look = self._looks[key].look
                if look.why is not None:
                    del self._looks[key]
                return look
            if self._run is not None:
                return None
            run = self._run = _Run(is_look=True)
            look = Look(now)
            self._looks[key] = _Kept(look, self._ended)
            while len(self._looks) > _MOST_KEPT:
                self._looks.popitem(last=False)

        def tell(line: Mapping[str, Any]) -> None:
            self._change_look(key, line)

        self._start(run, {**asked, "is_dry": True}, tell)
        return look

    def follow(self, ended: int) -> None:
        """Forget what was looked at where a takedown has ended since it was begun, in any program.

        A look that is under way is forgotten when it has ended.

        Args:
            ended: how many have ended so far.

        """
        with self._changed:
            if ended != self._ended and self._state is not None and self._state.why is not None:
                self._state = None
            self._ended = ended
            for key in [key for key, one in self._looks.items() if one.look.is_over and one.ended != ended]:
                del self._looks[key]

    def forget(self, key: str) -> None:
        """Forget a look."""
        with self._changed:
            self._looks.pop(key, None)

    def begin(self, *, now: datetime, takedown_id: int | None = None, **asked: object) -> None:
        """Begin a takedown, or go on with one. A look that is under way is ended: takedowns wait for none.

        Args:
            now: the time.
            takedown_id: of one that was not finished.
            asked: JSON values for the program.

        Raises:
            WebError: another one is under way.

        """
        with self._changed:
            if self._run is not None and self._run.is_look:
                self._stop(self._run, "A takedown has begun meanwhile, which ended the look: look again")
                self._changed.wait_for(lambda: self._run is None or not self._run.is_look, _STOPS_WITHIN_S)
            if self._run is not None:
                raise WebError(503, "Somebody is taken down just now: try again in a while.", headers=_COME_AGAIN)
            run = self._run = _Run(is_look=False)
            self._state, self._state_until_s = TakedownState(now, takedown_id=takedown_id), math.inf
        self._start(run, {**asked, "is_dry": False, "resumes": takedown_id}, self._change_state)

    def wait(self, is_so: Callable[[], bool], *, timeout_s: float) -> bool:
        """Wait until something is so that this program tells; return whether it is."""
        with self._changed:
            return self._changed.wait_for(is_so, timeout_s)

    def _start(self, run: _Run, asked: Mapping[str, object], tell: Callable[[Mapping[str, Any]], None]) -> None:
        thread = threading.Thread(target=self._do, args=(run, asked, tell), name="takedown", daemon=True)
        thread.start()

    def _do(self, run: _Run, asked: Mapping[str, object], tell: Callable[[Mapping[str, Any]], None]) -> None:
        minutes = f"{self._looks_for_s / 60:g} minutes"
        words = f"It was looked for {minutes} without an end: `annotator takedown` looks as long as it takes"
        limit = threading.Timer(self._looks_for_s, self._stop, (run, words))
        limit.daemon = True
        if run.is_look:
            limit.start()
        is_over = False
        try:
            whole = {"settings": self._settings, **asked}
            started = partial(self._started, run)
            for line in lines_told(self._command, self._environment, whole, started=started):
                is_over = is_over or self._take(run, line, tell)
        except Exception:  # noqa: BLE001 - the boundary of the thread: pages must be told that it has ended
            _LOG.exception("takedown")
        limit.cancel()
        if not is_over:
            words = run.stopped or f"It ended before its end. {NOTED}"
            self._take(run, {"failure": words, "reason": "ended", "is_transient": run.stopped is not None}, tell)

    def _stop(self, run: _Run, why: str) -> None:
        """End a program in the middle."""
        with self._changed:
            run.stopped = run.stopped or why
            if run.kill is not None:
                run.kill()

    def _take(self, run: _Run, line: Mapping[str, Any], tell: Callable[[Mapping[str, Any]], None]) -> bool:
        """Take what the program tells, and return whether that is its last word: another one may begin then."""
        with self._changed:
            tell(line)
            if "failure" in line:
                _LOG.warning("takedown: %s", line.get("reason"))  # its words may be a name
            is_over = "report" in line or "failure" in line
            if is_over and self._run is run:
                self._run = None
            self._changed.notify_all()
            return is_over

    def _started(self, run: _Run, kill: Callable[[], None]) -> None:
        with self._changed:
            run.kill = kill
            if run.stopped is not None:
                kill()

    def _change_look(self, key: str, line: Mapping[str, Any]) -> None:
        with self._changed:
            kept = self._looks.get(key)
            if kept is None:
                return
            look = kept.look
            kept.look = replace(
                look,
                doing=line.get("doing", look.doing),
                report=line.get("report", look.report),
                seen=line.get("seen", look.seen),
                why=_sentence(line["failure"]) if "failure" in line else look.why,
                is_transient=line.get("is_transient", look.is_transient),
            )
            if kept.look.is_over:
                kept.until_s = time.monotonic() + self._kept_s
                self._plan()

    def _change_state(self, line: Mapping[str, Any]) -> None:
        with self._changed:
            state = self._state
            assert state is not None  # noqa: S101 - for the type checker: it is set before the thread begins
            self._state = replace(
                state,
                doing=line.get("doing", state.doing),
                takedown_id=line.get("takedown", state.takedown_id),
                is_over="report" in line or "failure" in line,
                why=_sentence(line["failure"]) if "failure" in line else state.why,
                is_transient=line.get("is_transient", state.is_transient),
            )
            if "report" in line:
                self._state = replace(self._state, takedown_id=line["report"]["takedown"])
                self._looks.clear()  # what would go is another thing now
            if self._state.why is not None:
                self._state_until_s = time.monotonic() + self._kept_s
                self._plan()

    def _forget_old(self) -> None:
        with self._changed:
            now_s = time.monotonic()
            for key in [key for key, one in self._looks.items() if one.until_s <= now_s]:
                del self._looks[key]
            if self._state_until_s <= now_s:
                self._state, self._state_until_s = None, math.inf

    def _plan(self) -> None:
        """Let what ends first be forgotten at its time, also where nobody asks any more; then the next."""
        soonest_s = min([one.until_s for one in self._looks.values()] + [self._state_until_s])
        if self._timer is None and soonest_s < math.inf:
            self._timer = threading.Timer(max(0.0, soonest_s - time.monotonic()) + 1.0, self._forget_in_time)
            self._timer.daemon = True
            self._timer.start()

    def _forget_in_time(self) -> None:
        with self._changed:
            self._timer = None
            self._forget_old()
            self._plan()


def _sentence(words: str) -> str:
    return f"{words.rstrip('.')}."
