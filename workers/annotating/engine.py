"""The batching engine: one per process, one thread that feeds the networks, shared by all task threads.

Media of all chunks in hand flow into one endless ``annotate`` call, so frames of many media fill common batches.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from annotator.errors import AnnotatorError, ModelError
from annotator.types import KnownMedia, MediaAnnotation, MediaFailure, MediaRef
from workers.annotating.media_queue import Begun, MediaQueue
from workers.annotating.retry import INTERNAL, policy_of_error

_LOGGER: Final = logging.getLogger(__name__)
_MAX_BROKEN_MEDIA: Final = 5
"""So many different media, each alone, one after the other: it is not the media."""

Outcome = MediaAnnotation | MediaFailure | KnownMedia


@dataclass(frozen=True, slots=True)
class Breakdown:
    """What becomes of a media that was under way when the engine broke down.

    Attributes:
        failure: what broke.
        was_alone: whether nothing else was under way, so that it is to blame.

    """

    failure: MediaFailure
    was_alone: bool


OnDone = Callable[[Outcome | Breakdown], None]


class MediaAnnotator(Protocol):
    """What the engine drives; ``annotator.pipeline.Annotator`` is one."""

    @property
    def model(self) -> str:
        """The model version that labels come from."""

    def warm_up(self) -> None:
        """Run the networks on nothing, so that they are compiled; raises whatever they raise."""

    def annotate(
        self, media: Iterable[MediaRef], *, is_known: Callable[[str], bool] | None = None
    ) -> Iterator[Outcome]:
        """Annotate media, one outcome for each, in any order."""


class BatchingEngine:
    """Annotates what any thread submits. A breakdown costs a try of the media that was alone, and nothing of others.

    It goes on after a breakdown, unless the networks are at fault: they fail on an empty picture as well, or several
    different media have broken them one after the other, each of them alone.
    """

    def __init__(
        self,
        annotator: MediaAnnotator,
        *,
        is_known: Callable[[str], bool] | None = None,
        on_fatal: Callable[[AnnotatorError], None],
        max_films: int = 1,
    ) -> None:
        """Take the annotator; :meth:`start` begins.

        Args:
            annotator: used by the engine's thread alone.
            is_known: whether the bytes of this digest are annotated already.
            on_fatal: called once, from the engine's thread, when it cannot go on; what is in hand stays unanswered.
            max_films: films under way at once.

        """
        self._annotator = annotator
        self._is_known = is_known
        self._on_fatal = on_fatal
        self._queue = MediaQueue(max_films=max_films)
        self._lock = threading.Lock()
        self._in_hand: dict[MediaRef, list[OnDone]] = {}
        self._broken_alone: set[object] = set()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._is_closed = False

    def start(self) -> None:
        """Warm the networks up and start the engine's thread.

        Raises:
            ModelError: the networks do not run.

        """
        try:
            self._annotator.warm_up()
        except AnnotatorError:
            raise
        except Exception as error:
            raise ModelError(f"The networks do not run here ({type(error).__name__}: {error}).") from error
        self._thread.start()

    def submit(self, media: MediaRef, on_done: OnDone, *, is_film: bool = False) -> None:
        """Annotate a media; one that is in hand already (its claim passed the deadline) is not done twice.

        Args:
            media: what to read.
            on_done: called once from the engine's thread; must not block for long.
            is_film: it will take long; media that are none do not wait for it.

        """
        with self._lock:
            waiting = self._in_hand.setdefault(media, [])
            waiting.append(on_done)
            if len(waiting) == 1:
                self._queue.put(media, is_film=is_film)

    @property
    def in_hand(self) -> int:
        """Return how many media are waiting or under way."""
        with self._lock:
            return len(self._in_hand)

    def begun(self) -> list[Begun]:
        """Return what is under way, what nobody waits for any more included."""
        return self._queue.begun()

    def abandon(self) -> None:
        """Forget everything; outcomes of what is under way are thrown away."""
        self._queue.clear()
        with self._lock:
            self._in_hand.clear()

    def close(self, *, timeout_s: float) -> bool:
        """End after what is under way.

        Returns:
            Whether the thread has ended in time.

        """
        self._is_closed = True
        self._queue.close()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._is_closed:
            try:
                for outcome in self._annotator.annotate(self._queue.reader(), is_known=self._is_known):
                    if isinstance(outcome, MediaAnnotation):  # the networks work
                        self._broken_alone.clear()
                    self._deliver(outcome.media, outcome)
            except Exception as error:  # noqa: BLE001 - the boundary of the engine's thread: nobody else sees it
                fatal = self._survive(error)
                if fatal is not None:
                    self._on_fatal(fatal)
                    return

    def _deliver(self, media: MediaRef, outcome: Outcome | Breakdown) -> None:
        self._queue.done(media)
        with self._lock:
            waiting = self._in_hand.pop(media, [])
        for on_done in waiting:
            on_done(outcome)

    def _survive(self, error: Exception) -> AnnotatorError | None:
        """Answer what was under way; return what makes it impossible to go on."""
        if isinstance(error, AnnotatorError) and policy_of_error(error).stops_worker:
            return error
        _LOGGER.error("The engine broke down; what was under way is tried again, alone.", exc_info=error)
        broken = self._check_networks()
        self._answer_begun(error, is_blameless=broken is not None)
        if len(self._broken_alone) >= _MAX_BROKEN_MEDIA:
            return ModelError(
                f"The engine broke down on {_MAX_BROKEN_MEDIA} different media in a row, each alone: {error}"
            )
        return broken

    def _check_networks(self) -> ModelError | None:
        try:
            self._annotator.warm_up()
        except Exception as error:
            _LOGGER.exception("the networks fail on an empty picture, too")
            return ModelError(f"The networks do not run any more ({type(error).__name__}: {error}).")
        return None

    def _answer_begun(self, error: Exception, *, is_blameless: bool) -> None:
        begun = self._queue.forget_begun()
        is_alone = len(begun) <= 1 and not is_blameless
        if is_alone:  # where nothing was under way, each breakdown is one of its own
            self._broken_alone.add(begun[0].media if begun else time.monotonic_ns())
        reason = error.reason if isinstance(error, AnnotatorError) else INTERNAL
        message = str(error) if isinstance(error, AnnotatorError) else f"an unexpected {type(error).__name__}: {error}"
        for one in begun:
            failure = MediaFailure(one.media, self._annotator.model, reason, message, is_transient=True)
            self._deliver(one.media, Breakdown(failure, is_alone))
