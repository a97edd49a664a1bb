"""A promotion that goes on in the background: the archive may have to be labelled first, which nobody waits for."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from annotator.errors import AnnotatorError
from annotator.web.errors import WebError, web_error_of

Outcome = Literal["shown", "refused", "shown already", "failed"]
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PromotionState:
    """A promotion that this program does, or has done last.

    Attributes:
        labelling_id: of the model.
        model: as users see it.
        began_at: when.
        doing: what is done now, or was done last.
        outcome: how it ended; None while it goes on.
        why: what went wrong, as a sentence.

    """

    labelling_id: int
    model: str
    began_at: datetime
    doing: str = "loading the model"
    outcome: Outcome | None = None
    why: str | None = None


class Promoting:
    """Does one promotion at a time, in a thread. It ends with the program; what is shown changes at its end alone."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._state: PromotionState | None = None
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> PromotionState | None:
        """The last promotion of this program; None where there was none."""
        return self._state

    def begin(self, state: PromotionState, promote: Callable[[Callable[[str], None]], Outcome]) -> None:
        """Begin a promotion.

        Args:
            state: what it is.
            promote: does it, and returns how it ended; it is given what it tells its steps.

        Raises:
            WebError: another one is under way.

        """
        with self._lock:
            if self._state is not None and self._state.outcome is None:
                raise WebError(409, f"{self._state.model} is being promoted just now: wait until that is done.")
            self._state = state
            self._thread = threading.Thread(target=self._run, args=(promote,), name="promotion", daemon=True)
            self._thread.start()

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait for its end."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self, promote: Callable[[Callable[[str], None]], Outcome]) -> None:
        try:
            self._change(outcome=promote(lambda doing: self._change(doing=doing)))
        except AnnotatorError as error:
            _LOG.warning("promotion: %s", error)
            self._change(outcome="failed", why=_told(error))
        except Exception:  # noqa: BLE001 - the boundary of the thread: pages must be told that it has ended
            _LOG.exception("promotion")
            self._change(outcome="failed", why="This went wrong. It is noted in the log of the program.")

    def _change(self, *, doing: str | None = None, outcome: Outcome | None = None, why: str | None = None) -> None:
        state = self._state
        assert state is not None  # noqa: S101 - for the type checker: it is set before the thread begins
        self._state = replace(state, doing=doing or state.doing, outcome=outcome, why=why)


def _told(error: AnnotatorError) -> str:
    """Return an error as an operator may read it: what is wrong with a model or with what was asked, not with hosts."""
    told = web_error_of(error)
    return told.detail if told.status != 500 else str(error)
