"""Batches of crops and canvases on their way into a network."""

import threading
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np

from annotator.native import Frames
from annotator.runtime.batches import Sizes, steps
from annotator.runtime.network import Runner
from annotator.runtime.sharing import shareable_zeros
from annotator.types import F32, I64


class _Memory(threading.local):
    def __init__(self) -> None:
        self.of_input: dict[tuple[int, ...], F32] = {}


_memory: Final = _Memory()


def batch_memory(shape: tuple[int, ...]) -> F32:
    """Return the calling thread's own memory for batches of a shape, f32, with whatever it had last; zeros at first.

    A batch that is drawn where the last one was stays in the processor's caches, and none is ever made anew. Batches of
    several sizes share it.
    """
    kept = _memory.of_input.get(shape[1:])
    if kept is None or len(kept) < shape[0]:
        kept = _memory.of_input[shape[1:]] = shareable_zeros(shape, np.float32)
    return kept[: shape[0]]


def look(  # noqa: PLR0913 - one thing each
    runner: Runner, frames: Frames, frame_of: I64, boxes: I64, *, side_px: int, widths: Sequence[int], sizes: Sizes
) -> tuple[F32, ...]:
    """Run a network over boxes of frames, cut out batch by batch, the last one padded.

    Args:
        runner: the network.
        frames: what to cut from.
        frame_of: i64 (N,), number of each box's frame.
        boxes: i64 (N, 4), in pixels; see :meth:`~annotator.native.Frames.cut`.
        side_px: of the crops.
        widths: how many numbers each output has.
        sizes: that a batch may have.

    Returns:
        The outputs, f32 (N, width) each.

    """
    results = tuple(np.empty((len(boxes), width), np.float32) for width in widths)
    for which, size in steps(len(boxes), sizes):
        crops = batch_memory((size, side_px, side_px, 3))
        count = which.stop - which.start
        frames.cut(frame_of[which], boxes[which], out=crops[:count])
        crops[count:] = 0
        runner(crops, partial(_keep, tuple(result[which] for result in results)))
    return results


def _keep(places: Sequence[F32], outputs: Sequence[F32]) -> tuple[()]:
    """Keep a network's outputs, without those of what was padded."""
    for place, output in zip(places, outputs, strict=True):
        place[...] = output[: len(place)]
    return ()
