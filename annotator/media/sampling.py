"""Which frames of a clip are looked at, and for which part of its displayed time each of them stands."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from annotator.errors import ConfigError
from annotator.types import I64, U8

# The frames that are looked at unless something else is asked for.
DEFAULT_FRAMES = 20


@dataclass(frozen=True, slots=True)
class Sampling:
    """A policy. Make one with :meth:`even`, :meth:`every`, :meth:`at` or :meth:`all`.

    Attributes:
        kind: the policy.
        frames: for ``"even"``, how many frames at most.
        every_ms: for ``"every"``, the distance in displayed time.
        at_ms: for ``"at"``, the times in displayed time, rising.

    """

    kind: Literal["even", "every", "at", "all"]
    frames: int | None = None
    every_ms: int | None = None
    at_ms: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Check."""
        if self.kind == "even" and (self.frames is None or self.frames < 1):
            raise ConfigError(f"Sampling evenly needs one frame or more, got {self.frames}.")
        if self.kind == "every" and (self.every_ms is None or self.every_ms < 1):
            raise ConfigError(f"Sampling at a distance needs one millisecond or more, got {self.every_ms}.")
        if self.kind == "at" and (not self.at_ms or self.at_ms[0] < 0):
            raise ConfigError(f"Sampling at times needs one time or more, none before the start, got {self.at_ms}.")

    @classmethod
    def even(cls, frames: int = DEFAULT_FRAMES) -> "Sampling":
        """Spread ``frames`` samples evenly over displayed time, each a different frame.

        Raises:
            ConfigError: fewer than one.

        """
        return cls("even", frames=frames)

    @classmethod
    def every(cls, every_ms: int) -> "Sampling":
        """Take the frame that is shown at 0, ``every_ms``, twice ``every_ms``, … milliseconds, each once.

        Raises:
            ConfigError: less than a millisecond.

        """
        return cls("every", every_ms=every_ms)

    @classmethod
    def at(cls, times_ms: Iterable[int]) -> "Sampling":
        """Take the frames that are shown at these times, in any order, each once; after the end it is the last one.

        What comes after the last of them is not decoded: the report tells of what was.

        Raises:
            ConfigError: no time at all, or one before the start.

        """
        return cls("at", at_ms=tuple(sorted(set(times_ms))))

    @classmethod
    def all(cls) -> "Sampling":
        """Take all frames that differ from the one before."""
        return cls("all")

    def spec(self) -> dict[str, object]:
        """Return what identifies the policy, as JSON."""
        settings = {"frames": self.frames, "every_ms": self.every_ms, "at_ms": self.at_ms}
        return {"kind": self.kind} | {key: value for key, value in settings.items() if value is not None}


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """The distinct frames of a clip: when each is shown, repeats included.

    Attributes:
        frame_index: i64 (D,), index of the decoded frame in the source.
        ticks: i64 (D,), presentation time in the decoder's unit: what names the frame to the decoder.
        start_ms: i64 (D,), when it appears, from the first frame on.
        end_ms: i64 (D,), when the next appears, or the clip ends.
        frames_decoded: frames, repeats included.

    """

    frame_index: I64
    ticks: I64
    start_ms: I64
    end_ms: I64
    frames_decoded: int

    def __len__(self) -> int:
        """Return the number of distinct frames."""
        return len(self.ticks)

    @property
    def duration_ms(self) -> int:
        """Displayed time."""
        return int(self.end_ms[-1]) if len(self) else 0


def plan(timeline: Timeline, *, sampling: Sampling) -> I64:
    """Choose frames.

    Returns:
        i64 (S,), rising positions in the timeline; never empty where the timeline is not.

    """
    if sampling.kind == "even":
        return plan_even(timeline.start_ms, timeline.end_ms, frames=sampling.frames or DEFAULT_FRAMES)
    if sampling.kind == "every":
        return plan_every(timeline.start_ms, timeline.end_ms, every_ms=sampling.every_ms or 1)
    if sampling.kind == "at":
        return plan_at(timeline.start_ms, timeline.end_ms, at_ms=sampling.at_ms or ())
    return np.arange(len(timeline), dtype=np.int64)


def plan_even(start_ms: I64, end_ms: I64, *, frames: int) -> I64:
    """Choose ``frames`` different frames, spread evenly over displayed time.

    A frame that is held for longer than the distance of two samples counts as one such distance: the samples that
    would fall on it again go to the rest of the clip. With the cap so chosen that the capped times sum to ``frames``
    caps, the midpoints of ``frames`` equal parts fall on different frames.

    Args:
        start_ms: i64 (D,), when the frames appear.
        end_ms: i64 (D,), when they are gone.
        frames: how many are wanted.

    Returns:
        i64 (min(frames, D),), rising.

    """
    count = len(start_ms)
    if count <= frames:
        return np.arange(count, dtype=np.int64)
    weights = np.maximum(end_ms - start_ms, 1).astype(np.float64)
    cap = _even_cap(np.sort(weights), frames)
    ends = np.cumsum(np.minimum(weights, cap))
    chosen = np.searchsorted(ends, (np.arange(frames) + 0.5) * (ends[-1] / frames), side="right")
    # Rounding may put two on one frame: push them apart, first forwards, then back from the end.
    steps = np.arange(frames)
    chosen = np.maximum.accumulate(chosen - steps) + steps
    return np.asarray(np.minimum(chosen, count - frames + steps), np.int64)


