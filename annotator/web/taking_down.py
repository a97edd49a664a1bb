"""Takedowns, and looks at what they would take away: done by a process of its own, one at a time, and told to pages.

What was looked at, and the face on a picture, are kept in memory for a while, and nowhere else. A takedown is in the
database, step by step: when this program ends in the middle of it, the next one goes on.
"""

import json
import logging
import subprocess
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from annotator.web.errors import NOTED, WebError

KEPT_S: Final = 900.0
"""How long a look is kept after it has ended: so long a face that was given is known."""

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

    """

    began_at: datetime
    doing: str = "beginning"
    report: Mapping[str, Any] | None = None
    seen: Mapping[str, Any] | None = None
    why: str | None = None

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

    """

    began_at: datetime
    doing: str = "beginning"
    takedown_id: int | None = None
    is_over: bool = False
    why: str | None = None


class TakingDown:
    """Does one look or one takedown at a time. Safe for threads."""

    def __init__(
        self,
        command: Sequence[str],
        settings: Mapping[str, Any],
        environment: Mapping[str, str],
        *,
        kept_s: float = KEPT_S,
    ) -> None:
        """Take what is started.

        Args:
            command: the program: ``annotator.cli.web_takedown``.
            settings: values for ``load_settings``, which it is given with whatever is asked.
            environment: of the program.
            kept_s: how long a look is kept.

        """
        self._command = command
        self._settings = settings
        self._environment = environment
        self._kept_s = kept_s
        self._changed = threading.Condition()
        self._is_busy = False
        self._ended = 0
        self._state: TakedownState | None = None
        self._looks: OrderedDict[str, tuple[Look, float]] = OrderedDict()

    @property
    def state(self) -> TakedownState | None:
        """The last takedown of this program; None where there was none."""
        return self._state

    @property
    def is_busy(self) -> bool:
        """Something is under way."""
        return self._is_busy

    def look_of(self, key: str) -> Look | None:
        """Return a look that was begun; None where there is none, or it was long ago."""
        with self._changed:
            self._forget_old()
            found = self._looks.get(key)
            return None if found is None else found[0]

    def look(self, key: str, *, now: datetime, **asked: object) -> Look | None:
        """Begin to look what would go, or return the look that is kept; None where something else is under way.

        Args:
            key: under which it is kept.
            now: the time.
            asked: JSON values for the program.

        """
        with self._changed:
            self._forget_old()
            if key in self._looks:
                return self._looks[key][0]
            if self._is_busy:
                return None
            self._is_busy = True
            look = Look(now)
            self._looks[key] = (look, float("inf"))
            while len(self._looks) > _MOST_KEPT:
                self._looks.popitem(last=False)

        def tell(line: Mapping[str, Any]) -> None:
            self._change_look(key, line)

        self._start({**asked, "is_dry": True}, tell)
        return look

    def follow(self, ended: int) -> None:
        """Forget what was looked at where a takedown has ended since, in any program.

        Args:
            ended: how many have ended so far.

        """
        with self._changed:
            if ended != self._ended:
                self._ended = ended
                self._looks = OrderedDict((key, kept) for key, kept in self._looks.items() if not kept[0].is_over)

    def forget(self, key: str) -> None:
        """Forget a look."""
        with self._changed:
            self._looks.pop(key, None)

    def begin(self, *, now: datetime, takedown_id: int | None = None, **asked: object) -> None:
        """Begin a takedown, or go on with one.

        Args:
            now: the time.
            takedown_id: of one that was not finished.
            asked: JSON values for the program.

        Raises:
            WebError: another one is under way.

        """
        with self._changed:
            if self._is_busy:
                raise WebError(
                    409, "Somebody is looked at or taken down just now: try again in a while.", headers=_COME_AGAIN
                )
            self._is_busy = True
            self._state = TakedownState(now, takedown_id=takedown_id)
        self._start({**asked, "is_dry": False, "resumes": takedown_id}, self._change_state)

    def wait(self, is_so: Callable[[], bool], *, timeout_s: float) -> bool:
        """Wait until something is so that this program tells; return whether it is."""
        with self._changed:
            return self._changed.wait_for(is_so, timeout_s)

    def _start(self, asked: Mapping[str, object], tell: Callable[[Mapping[str, Any]], None]) -> None:
        thread = threading.Thread(target=self._run, args=(asked, tell), name="takedown", daemon=True)
        thread.start()

    def _run(self, asked: Mapping[str, object], tell: Callable[[Mapping[str, Any]], None]) -> None:
        is_over = False
        try:
            for line in self._told_by(json.dumps({"settings": self._settings, **asked})):
                is_over = is_over or self._take(line, tell)
        except Exception:  # noqa: BLE001 - the boundary of the thread: pages must be told that it has ended
            _LOG.exception("takedown")
        if not is_over:
            self._take({"failure": f"It ended before its end. {NOTED}", "reason": "ended"}, tell)

    def _take(self, line: Mapping[str, Any], tell: Callable[[Mapping[str, Any]], None]) -> bool:
        """Take what the program tells, and return whether that is its last word: another one may begin then."""
        with self._changed:
            tell(line)
            if "failure" in line:
                _LOG.warning("takedown: %s", line.get("reason"))  # its words may be a name
            is_over = "report" in line or "failure" in line
            if is_over:
                self._is_busy = False
            self._changed.notify_all()
            return is_over

    def _told_by(self, line: str) -> Iterator[Mapping[str, Any]]:
        process = subprocess.Popen(
            [*self._command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(self._environment),
        )
        with process:
            if process.stdin is None or process.stdout is None:
                return
            try:
                process.stdin.write(line + "\n")
                process.stdin.flush()
                # As long as the program may read on, its standard input is open: it ends with this one.
                for told in process.stdout:
                    yield json.loads(told)
            finally:
                process.kill()

    def _change_look(self, key: str, line: Mapping[str, Any]) -> None:
        with self._changed:
            look, until_s = self._looks.get(key, (None, 0.0))
            if look is None:
                return
            look = replace(
                look,
                doing=line.get("doing", look.doing),
                report=line.get("report", look.report),
                seen=line.get("seen", look.seen),
                why=_sentence(line["failure"]) if "failure" in line else look.why,
            )
            if look.is_over:
                until_s = time.monotonic() + self._kept_s
                timer = threading.Timer(self._kept_s + 1.0, self._forget_old)  # also where nobody asks any more
                timer.daemon = True
                timer.start()
            self._looks[key] = (look, until_s)

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
            )
            if "report" in line:
                self._state = replace(self._state, takedown_id=line["report"]["takedown"])
                self._looks.clear()  # what would go is another thing now

    def _forget_old(self) -> None:
        with self._changed:
            now_s = time.monotonic()
            for key in [key for key, (_, until_s) in self._looks.items() if until_s <= now_s]:
                del self._looks[key]


def _sentence(words: str) -> str:
    return f"{words.rstrip('.')}."
