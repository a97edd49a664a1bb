"""What is computed of the whole archive: by a process of its own, that nobody waits for; pages say how far it is."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from annotator.web.errors import NOTED, WebError
from annotator.web.telling import lines_told

_TOLD_FOR: Final = timedelta(minutes=15)
"""So long pages tell how one has ended: after that, what it has made says enough."""
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ComputingState:
    """One that goes on, or the last one that this program has done.

    Attributes:
        began_at: when.
        doing: what is done now, or was done last.
        ended_at: when it ended; None while it goes on.
        came_to: what it came to, as a sentence; None where it goes on, or went wrong.
        why: what went wrong, as a sentence with the remedy; None where nothing did.

    """

    began_at: datetime
    doing: str = "beginning"
    ended_at: datetime | None = None
    came_to: str | None = None
    why: str | None = None


class GoesOnError(WebError):
    """It is computed just now: whoever wants it begun has what was wanted."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__(409, "It is under way already: wait until it is done.")


class Computing:
    """Computes one thing at a time. Safe for threads.

    The program tells (:func:`~annotator.web.telling.lines_told`) what it does (``doing``), then what it came to
    (``came_to``) or what went wrong (``failure``).
    """

    def __init__(
        self,
        command: Sequence[str],
        settings: Mapping[str, Any],
        environment: Mapping[str, str],
        *,
        now: Callable[[], datetime],
    ) -> None:
        """Take what is started.

        Args:
            command: the program.
            settings: values for ``load_settings``, which it is given.
            environment: of the program.
            now: the clock.

        """
        self._command = command
        self._settings = settings
        self._environment = environment
        self._now = now
        self._lock = threading.Lock()
        self._state: ComputingState | None = None
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> ComputingState | None:
        """The one that goes on, or that has ended a short while ago; None is none."""
        state = self._state
        if state is not None and state.ended_at is not None and self._now() - state.ended_at > _TOLD_FOR:
            return None
        return state

    def begin(self, *, model: str) -> None:
        """Begin it.

        Args:
            model: as ``ANNOTATOR_MODEL`` has it.

        Raises:
            GoesOnError: it is under way.

        """
        with self._lock:
            if self._state is not None and self._state.ended_at is None:
                raise GoesOnError
            self._state = ComputingState(self._now())
            asked = {"settings": {**self._settings, "model": model}}
            self._thread = threading.Thread(target=self._run, args=(asked,), name="computing", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                self._state = None
                raise

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait until it has ended."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self, asked: Mapping[str, object]) -> None:
        came_to, why = None, f"It ended before its end. {NOTED}"
        try:
            for told in lines_told(self._command, self._environment, asked):
                if "doing" in told:
                    self._change(doing=told["doing"])
                came_to, why = told.get("came_to"), told.get("failure", why)
        except Exception:  # noqa: BLE001 - the boundary of the thread: pages must be told that it has ended
            _LOG.exception("computing")
        if came_to is None:
            _LOG.warning("%s: %s", " ".join(self._command[-2:]), why)
            self._change(ended_at=self._now(), why=_sentence(why))
        else:
            self._change(ended_at=self._now(), came_to=_sentence(came_to))

    def _change(self, **changed: Any) -> None:  # noqa: ANN401 - fields of the state
        state = self._state
        assert state is not None  # noqa: S101 - for the type checker: it is set before the thread begins
        self._state = replace(state, **changed)


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."