def _even_cap(rising: np.ndarray[tuple[int], np.dtype[np.float64]], frames: int) -> float:
    """Return c such that the weights, each cut at c, sum to ``frames`` times c; there are more weights than frames."""
    below = np.cumsum(rising)
    for held in range(frames):
        cap = below[len(rising) - held - 1] / (frames - held)
        if cap >= rising[len(rising) - held - 1]:
            return float(cap)
    return float(rising[0])


def plan_every(start_ms: I64, end_ms: I64, *, every_ms: int) -> I64:
    """Choose the frames that are shown at a multiple of ``every_ms``.

    Returns:
        i64 (S,), rising; the first frame is always among them.

    """
    hit = -(-start_ms // every_ms) * every_ms < end_ms
    if len(hit):
        hit[0] = True
    return np.flatnonzero(hit).astype(np.int64)


def plan_at(start_ms: I64, end_ms: I64, *, at_ms: Iterable[int]) -> I64:
    """Choose the frames that are shown at these times.

    Args:
        start_ms: i64 (D,), when the frames appear.
        end_ms: i64 (D,), when they are gone.
        at_ms: the times, from 0 on.

    Returns:
        i64 (S,), rising; a time after the end means the last frame.

    """
    if not len(start_ms):
        return np.zeros(0, np.int64)
    # Of frames that are shown for no time, the one after them is what is seen.
    shown = np.searchsorted(end_ms, np.array([*at_ms], np.int64), side="right")
    return np.unique(np.minimum(shown, len(start_ms) - 1)).astype(np.int64)


def shares(start_ms: I64, end_ms: I64, duration_ms: int) -> tuple[I64, I64]:
    """Return the part of displayed time that each sample stands for: its own and half the way to its neighbours.

    Args:
        start_ms: i64 (S,), when the samples appear, rising.
        end_ms: i64 (S,), when they are gone; not after the start of the next.
        duration_ms: displayed time of the clip.

    Returns:
        from_ms and shown_ms, i64 (S,): they tile ``[0, duration_ms)``.

    """
    if not len(start_ms):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    borders = np.concatenate([[0], (end_ms[:-1] + start_ms[1:]) // 2, [duration_ms]]).astype(np.int64)
    return borders[:-1], np.diff(borders)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One frame that was chosen.

    Attributes:
        image: u8 (H, W, 3), RGB.
        frame_index: index of the decoded frame in the source.
        start_ms: when it appears.
        end_ms: when the next distinct frame appears.

    """

    image: U8
    frame_index: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class SampleShare:
    """A sample with the part ``[from_ms, from_ms + shown_ms)`` of displayed time that it stands for."""

    sample: Sample
    from_ms: int
    shown_ms: int


class ShareStream:
    """Gives samples their shares as they come; agrees with :func:`shares`. One sample is held back."""

    def __init__(self) -> None:
        """Begin at the start of a clip."""
        self._held: Sample | None = None
        self._from_ms = 0

    def push(self, sample: Sample) -> Iterator[SampleShare]:
        """Take the next sample; yield the one before, whose share is known now."""
        held, self._held = self._held, sample
        if held is not None:
            border_ms = (held.end_ms + sample.start_ms) // 2
            yield SampleShare(held, self._from_ms, border_ms - self._from_ms)
            self._from_ms = border_ms

    def extend(self, end_ms: int) -> None:
        """Say that the last sample is shown for longer than was known."""
        if self._held is not None:
            self._held = replace(self._held, end_ms=end_ms)

    @property
    def last(self) -> Sample | None:
        """The sample that is held back."""
        return self._held

    def finish(self, duration_ms: int) -> Iterator[SampleShare]:
        """Yield the last sample: it stands for all that is left."""
        if self._held is not None:
            yield SampleShare(self._held, self._from_ms, max(duration_ms - self._from_ms, 0))


class StreamPicker:
    """Picks among distinct frames as they come, for the policies that need not know the clip's length.

    Args:
        sampling: ``every``, ``at`` or ``all``; ``even`` takes all frames, which serves for a still picture.

    """

    def __init__(self, sampling: Sampling) -> None:
        """Begin at the start of a clip."""
        self._every_ms = sampling.every_ms
        self._at_ms = None if sampling.at_ms is None else deque(sampling.at_ms)
        self._shares = ShareStream()
        self._current: tuple[U8, int, int] | None = None
        self._is_first = True

    @property
    def has_all(self) -> bool:
        """Nothing of what is to come would be picked."""
        return self._at_ms is not None and not self._at_ms

    def push(self, image: U8, frame_index: int, start_ms: int) -> Iterator[SampleShare]:
        """Take the next distinct frame; yield samples whose share is known now."""
        yield from self._close(start_ms)
        self._current = (image, frame_index, start_ms)

    def finish(self, duration_ms: int) -> Iterator[SampleShare]:
        """Yield the rest."""
        yield from self._close(duration_ms, is_last=True)
        yield from self._shares.finish(duration_ms)

    def _close(self, end_ms: int, *, is_last: bool = False) -> Iterator[SampleShare]:
        if self._current is None:
            return
        image, frame_index, start_ms = self._current
        if self._is_picked(start_ms, end_ms, is_last=is_last):
            self._is_first = False
            yield from self._shares.push(Sample(image, frame_index, start_ms, end_ms))
        self._current = None

    def _is_picked(self, start_ms: int, end_ms: int, *, is_last: bool) -> bool:
        if self._at_ms is not None:
            before = len(self._at_ms)
            while self._at_ms and (is_last or self._at_ms[0] < end_ms):
                self._at_ms.popleft()
            return len(self._at_ms) < before
        every_ms = self._every_ms
        return self._is_first or every_ms is None or -(-start_ms // every_ms) * every_ms < end_ms
