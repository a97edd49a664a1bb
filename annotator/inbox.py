"""A queue between the decoding threads and the one thread that hands frames to the networks, bounded by bytes."""

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class InboxClosedError(Exception):
    """The reader has left; the writer should stop. Never leaves the pipeline."""


class Inbox(Generic[T]):
    """Many writers, one reader. A writer waits while the bytes held are over the limit."""

    def __init__(self, max_bytes: int) -> None:
        """Start empty and open."""
        self._max_bytes = max_bytes
        self._held_bytes = 0
        self._items: deque[tuple[T, int]] = deque()
        self._is_closed = False
        self._changed = threading.Condition()

    def put(self, item: T, size_bytes: int = 0) -> None:
        """Append an item, waiting for room; an item larger than the limit enters when the inbox holds no bytes.

        Raises:
            InboxClosedError: the reader has closed the inbox.

        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_closed or not self._held_bytes or self._held_bytes + size_bytes <= self._max_bytes
            )
            if self._is_closed:
                raise InboxClosedError
            self._items.append((item, size_bytes))
            self._held_bytes += size_bytes
            self._changed.notify_all()

    def take(self, *, max_bytes: int, wait: bool) -> list[T]:
        """Return what is there, up to about ``max_bytes`` and at least one item.

        Args:
            max_bytes: stop after the item that reaches it.
            wait: whether to wait for a first item; without, an empty list says that nothing is there.

        """
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: bool(self._items))
            taken: list[T] = []
            taken_bytes = 0
            while self._items and (not taken or taken_bytes < max_bytes):
                item, size_bytes = self._items.popleft()
                taken.append(item)
                taken_bytes += size_bytes
            self._held_bytes -= taken_bytes
            self._changed.notify_all()
            return taken

    def close(self) -> None:
        """Drop what is there and turn every writer away."""
        with self._changed:
            self._is_closed = True
            self._items.clear()
            self._held_bytes = 0
            self._changed.notify_all()
