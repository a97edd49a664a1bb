"""Families of photographs: near-duplicates, which must never be on both sides of a split."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotator.types import F32
from trainer.dataset.hashing import U64, Appearance

MAX_BITS_APART: Final = 10
"""Of the 64 bits of two hashes. Resizing, recompressing and mild colour changes move up to about eight."""

MIN_CORRELATION: Final = 0.9
"""Of two sketches whose hashes are near: plain pictures have near hashes by chance."""

_BLOCK: Final = 1024


def near_duplicates(appearances: Sequence[Appearance]) -> Iterator[tuple[int, int]]:
    """Yield all pairs of photographs that look the same, also mirrored; the first number is the smaller.

    All are compared with all, in blocks: 100,000 photographs take about half a minute.
    """
    hashes: U64 = np.array([one.hash64 for one in appearances], np.uint64)
    mirrored: U64 = np.array([one.mirrored64 for one in appearances], np.uint64)
    for start in range(0, len(hashes), _BLOCK):
        block = hashes[start : start + _BLOCK, None]
        for others, is_mirrored in ((hashes, False), (mirrored, True)):
            near = np.bitwise_count(block ^ others[None, start:]) <= MAX_BITS_APART
            for row, column in np.argwhere(near).tolist():
                first, second = start + row, start + column
                if first < second and _correlates(appearances[first], appearances[second], is_mirrored=is_mirrored):
                    yield first, second


def same_faces(embeddings: F32, *, min_cosine: float) -> Iterator[tuple[int, int]]:
    """Yield all pairs of faces f32 (N, D), unit norm, that are one picture, cropped or coloured differently."""
    alike = np.triu(embeddings @ embeddings.T >= min_cosine, k=1)
    yield from ((int(first), int(second)) for first, second in np.argwhere(alike))


def families(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Join what is paired, directly or over others.

    >>> families(4, [(0, 2), (2, 3)])
    [[0, 2, 3], [1]]
    """
    parent = list(range(count))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    for first, second in pairs:
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    joined: dict[int, list[int]] = {}
    for number in range(count):
        joined.setdefault(root(number), []).append(number)
    return list(joined.values())


def _correlates(one: Appearance, other: Appearance, *, is_mirrored: bool) -> bool:
    first, second = _centred(one.sketch), _centred(other.sketch[:, ::-1] if is_mirrored else other.sketch)
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    return norms == 0.0 or float((first * second).sum()) >= MIN_CORRELATION * norms


def _centred(sketch: NDArray[np.uint8]) -> NDArray[np.float64]:
    exact = sketch.astype(np.float64)
    return np.asarray(exact - exact.mean(), np.float64)
