"""One thread after the other, for each of many things."""

import contextlib
import threading
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)


@dataclass(slots=True)
class _Turn:
    """Whose turn it is with one thing.

    Attributes:
        lock: held by who has the turn.
        threads: so many have it or wait.

    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    threads: int = 0


class Turns(Generic[_K]):
    """Lets one thread after the other have a thing; whoever wants another thing waits for none of them."""

    def __init__(self) -> None:
        """Nobody has a turn."""
        self._lock = threading.Lock()
        self._turns: dict[_K, _Turn] = {}

    def __len__(self) -> int:
        """Return of how many things somebody has a turn."""
        return len(self._turns)

    @contextlib.contextmanager
    def of(self, thing: _K) -> Iterator[None]:
        """Have a thing alone, while the block lasts."""
        with self._lock:
            turn = self._turns.setdefault(thing, _Turn())
            turn.threads += 1
        try:
            with turn.lock:
                yield
        finally:
            with self._lock:
                turn.threads -= 1
                if not turn.threads:
                    del self._turns[thing]
