"""The endless iterable that the annotator reads: small media before films, and never films in all decoders."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from annotator.types import MediaRef


@dataclass(frozen=True, slots=True)
class Begun:
    """A media that is under way.

    Attributes:
        media: which one.
        is_film: whether it came in the lane of films.
        since_s: when a decoder took it, by the monotonic clock.

    """

    media: MediaRef
    is_film: bool
    since_s: float


class MediaQueue:
    """What waits for a decoder, and what is under way. Thread-safe; waits for media; ends when it is closed.

    A film holds a decoder for minutes. So many of them are under way at once that a decoder is left for small media,
    also for those that have not come yet. A film counts from when it is taken until its outcome is there.
    """

    def __init__(self, *, max_films: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        """Start empty and open.

        Args:
            max_films: films under way at once.
            clock: monotonic, in seconds.

        """
        self._max_films = max_films
        self._clock = clock
        self._small: deque[MediaRef] = deque()
        self._films: deque[MediaRef] = deque()
        self._begun: dict[MediaRef, Begun] = {}
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._is_closed = False

    def put(self, media: MediaRef, *, is_film: bool = False) -> None:
        """Append a media."""
        with self._lock:
            (self._films if is_film else self._small).append(media)
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget everything that nobody has begun."""
        with self._lock:
            self._small.clear()
            self._films.clear()

    def begun(self) -> list[Begun]:
        """Return what is under way, the oldest first."""
        with self._lock:
            return list(self._begun.values())

    def done(self, media: MediaRef) -> None:
        """Say that the outcome of a media is there."""
        with self._lock:
            begun = self._begun.pop(media, None)
            if begun is not None and begun.is_film:  # nobody waits for the end of another
                self._changed.notify_all()

    def forget_begun(self) -> list[Begun]:
        """Return what was under way when the annotator broke down; nothing is any more."""
        with self._lock:
            begun = list(self._begun.values())
            self._begun.clear()
            self._changed.notify_all()
            return begun

    def reader(self) -> "QueueReader":
        """Return an iterator over what is in the queue and will be."""
        return QueueReader(self)

    def close(self) -> None:
        """End every reader once the queue is empty."""
        with self._lock:
            self._is_closed = True
            self._changed.notify_all()

    def take(self, is_stopped: Callable[[], bool]) -> MediaRef | None:
        """Wait for a media that may begin; None when the queue is closed and empty, or the reader has stopped."""
        with self._lock:
            while not (may_begin := self._may_begin()) and not is_stopped() and not self._is_over():
                self._changed.wait()
            if not may_begin or is_stopped():
                return None
            is_film = not self._small
            media = (self._films if is_film else self._small).popleft()
            self._begun[media] = Begun(media, is_film, self._clock())
            return media

    def wake(self) -> None:
        """Let waiting readers look whether they have stopped."""
        with self._lock:
            self._changed.notify_all()

    def _is_over(self) -> bool:
        return self._is_closed and not self._small and not self._films

    def _may_begin(self) -> bool:
        if self._small or not self._films:
            return bool(self._small)
        return sum(one.is_film for one in self._begun.values()) < self._max_films


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
