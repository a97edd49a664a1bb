"""The lines in which ffmpeg tells of frames and packets (muxers ``framehash`` and ``framecrc``)."""

from array import array
from fractions import Fraction

import numpy as np

from annotator.errors import MediaTooLargeError, UndecodableMediaError
from annotator.media.limits import DecodeLimits
from annotator.media.sampling import Timeline
from annotator.types import I64

# Times beyond this (in ticks) are ffmpeg's «unknown», or nonsense whose arithmetic would overflow.
MAX_TICKS = 1 << 50
# Browsers show a frame of an animation that asks for 10 ms or less for 100 ms.
MIN_ANIMATION_MS = 11
DEFAULT_ANIMATION_MS = 100


class RecordStream:
    """Collects the lines of one run of ffmpeg, in the order in which they come.

    Attributes:
        time_base: seconds of a tick.
        size_wh: width and height of the frames, None before the header has come.
        ticks: presentation time of each frame.
        durations: duration of each, in ticks; 0 where unknown.
        hashes: checksum of each.
        is_key: for packets, whether decoding can start there.

    """

    def __init__(self, *, name: str, limits: DecodeLimits) -> None:
        """Begin.

        Args:
            name: what messages call the media.
            limits: frames and duration over which :meth:`feed` refuses.

        """
        self.time_base = Fraction(1, 1000)
        self.size_wh: tuple[int, int] | None = None
        self.ticks = array("q")
        self.durations = array("q")
        self.hashes = array("Q")
        self.is_key = array("B")
        self._rest = b""
        self._name = name
        self._limits = limits
        self._first: int | None = None
        self._max_length_ticks = self._to_ticks(limits.max_duration_ms)

    def __len__(self) -> int:
        """Return the number of frames told of."""
        return len(self.ticks)

    def feed(self, data: bytes) -> None:
        """Take some more output of ffmpeg.

        Raises:
            MediaTooLargeError: more frames, or longer, than allowed.
            UndecodableMediaError: lines that ffmpeg does not write.

        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        try:
            for line in lines:
                if line.startswith(b"#"):
                    self._header(line)
                elif line:
                    self._record(line)
        except (ValueError, IndexError, ZeroDivisionError) as exc:
            raise UndecodableMediaError(f"{self._name} makes the decoder write nonsense; re-encode it.") from exc

    def _header(self, line: bytes) -> None:
        key, _, value = line.partition(b":")
        if key == b"#tb 0":
            self.time_base = Fraction(value.decode().strip())
            self._max_length_ticks = self._to_ticks(self._limits.max_duration_ms)
        elif key == b"#dimensions 0":
            width, _, height = value.decode().strip().partition("x")
            self.size_wh = (int(width), int(height))

    def _record(self, line: bytes) -> None:
        fields = line.split(b",")
        ticks, duration = int(fields[2]), int(fields[3])
        if abs(ticks) > MAX_TICKS:
            ticks = self.ticks[-1] if self.ticks else 0
        duration = duration if 0 < duration <= MAX_TICKS else 0
        self.ticks.append(ticks)
        self.durations.append(duration)
        self.hashes.append(int(fields[5], 16))
        # Flags are told where they are not «key» alone; bit 0 is «key», others (discard, disposable) may stand beside.
        flags = line.partition(b"F=")[2]
        self.is_key.append(not flags or int(flags.partition(b",")[0], 16) & 1)
        self._first = ticks if self._first is None else min(self._first, ticks)
        self._check(ticks + duration - self._first)

    def _check(self, length_ticks: int) -> None:
        if len(self.ticks) > self._limits.max_frames:
            raise MediaTooLargeError(
                f"{self._name} has more than {self._limits.max_frames} frames; cut it or raise the limit."
            )
        if length_ticks > self._max_length_ticks:
            raise MediaTooLargeError(
                f"{self._name} runs for more than {self._limits.max_duration_ms / 1000:g} s; cut it or raise the limit."
            )

    def _to_ticks(self, length_ms: int) -> int:
        return int(length_ms / (1000 * self.time_base))

    def to_ms(self, ticks: I64) -> I64:
        """Convert ticks (i64, any shape) to milliseconds, rounded to the nearest."""
        scale = 1000 * self.time_base
        if scale.numerator < 1 << 10 and scale.denominator < MAX_TICKS:
            return np.asarray((2 * ticks * scale.numerator + scale.denominator) // (2 * scale.denominator), np.int64)
        return np.round(ticks * float(scale)).astype(np.int64)

    def timeline(self, *, is_animation: bool = False, merges_repeats: bool = True) -> Timeline:
        """Return the frames in order of presentation.

        Args:
            is_animation: whether very short frames are shown longer, as browsers do.
            merges_repeats: whether a frame with the checksum of the one before adds to its time.

        """
        ticks = np.array(self.ticks, np.int64)
        order = np.argsort(ticks, kind="stable")
        rising = ticks[order]
        is_new = np.ones(len(rising), bool)
        if merges_repeats:
            hashes = np.array(self.hashes, np.uint64)[order]
            is_new[1:] = hashes[1:] != hashes[:-1]
        last = self.durations[int(order[-1])] if len(order) else 0
        borders = self._borders_ms(rising, last, is_animation=is_animation)
        index = np.flatnonzero(is_new).astype(np.int64)
        start_ms = borders[index]
        end_ms = borders[np.append(index[1:], len(rising))] if len(index) else start_ms
        return Timeline(index, rising[index], start_ms, end_ms, len(rising))

    def _borders_ms(self, rising: I64, last: int, *, is_animation: bool) -> I64:
        """Return when each frame appears, and at last the end; i64 (N + 1,)."""
        if not len(rising):
            return np.zeros(1, np.int64)
        borders = self.to_ms(np.append(rising, rising[-1] + last) - rising[0])
        if is_animation:
            spans = np.diff(borders)
            spans[spans < MIN_ANIMATION_MS] = DEFAULT_ANIMATION_MS
            borders = np.concatenate([[0], np.cumsum(spans)]).astype(np.int64)
        return borders

    def keys(self) -> I64:
        """Return the ticks of the packets at which decoding can start, rising; i64 (K,)."""
        return np.sort(np.array(self.ticks, np.int64)[np.array(self.is_key, bool)])


class StreamClock:
    """Tells when each frame appears while its successors are still unknown; agrees with :meth:`RecordStream.timeline`.

    Args:
        records: the stream, which grows.
        is_animation: whether very short frames are shown longer, as browsers do.

    """

    def __init__(self, records: RecordStream, *, is_animation: bool) -> None:
        """Begin at the first frame."""
        self._records = records
        self._is_animation = is_animation
        self._raw_ms = 0
        self._known = 0
        self._now_ms = 0

    def start_ms(self, frame: int) -> int:
        """Return when a frame appears; frames are asked for in order."""
        while self._known < frame:
            self._known += 1
            self._step(self._records.ticks[self._known])
        return self._now_ms

    def end_ms(self) -> int:
        """Return when the last frame is gone; to be asked once, when all have come."""
        last = len(self._records) - 1
        self.start_ms(last)
        self._step(self._records.ticks[last] + self._records.durations[last])
        return self._now_ms

    def _step(self, ticks: int) -> None:
        raw_ms = int(self._records.to_ms(np.asarray(ticks - self._records.ticks[0])))
        span_ms = max(raw_ms - self._raw_ms, 0)
        if self._is_animation and span_ms < MIN_ANIMATION_MS:
            span_ms = DEFAULT_ANIMATION_MS
        self._raw_ms = max(raw_ms, self._raw_ms)
        self._now_ms += span_ms
