"""What the threads of a run are busy with, told to whoever listens."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, Protocol, TypeVar

Stage = Literal["fetch", "decode", "accelerator", "link", "starved"]
"""What a thread of a run can be busy with; ``starved``: room for frames and none there, while media are in hand."""

T = TypeVar("T")


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


class SharedStage:
    """A stage that several threads are in at once. It is busy while one of them is, however many they are.

    So it is full when it binds: one search of large pictures, or one call of the embedder, keeps all others waiting.
    Those that are in it together share its time: their parts add up to the time that it was busy.
    """

    def __init__(self, meter: StageMeter, stage: Stage, *, clock: Callable[[], float] = time.perf_counter) -> None:
        """Begin with nobody in it.

        Args:
            meter: is told when it begins and ends to be busy.
            stage: which one it is.
            clock: monotonic, in seconds.

        """
        self._meter = meter
        self._stage = stage
        self._clock = clock
        self._lock = threading.Lock()
        self._inside = 0
        self._each_s = 0.0  # what somebody would have who was in it from the start
        self._changed_s = clock()

    def run(self, work: Callable[[], T]) -> tuple[T, float]:
        """Do some work in the stage.

        Returns:
            What comes of it, and its part of the stage's time, in seconds: half of those that it was in with another.

        """
        began_s = self._change(1)
        try:
            result = work()
        finally:
            ended_s = self._change(-1)
        return result, ended_s - began_s

    def _change(self, by: int) -> float:
        with self._lock:
            now_s = self._clock()
            was_busy = self._inside > 0
            if was_busy:
                self._each_s += (now_s - self._changed_s) / self._inside
            self._changed_s = now_s
            self._inside += by
            if self._inside and not was_busy:
                self._meter.begin(self._stage)
            elif was_busy and not self._inside:
                self._meter.end(self._stage)
            return self._each_s


class Hunger:
    """The networks starve while there is room for frames, none are there, and a decoding thread has a media in hand."""

    def __init__(self, meter: StageMeter) -> None:
        """Begin with no media, no waiting and nothing that is there."""
        self._meter = meter
        self._lock = threading.Lock()
        self._media = 0
        self._waiting = 0
        self._there = 0

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
        """Wait, with room for frames."""
        self._change(waiting=1)
        try:
            yield
        finally:
            self._change(waiting=-1)

    def come(self) -> None:
        """Say that something is there for whoever takes it; this may be said after it was taken."""
        self._change(there=1)

    def taken(self, count: int) -> None:
        """Say that so much of it has been taken."""
        self._change(there=-count)

    def _change(self, *, media: int = 0, waiting: int = 0, there: int = 0) -> None:
        with self._lock:
            starved = self._starves
            self._media += media
            self._waiting += waiting
            self._there += there
            if self._starves and not starved:
                self._meter.begin("starved")
            elif starved and not self._starves:
                self._meter.end("starved")

    @property
    def _starves(self) -> bool:
        return self._media > 0 and self._waiting > 0 and self._there <= 0
