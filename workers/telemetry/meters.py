"""How busy the stages of a worker are: the shares of time that a heartbeat carries, the seconds that a metric counts.

Each stage has one or more threads. While a thread is at work in it, its clock runs; a share is what all clocks of a
stage have run since the last look, divided by the time that its threads had. A stage that is under way counts up to
the moment of the look: a film that takes ten minutes does not appear all at once at its end.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

STAGES: Final = ("fetch", "decode", "accelerator", "link", "starved", "write", "claim", "message")
"""What threads can be busy with.

- ``fetch``, ``decode``: decoding threads, without their waits for room in the inbox.
- ``accelerator``: the networks are at work, for one thread or several; it counts as one.
- ``link``: the engine's thread aligns faces, links tracks and names them.
- ``starved``: the networks have room for more frames and none are there while media are being fetched or decoded.
- ``write``: the writer's thread in a transaction.
- ``claim``: task threads in a claim; ``message``: task threads that have a message.
"""

IDLE: Final = "idle"
"""In :meth:`Meters.shares`: the share of the task threads' time without a message."""


class Meters:
    """Clocks of the stages. Thread-safe; a :class:`~annotator.metering.StageMeter`."""

    def __init__(
        self, *, threads: Mapping[str, int] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start all clocks at zero.

        Args:
            threads: how many threads a stage has; one where nothing is said.
            clock: monotonic, in seconds.

        """
        self._threads = dict.fromkeys(STAGES, 1) | dict(threads or {})
        self._clock = clock
        self._lock = threading.Lock()
        self._active = dict.fromkeys(STAGES, 0)
        self._busy_s = dict.fromkeys(STAGES, 0.0)
        self._seen_s = dict.fromkeys(STAGES, 0.0)
        self._changed_s = dict.fromkeys(STAGES, clock())
        self._looked_s = clock()

    def set_threads(self, stage: str, count: int) -> None:
        """Say how many threads a stage has."""
        with self._lock:
            self._threads[stage] = count

    def begin(self, stage: str) -> None:
        """Say that a thread begins to work in a stage."""
        self._change(stage, 1)

    def end(self, stage: str) -> None:
        """Say that a thread has ended its work in a stage."""
        self._change(stage, -1)

    @contextlib.contextmanager
    def busy(self, stage: str) -> Iterator[None]:
        """Count the time of a block as work in a stage.

        >>> meters = Meters()
        >>> with meters.busy("write"):
        ...     pass
        >>> meters.totals()["write"] > 0
        True
        """
        self.begin(stage)
        try:
            yield
        finally:
            self.end(stage)

    def shares(self) -> dict[str, float]:
        """Return each stage's share of its threads' time since the last call (or the start), in [0, 1].

        Instead of ``message`` there is ``idle``, the rest of the task threads' time. For one caller: a second one
        would take the window away from the first.
        """
        with self._lock:
            now_s = self._clock()
            window_s = now_s - self._looked_s
            self._looked_s = now_s
            shares = {}
            for stage in STAGES:
                self._settle(stage, now_s)
                busy_s = self._busy_s[stage] - self._seen_s[stage]
                self._seen_s[stage] = self._busy_s[stage]
                had_s = window_s * self._threads[stage]
                shares[stage] = min(max(busy_s / had_s, 0.0), 1.0) if had_s > 0 else 0.0
        shares[IDLE] = 1.0 - shares.pop("message")
        return {stage: round(share, 4) for stage, share in shares.items()}

    def totals(self) -> dict[str, float]:
        """Return how long each stage has been busy since the start, in seconds summed over its threads."""
        with self._lock:
            now_s = self._clock()
            for stage in STAGES:
                self._settle(stage, now_s)
            return dict(self._busy_s)

    def threads(self) -> dict[str, int]:
        """Return how many threads each stage has."""
        with self._lock:
            return dict(self._threads)

    def _change(self, stage: str, by: int) -> None:
        with self._lock:
            self._settle(stage, self._clock())
            self._active[stage] += by

    def _settle(self, stage: str, now_s: float) -> None:
        """Let the clocks of a stage run up to now."""
        self._busy_s[stage] += self._active[stage] * (now_s - self._changed_s[stage])
        self._changed_s[stage] = now_s
