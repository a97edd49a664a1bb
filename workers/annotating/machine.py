"""A machine at fault: it fails media in no time, is always free, and would be given the whole backlog."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from annotator.errors import DecoderKilledError, DeviceMemoryError, LocalDiskError, MachineLimitError
from annotator.store.queue.work import Claim
from annotator.types import MediaFailure
from workers.annotating.engine import Breakdown, Outcome

_LOGGER: Final = logging.getLogger(__name__)
MOST_FAULTS: Final = 5
"""So many different media, one after the other, with none annotated in between."""
MACHINE_FAULTS: Final = frozenset(
    error.reason for error in (LocalDiskError, MachineLimitError, DecoderKilledError, DeviceMemoryError)
)
FIRST_REST_S: Final = 60.0
_FACTOR: Final = 4.0
MAX_REST_S: Final = 600.0


class Machine:
    """Counts what failed by the fault of this machine; after some, the worker is to rest. Thread-safe.

    The first rest is of one minute, the next of four, then each of ten, until a media is annotated. After a rest,
    one media of each message is tried, and one more failure is enough.
    """

    def __init__(
        self, *, on_rest: Callable[[str], None] = lambda _: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with a machine that is well.

        Args:
            on_rest: told the reason of each rest that begins.
            clock: monotonic, in seconds.

        """
        self._on_rest = on_rest
        self._clock = clock
        self._lock = threading.Lock()
        self._failed: set[str] = set()
        self._rests = 0
        self._rests_until_s = clock()

    @property
    def rest_s(self) -> float:
        """For how long the worker is to claim nothing, in seconds."""
        return max(0.0, self._rests_until_s - self._clock())

    def choose(self, claims: Sequence[Claim]) -> tuple[Sequence[Claim], Sequence[Claim]]:
        """Return which claims of a message are to be tried, and which go back: until it is well, all but one."""
        with self._lock:
            is_well = len(self._failed) < MOST_FAULTS
        return (claims, ()) if is_well else (claims[:1], claims[1:])

    def look(self, outcome: Outcome | Breakdown) -> None:
        """Look at what came of a media."""
        if isinstance(outcome, Breakdown) and not outcome.was_alone:
            return  # one fault, and all that were under way are told of it
        told = outcome.failure if isinstance(outcome, Breakdown) else outcome
        with self._lock:
            if not isinstance(told, MediaFailure):
                self._failed.clear()
                self._rests = 0
            elif told.reason in MACHINE_FAULTS and not self.rest_s:
                self._count(told)

    def _count(self, failure: MediaFailure) -> None:
        if len(self._failed) < MOST_FAULTS:
            self._failed.add(failure.media.uri)
        if len(self._failed) < MOST_FAULTS:
            return
        rest_s = min(FIRST_REST_S * _FACTOR**self._rests, MAX_REST_S)
        self._rests = min(self._rests + 1, 3)
        self._rests_until_s = self._clock() + rest_s
        _LOGGER.warning(
            "This machine is at fault, %d media failed in a row (%s): nothing is claimed for %.0f s. %s",
            MOST_FAULTS,
            failure.reason,
            rest_s,
            failure.message,
        )
        self._on_rest(failure.reason)
