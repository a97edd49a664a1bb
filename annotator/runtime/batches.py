"""How much the networks get at once: what fits a processor's caches leaves a GPU idle.

A batch has one of few sizes, since each size is a compilation.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

Sizes = tuple[int, ...]
"""Sizes of batches, rising: the largest where it is full, and for the rest the smallest that takes it, padded."""


@dataclass(frozen=True, slots=True)
class Batches:
    """What an engine gets at once. No face depends on it but by the rounding of float32.

    Attributes:
        canvases: for P-Net.
        rnet: candidates for R-Net.
        rnet_again: those that it looks at again in float32, where its first look is in lower precision; none where
            it never looks twice.
        onet: candidates for O-Net.
        faces: for SFace.
        large_faces: for the networks that bundles carry: maps of one face of 224 pixels take some tens of megabytes.
        chunk_pixels: frames of so many pixels go through the cascade together, at least one frame.
        min_chunk_pixels: fewer would leave batches half empty.
        looks: frames that are looked at together where others show faces.
        in_hand_factor: how many times as many frames and faces are in hand as
            :class:`~annotator.decoding.PipelineParams` says.
        max_detecting: batches of frames that are with the detector at a time at most; None for one for each lane.

    """

    canvases: Sizes
    rnet: Sizes
    rnet_again: Sizes
    onet: Sizes
    faces: Sizes
    large_faces: Sizes
    chunk_pixels: int
    min_chunk_pixels: int
    looks: int
    in_hand_factor: int
    max_detecting: int | None


SMALL: Final = Batches(
    canvases=(1,),
    rnet=(64,),
    rnet_again=(32,),
    onet=(8,),
    faces=(8,),
    large_faces=(8,),
    chunk_pixels=3 * 512 * 1024,
    min_chunk_pixels=1024 * 1024,
    looks=16,
    in_hand_factor=1,
    max_detecting=None,
)
"""Of a processor. 12 frames of 480 x 270 are a chunk; twice as many take twice the memory and no less time. SFace
took 12.4, 11.1, 11.8 and 10.9 ms of processor time a face in batches of 1, 8, 16 and 32: beyond 8 is only padding."""

LARGE: Final = Batches(
    canvases=(8, 32),
    rnet=(128, 512),
    # A GPU should compute R-Net in less time than the candidates take to get there, and a first look would send those
    # twice that are worth it (not measured).
    rnet_again=(),
    onet=(32, 128),
    faces=(16, 128),
    large_faces=(8, 32),
    chunk_pixels=4 * 1024 * 1024,
    min_chunk_pixels=2 * 1024 * 1024,
    looks=128,
    in_hand_factor=4,
    max_detecting=8,
)
"""Of a GPU. 32 frames of 480 x 270 are a chunk: 50 canvases, some 3,200 candidates for R-Net and 320 for O-Net. A batch
of frames is up to 32 MiB, some three chunks: eight should fill one GPU, however many processors stand beside it (not
measured), and do not take gigabytes."""


def steps(count: int, sizes: Sizes) -> Iterator[tuple[slice, int]]:
    """Cut so many inputs into batches.

    Args:
        count: of inputs.
        sizes: that a batch may have.

    Yields:
        Which inputs, and the size that they are padded to.

    >>> [(part.start, part.stop, size) for part, size in steps(1100, (128, 512))]
    [(0, 512, 512), (512, 1024, 512), (1024, 1100, 128)]
    """
    start = 0
    while start < count:
        size = next((size for size in sizes if size >= count - start), sizes[-1])
        yield slice(start, min(start + size, count)), size
        start += size
