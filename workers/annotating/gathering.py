"""Gathering what comes one by one into batches, without waking anybody for each."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Gathering(Generic[T]):
    """Items wait here until they are enough, no more are expected, or the first has waited long enough. Thread-safe.

    The taker is woken for the first item and for the last of a batch, not for those between: at thousands of items a
    second, waking a thread for each would cost more than writing it down.
    """

    def __init__(self, *, most: int, max_wait_s: float, expects_more: Callable[[], bool]) -> None:
        """Begin empty.

        Args:
            most: so many are taken at once.
            max_wait_s: the first item waits so long for others.
            expects_more: whether waiting for others makes sense; must not wait for whoever puts items here.

        """
        self._most = most
        self._max_wait_s = max_wait_s
        self._expects_more = expects_more
        self._items: list[T] = []
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._is_closed = False

    def put(self, item: T) -> None:
        """Append an item; never blocks."""
        with self._lock:
            self._items.append(item)
            if len(self._items) == 1 or self._is_batch():
                self._changed.notify()

    def close(self) -> None:
        """Let the taker have what is there, then end."""
        with self._lock:
            self._is_closed = True
            self._changed.notify()

    def take(self) -> list[T]:
        """Wait for a batch; the empty list means that it is closed and all is taken. One taker at a time."""
        with self._lock:
            self._changed.wait_for(lambda: self._items or self._is_closed)
            due_s = time.monotonic() + self._max_wait_s
            while not self._is_batch() and (left_s := due_s - time.monotonic()) > 0:
                self._changed.wait(left_s)
            taken, self._items = self._items[: self._most], self._items[self._most :]
            return taken

    def _is_batch(self) -> bool:
        return self._is_closed or len(self._items) >= self._most or not self._expects_more()
