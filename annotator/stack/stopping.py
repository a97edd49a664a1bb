"""Signals that ask the local stack to stop."""

import signal
from types import TracebackType
from typing import Any, Self


class _StopRequestedError(BaseException):
    """A signal during the start; unwinds it."""


class StopSignals:
    """SIGINT and SIGTERM: the first unwinds a start, or is noted while the stack runs; further ones do nothing.

    A plain flag and not a ``threading.Event``: setting an event inside a handler can wait for the lock that the
    interrupted thread holds.
    """

    def __init__(self) -> None:
        """Begin without a signal; they are taken inside of the context."""
        self.arrived = False
        self.interrupts = True
        self._earlier: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._earlier[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)
        return kind is _StopRequestedError

    def _note(self, *_: object) -> None:
        if not self.arrived:
            self.arrived = True
            if self.interrupts:
                raise _StopRequestedError
