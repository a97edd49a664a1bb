"""Runs over pictures and animations, and what all runs tell at their end."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from annotator.media.commands import all_frames, chosen_frames
from annotator.media.decoding import Decoding
from annotator.media.records import RecordStream, StreamClock
from annotator.media.sampling import Sample, SampleShare, Sampling, StreamPicker, Timeline, plan, shares
from annotator.types import I64, U8

# More frames than this are asked for in several runs: their names must fit into one argument of a command line.
MAX_CHOSEN = 2000


@dataclass(frozen=True, slots=True)
class Facts:
    """What a finished run knows of its clip.

    Attributes:
        size_wh: width and height of the frames as shown.
        duration_ms: displayed time, None for one picture.
        frames_decoded: frames, repeats included.
        frames_distinct: frames that differ from the one before.

    """

    size_wh: tuple[int, int]
    duration_ms: int | None
    frames_decoded: int
    frames_distinct: int


def is_one_picture(decoding: Decoding, frames: int) -> bool:
    """Whether there is no time in a media: a still picture, or an animation of one frame."""
    return decoding.form.kind == "still" or (decoding.form.kind == "animation" and frames == 1)


def streamed_samples(decoding: Decoding, sampling: Sampling) -> Generator[SampleShare, None, Facts]:
    """Pick frames as they come, in one run over all of them."""
    records = decoding.records()
    clock = StreamClock(records, is_animation=decoding.form.kind == "animation")
    picker = StreamPicker(sampling)
    distinct, size_wh = 0, (0, 0)
    with decoding.child(all_frames(decoding.form, decoding.limits), records) as child:
        for frame, image in enumerate(decoding.frames(child, records)):
            if not child.pump(lambda frame=frame: len(records) > frame):  # type: ignore[misc]
                break
            if frame and records.hashes[frame] == records.hashes[frame - 1]:
                continue
            distinct, size_wh = distinct + 1, (image.shape[1], image.shape[0])
            yield from picker.push(image, frame, clock.start_ms(frame))
            if picker.has_all:
                break
        if not picker.has_all:
            decoding.finish(child, frames=distinct)
    duration_ms = None if is_one_picture(decoding, len(records)) else clock.end_ms()
    yield from picker.finish(duration_ms or 0)
    return Facts(size_wh, duration_ms, len(records), distinct)


def buffered_samples(decoding: Decoding, sampling: Sampling) -> Generator[SampleShare, None, Facts]:
    """Choose frames of an animation when all are known; a second run where they do not fit the buffer."""
    records = decoding.records()
    buffer, size_wh = _buffer_distinct(decoding, records)
    timeline = records.timeline(is_animation=True)
    if is_one_picture(decoding, len(records)):
        timeline = replace(timeline, end_ms=timeline.start_ms)
    positions = plan(timeline, sampling=sampling)
    if buffer is not None:
        yield from shared(timeline, positions, (buffer.pop(int(timeline.frame_index[at])) for at in positions))
    else:
        yield from shared(timeline, positions, chosen_images(decoding, timeline.ticks[positions].tolist()))
    return facts_of(decoding, timeline, size_wh)


def facts_of(decoding: Decoding, timeline: Timeline, size_wh: tuple[int, int]) -> Facts:
    """Return what a timeline tells."""
    duration_ms = None if is_one_picture(decoding, timeline.frames_decoded) else timeline.duration_ms
    return Facts(size_wh, duration_ms, timeline.frames_decoded, len(timeline))


def _buffer_distinct(decoding: Decoding, records: RecordStream) -> tuple[dict[int, U8] | None, tuple[int, int]]:
    """Return the distinct frames by index, None where they are too many, and their size."""
    buffer: dict[int, U8] | None = {}
    size_wh = (0, 0)
    with decoding.child(all_frames(decoding.form, decoding.limits), records) as child:
        for frame, image in enumerate(decoding.frames(child, records)):
            if not child.pump(lambda frame=frame: len(records) > frame):  # type: ignore[misc]
                break
            size_wh = (image.shape[1], image.shape[0])
            if buffer is None or (frame and records.hashes[frame] == records.hashes[frame - 1]):
                continue
            buffer[frame] = image
            if len(buffer) * image.nbytes > decoding.limits.buffer_bytes:
                buffer = None
        decoding.finish(child, frames=len(records))
    return buffer, size_wh


def chosen_images(decoding: Decoding, ticks: Sequence[int]) -> Generator[U8, None, None]:
    """Decode anew and deliver the frames of these times, which are known to exist."""
    for start in range(0, len(ticks), MAX_CHOSEN):
        records = decoding.records()
        part = ticks[start : start + MAX_CHOSEN]
        with decoding.child(chosen_frames(decoding.form, decoding.limits, part), records) as child:
            yield from decoding.frames(child, records)


def shared(timeline: Timeline, positions: I64, images: Generator[U8, None, None]) -> Generator[SampleShare, None, None]:
    """Pair chosen frames of a timeline with their pictures and their shares of displayed time."""
    start_ms, end_ms = timeline.start_ms[positions], timeline.end_ms[positions]
    from_ms, shown_ms = shares(start_ms, end_ms, timeline.duration_ms)
    rows = np.stack([timeline.frame_index[positions], start_ms, end_ms, from_ms, shown_ms], axis=1).tolist()
    for image, (index, start, end, begin, shown) in zip(images, rows, strict=True):
        yield SampleShare(Sample(image, index, start, end), begin, shown)
