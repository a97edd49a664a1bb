"""The batching engine: one per process, one thread that owns the networks, shared by all task threads.

Media of all chunks in hand flow into one endless ``annotate`` call, so frames of many media fill common batches.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from annotator.errors import AnnotatorError, ConfigError, ModelError
from annotator.types import KnownMedia, MediaAnnotation, MediaFailure, MediaRef

_LOGGER: Final = logging.getLogger(__name__)
_MAX_BREAKDOWNS: Final = 3

Outcome = MediaAnnotation | MediaFailure | KnownMedia


class MediaAnnotator(Protocol):
    """What the engine drives; ``annotator.pipeline.Annotator`` is one."""

    @property
    def model(self) -> str:
        """The model version that labels come from."""

    def annotate(
        self, media: Iterable[MediaRef], *, is_known: Callable[[str], bool] | None = None
    ) -> Iterator[Outcome]:
        """Annotate media, one outcome for each, in any order."""


class MediaQueue:
    """The endless iterable that the annotator reads. Thread-safe; waits for media; ends when it is closed."""

    def __init__(self) -> None:
        """Start empty and open."""
        self._waiting: deque[MediaRef] = deque()
        self._changed = threading.Condition()
        self._is_closed = False

    def put(self, media: MediaRef) -> None:
        """Append a media."""
        with self._changed:
            self._waiting.append(media)
            self._changed.notify()

    def clear(self) -> None:
        """Forget everything that nobody has begun."""
        with self._changed:
            self._waiting.clear()

    def waiting(self) -> frozenset[MediaRef]:
        """Return what nobody has begun."""
        with self._changed:
            return frozenset(self._waiting)

    def reader(self) -> "QueueReader":
        """Return an iterator over what is in the queue and will be."""
        return QueueReader(self)

    def close(self) -> None:
        """End every reader once the queue is empty."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def take(self, is_stopped: Callable[[], bool]) -> MediaRef | None:
        """Wait for a media; None when the queue is closed and empty, or the reader has stopped."""
        with self._changed:
            self._changed.wait_for(lambda: is_stopped() or self._is_closed or bool(self._waiting))
            return self._waiting.popleft() if self._waiting and not is_stopped() else None

    def wake(self) -> None:
        """Let waiting readers look whether they have stopped."""
        with self._changed:
            self._changed.notify_all()


class QueueReader:
    """One run's iterator over a :class:`MediaQueue`; ``close`` ends it also while a thread waits in it."""

    def __init__(self, queue: MediaQueue) -> None:
        """Read from a queue."""
        self._queue = queue
        self._is_stopped = False

    def __iter__(self) -> Iterator[MediaRef]:
        """Return itself."""
        return self

    def __next__(self) -> MediaRef:
        """Wait for the next media."""
        media = self._queue.take(lambda: self._is_stopped)
        if media is None:
            raise StopIteration
        return media

    def close(self) -> None:
        """End it."""
        self._is_stopped = True
        self._queue.wake()


class BatchingEngine:
    """Annotates what any thread submits. A fault of the networks stops it; a fault of ours costs a try."""

    def __init__(
        self,
        annotator: MediaAnnotator,
        *,
        is_known: Callable[[str], bool] | None = None,
        on_fatal: Callable[[AnnotatorError], None],
    ) -> None:
        """Take the annotator; :meth:`start` begins.

        Args:
            annotator: used by the engine's thread alone.
            is_known: whether the bytes of this digest are annotated already.
            on_fatal: called once, from the engine's thread, when it cannot go on; what is in hand stays unanswered.

        """
        self._annotator = annotator
        self._is_known = is_known
        self._on_fatal = on_fatal
        self._queue = MediaQueue()
        self._lock = threading.Lock()
        self._in_hand: dict[MediaRef, list[Callable[[Outcome], None]]] = {}
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._is_closed = False

    def start(self) -> None:
        """Start the engine's thread."""
        self._thread.start()

    def submit(self, media: MediaRef, on_done: Callable[[Outcome], None]) -> None:
        """Annotate a media; one that is in hand already (its claim passed the deadline) is not done twice.

        Args:
            media: what to read.
            on_done: called once from the engine's thread; must not block for long.

        """
        with self._lock:
            waiting = self._in_hand.setdefault(media, [])
            waiting.append(on_done)
            if len(waiting) == 1:
                self._queue.put(media)

    @property
    def in_hand(self) -> int:
        """Return how many media are waiting or under way."""
        with self._lock:
            return len(self._in_hand)

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
        breakdowns = 0
        while not self._is_closed:
            try:
                for outcome in self._annotator.annotate(self._queue.reader(), is_known=self._is_known):
                    breakdowns = 0
                    self._deliver(outcome)
            except (ModelError, ConfigError) as error:
                self._on_fatal(error)
                return
            except Exception as error:
                _LOGGER.exception("the engine broke down; what was under way is tried again")
                breakdowns += 1
                self._fail_started(error)
                if breakdowns >= _MAX_BREAKDOWNS:
                    self._on_fatal(ModelError(f"The engine broke down {breakdowns} times in a row: {error}"))
                    return

    def _deliver(self, outcome: Outcome) -> None:
        with self._lock:
            waiting = self._in_hand.pop(outcome.media, [])
        for on_done in waiting:
            on_done(outcome)

    def _fail_started(self, error: Exception) -> None:
        with self._lock:
            waiting = self._queue.waiting()
            started = [media for media in self._in_hand if media not in waiting]
        message = f"an unexpected {type(error).__name__}: {error}"
        for media in started:
            self._deliver(MediaFailure(media, self._annotator.model, "internal", message, is_transient=True))
