"""What the threads of a run are busy with, told to whoever listens."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

Stage = Literal["fetch", "decode", "accelerator", "link", "starved"]
"""What a thread of a run can be busy with; ``starved``: the networks wait while media are fetched or decoded."""


class StageMeter(Protocol):
    """Is told when threads begin and end to work in a stage. Used from all of them; must not block."""

    def set_threads(self, stage: Stage, count: int) -> None:
        """Say how many threads a stage has."""

    def begin(self, stage: Stage) -> None:
        """Say that a thread begins to work in a stage."""

    def end(self, stage: Stage) -> None:
        """Say that a thread has ended its work in a stage."""


class NoMeter:
    """Nobody listens."""

    def set_threads(self, stage: Stage, count: int) -> None:
        """Do nothing."""

    def begin(self, stage: Stage) -> None:
        """Do nothing."""

    def end(self, stage: Stage) -> None:
        """Do nothing."""


@contextmanager
def metered(meter: StageMeter, stage: Stage) -> Iterator[None]:
    """Count the time of a block as work in a stage."""
    meter.begin(stage)
    try:
        yield
    finally:
        meter.end(stage)


class Hunger:
    """The networks starve while they wait for frames and some decoding thread has a media in hand."""

    def __init__(self, meter: StageMeter) -> None:
        """Begin with no media and no waiting."""
        self._meter = meter
        self._lock = threading.Lock()
        self._media = 0
        self._waiting = 0

    @contextmanager
    def media(self) -> Iterator[None]:
        """Have a media in hand."""
        self._change(media=1)
        try:
            yield
        finally:
            self._change(media=-1)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for frames."""
        self._change(waiting=1)
        try:
            yield
        finally:
            self._change(waiting=-1)

    def _change(self, *, media: int = 0, waiting: int = 0) -> None:
        with self._lock:
            starved = bool(self._media and self._waiting)
            self._media += media
            self._waiting += waiting
            starves = bool(self._media and self._waiting)
            if starves and not starved:
                self._meter.begin("starved")
            elif starved and not starves:
                self._meter.end("starved")
