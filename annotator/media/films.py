"""Runs over videos, whose packets tell the times of all frames before anything is decoded."""

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from annotator.errors import MediaTooLargeError, UndecodableMediaError
from annotator.media.commands import chosen_frames, packets_only, sought_frames
from annotator.media.decoding import Decoding
from annotator.media.passes import MAX_CHOSEN, Facts, chosen_images, facts_of, shared
from annotator.media.records import RecordStream
from annotator.media.sampling import Sample, SampleShare, Sampling, ShareStream, Timeline, plan
from annotator.types import I64, U8

# A further child costs as much as decoding these many pixels (30 ms at 500 million pixels/s).
CHILD_COST_PIXELS = 15_000_000
# Seeking must save at least half of the decoding: only then is it worth not to see the frames between.
MAX_SOUGHT_PART = 0.5


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames that one child decodes: from the key frame before the first one wanted to the last one wanted.

    Attributes:
        positions: the frames wanted, as rising positions in the timeline.
        is_from_start: whether the stretch begins with the media, so that nothing has to be sought.

    """

    positions: tuple[int, ...]
    is_from_start: bool


def video_samples(decoding: Decoding, sampling: Sampling) -> Generator[SampleShare, None, Facts]:
    """Choose frames of a video by the times of its packets; decode as little as that needs."""
    packets = _read_packets(decoding)
    timeline = packets.timeline(merges_repeats=False)
    positions = plan(timeline, sampling=sampling)
    pixels = math.prod(packets.size_wh or (0, 0))
    stretches, cost = stretches_of(timeline.ticks, packets.keys(), positions, child_cost=_child_cost(pixels))
    fits = len(positions) * pixels * 3 <= decoding.limits.buffer_bytes and len(positions) <= MAX_CHOSEN
    # Whoever names times wants these frames only, and nothing after the last of them.
    if sampling.kind != "at" and fits and cost > MAX_SOUGHT_PART * len(timeline):
        return (yield from _decoded_whole(decoding, sampling, timeline.ticks[positions].tolist()))
    return (yield from _sought(decoding, packets, timeline, stretches))


def _child_cost(pixels: int) -> int:
    """Return how many frames could be decoded in the time that a child costs."""
    return max(CHILD_COST_PIXELS // max(pixels, 1), 1)


def _read_packets(decoding: Decoding) -> RecordStream:
    """Read the times of all packets.

    Raises:
        MediaTooLargeError: too many pixels, frames or too long, before anything is decoded.
        UndecodableMediaError: no packet.

    """
    packets = decoding.records()
    with decoding.child(packets_only(decoding.form, decoding.limits), packets) as child:
        decoding.finish(child, frames=0 if not child.pump(lambda: len(packets) > 0) else 1)
    if packets.size_wh and math.prod(packets.size_wh) > decoding.limits.max_pixels:
        raise MediaTooLargeError(
            f"{decoding.name} has {packets.size_wh[0]} x {packets.size_wh[1]} pixels a frame, the limit is "
            f"{decoding.limits.max_pixels}; make it smaller or raise the limit."
        )
    return packets


def stretches_of(ticks: I64, keys: I64, positions: I64, *, child_cost: int) -> tuple[list[Stretch], int]:
    """Cut chosen frames into stretches such that little is decoded.

    Args:
        ticks: i64 (D,), rising times of all frames.
        keys: i64 (K,), rising times of the frames at which decoding can start.
        positions: i64 (S,), rising positions of the frames wanted.
        child_cost: frames that could be decoded in the time that a further child costs.

    Returns:
        The stretches, and their cost in frames, children included.

    """
    before = np.searchsorted(keys, ticks[positions], side="right") - 1
    key_at = np.where(before >= 0, np.searchsorted(ticks, keys[np.maximum(before, 0)]), 0) if len(keys) else before * 0
    groups: list[list[int]] = []
    starts: list[int] = []
    cost = 0
    for position, key in zip(positions.tolist(), key_at.tolist(), strict=True):
        if groups and key - groups[-1][-1] <= child_cost and len(groups[-1]) < MAX_CHOSEN:
            cost += position - groups[-1][-1]
            groups[-1].append(position)
        else:
            cost += position - key + child_cost
            groups.append([position])
            starts.append(key)
    return [Stretch(tuple(group), start == 0) for group, start in zip(groups, starts, strict=True)], cost


def _decoded_whole(decoding: Decoding, sampling: Sampling, ticks: Sequence[int]) -> Generator[SampleShare, None, Facts]:
    """Decode everything once, keep what was chosen, and choose again where frames turn out to be repeats."""
    records = decoding.records()
    decoding.damage.clear()  # The packets' damage shows again, as the decoder sees it.
    with decoding.child(chosen_frames(decoding.form, decoding.limits, ticks), records) as child:
        images = list(decoding.frames(child, records))
        decoding.finish(child, frames=len(records))
    timeline = records.timeline()
    buffer = _by_position(timeline, records, ticks, images)
    del images
    wanted = _exact_positions(timeline, sampling, buffer)
    missing = [at for at in wanted if at not in buffer]
    if missing:
        buffer = {at: image for at, image in buffer.items() if at in wanted}
        anew = chosen_images(decoding, timeline.ticks[missing].tolist())
        buffer |= dict(zip(missing, anew, strict=True))
    size_wh = _size_of(buffer)
    yield from shared(timeline, np.array(wanted, np.int64), (buffer.pop(at) for at in wanted))
    return facts_of(decoding, timeline, size_wh)


def _by_position(timeline: Timeline, records: RecordStream, ticks: Sequence[int], images: list[U8]) -> dict[int, U8]:
    """Name the delivered frames by position in the timeline of distinct frames; the first of equal ones is kept."""
    decoded = set(records.ticks)
    delivered = [tick for tick in ticks if tick in decoded]
    if len(delivered) != len(images):  # Two frames of one time: which is which cannot be told.
        return {}
    buffer: dict[int, U8] = {}
    for tick, image in zip(delivered, images, strict=True):
        buffer.setdefault(int(np.searchsorted(timeline.ticks, tick, side="right")) - 1, image)
    return buffer


def _exact_positions(timeline: Timeline, sampling: Sampling, buffer: dict[int, U8]) -> list[int]:
    """Return the frames to deliver, now that repeats are known."""
    if sampling.kind == "even" and len(buffer) == min(sampling.frames or 0, len(timeline)):
        return sorted(buffer)
    return [int(at) for at in plan(timeline, sampling=sampling)]


def _size_of(buffer: dict[int, U8]) -> tuple[int, int]:
    height, width = next(iter(buffer.values())).shape[:2]
    return width, height


def _sought(
    decoding: Decoding, packets: RecordStream, timeline: Timeline, stretches: list[Stretch]
) -> Generator[SampleShare, None, Facts]:
    """Decode only the stretches. Frames between samples are not seen: neither repeats nor damage among them."""
    share_stream = ShareStream()
    wanted = sum(len(stretch.positions) for stretch in stretches)
    delivered, size_wh = 0, (0, 0)
    for stretch in stretches:
        for sample in _stretch_samples(decoding, packets, timeline, stretch):
            delivered, size_wh = delivered + 1, (sample.image.shape[1], sample.image.shape[0])
            last = share_stream.last
            if last is not None and np.array_equal(last.image, sample.image):
                share_stream.extend(sample.end_ms)
            else:
                yield from share_stream.push(sample)
    if delivered == 0:
        raise UndecodableMediaError(f"Not one frame of {decoding.name} can be decoded; fetch it anew.")
    if delivered < wanted:
        decoding.note(f"{wanted - delivered} of {wanted} frames could not be decoded")
    yield from share_stream.finish(timeline.duration_ms)
    return facts_of(decoding, timeline, size_wh)


def _stretch_samples(
    decoding: Decoding, packets: RecordStream, timeline: Timeline, stretch: Stretch
) -> Iterator[Sample]:
    records = decoding.records()
    ticks = timeline.ticks[list(stretch.positions)].tolist()
    by_tick = dict(zip(ticks, stretch.positions, strict=True))
    time_base = None if stretch.is_from_start else packets.time_base
    with decoding.child(sought_frames(decoding.form, decoding.limits, ticks, time_base), records) as child:
        for frame, image in enumerate(decoding.frames(child, records)):
            if not child.pump(lambda frame=frame: len(records) > frame):  # type: ignore[misc]
                break
            at = by_tick.pop(records.ticks[frame], None)
            if at is not None:
                times = int(timeline.start_ms[at]), int(timeline.end_ms[at])
                yield Sample(image, int(timeline.frame_index[at]), *times)
            if not by_tick:
                return
        decoding.finish(child, frames=1)  # A frame is missing: a limit is an error, anything else is damage.
