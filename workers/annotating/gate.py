"""A gate through which many go together, or one alone."""

import contextlib
import threading
from collections.abc import Iterator


class Gate:
    """Shared or exclusive. Who waits to be alone goes before those who come after."""

    def __init__(self) -> None:
        """Start open."""
        self._changed = threading.Condition()
        self._inside = 0
        self._is_alone = False
        self._waiting_alone = 0

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Be inside with others, but with nobody who must be alone."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_alone and not self._waiting_alone)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self, *, timeout_s: float | None = None) -> Iterator[bool]:
        """Be inside with nobody else.

        Args:
            timeout_s: how long to wait for the others to leave; None for ever.

        Yields:
            Whether it has come to that; if not, it is not inside.

        """
        with self._changed:
            self._waiting_alone += 1
            try:
                self._changed.wait_for(lambda: not self._is_alone and not self._inside, timeout_s)
                is_alone = not self._is_alone and not self._inside
                self._is_alone = self._is_alone or is_alone
            finally:
                self._waiting_alone -= 1
                self._changed.notify_all()
        try:
            yield is_alone
        finally:
            if is_alone:
                with self._changed:
                    self._is_alone = False
                    self._changed.notify_all()
