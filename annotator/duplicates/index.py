"""Among a million clips those whose pictures may be a clip's: an index of codes in memory.

A code's lowest frequencies are its key. Codes lie in order of their keys; what is looked for is looked for under its
key and under those that differ where its signs are the least sure. Of what lies there, the codes that are near count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from annotator.duplicates.codes import ASKED, BITS, KEPT, U64, codes_of, window_waves
from annotator.types import F32, I64, U8

KEY_BITS: Final = 20
MAX_DISTANCE: Final = 16
"""Signs of 63 in which codes may differ; unrelated ones differ in half of them, and seldom in so few."""

MOST_FOUND: Final = 8
_UNSURE: Final = 8  # signs of a key, the least sure ones, that may be otherwise; two of them at a time
_MOST_WAITING: Final = 512  # codes that are in no order: all are looked at
_MUCH_LARGER: Final = 4
_KEY: Final = np.uint64((1 << KEY_BITS) - 1)
_MOST_READ: Final = 3_000_000  # codes that are looked at for a clip: pictures of one kind lie close together


@dataclass(frozen=True, slots=True, eq=False)
class _Segment:
    """Codes in order of their keys.

    Attributes:
        codes: u64 (N,).
        clips: i64 (N,), whose each is.
        starts: u32 (2^20 + 1,), where the codes of a key begin.

    """

    codes: U64
    clips: I64
    starts: NDArray[np.uint32]

    @classmethod
    def of(cls, codes: U64, clips: I64) -> Self:
        """Put codes in order."""
        keys = (codes & _KEY).astype(np.int64)
        order = np.argsort(keys, kind="stable")
        counts = np.bincount(keys, minlength=1 << KEY_BITS)
        return cls(codes[order], clips[order], np.concatenate([[0], np.cumsum(counts)]).astype(np.uint32))

    def near(self, codes: U64, keys: I64) -> tuple[I64, I64]:
        """Return whose codes are near some code, and how far: i64 (H,) each.

        Args:
            codes: u64 (Q,), what is looked for.
            keys: i64 (Q, P), where it may lie.

        """
        starts, ends = self.starts[keys.ravel()].astype(np.int64), self.starts[keys.ravel() + 1].astype(np.int64)
        lengths = ends - starts
        while lengths.sum() > _MOST_READ:  # the fullest keys tell least
            lengths[lengths >= max(int(lengths.max()) // 2, 1)] = 0
        filled = np.flatnonzero(lengths)
        asked = np.repeat(codes[filled // keys.shape[1]], lengths[filled])
        lengths, starts = lengths[filled], starts[filled]
        places = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
        distances = np.bitwise_count(asked ^ self.codes[places])
        is_near = distances <= MAX_DISTANCE
        return self.clips[places[is_near]], distances[is_near].astype(np.int64)


class DuplicateIndex:
    """Codes of many clips. It grows clip by clip; not thread-safe."""

    def __init__(self) -> None:
        """Begin empty."""
        self._segments: list[_Segment] = []
        self._new_codes: list[U64] = []
        self._new_clips: list[I64] = []
        self._waiting = 0

    def __len__(self) -> int:
        """Return the number of codes."""
        return self._waiting + sum(len(one.codes) for one in self._segments)

    def add(self, clips: I64, codes: U64) -> None:
        """Take codes of clips.

        Args:
            clips: i64 (N,), whose each code is.
            codes: u64 (N,), of :func:`kept_codes`.

        """
        self._new_clips.append(clips)
        self._new_codes.append(codes)
        self._waiting += len(codes)
        if self._waiting >= _MOST_WAITING:
            self._put_in_order()

    def find(self, pictures: U8) -> list[int]:
        """Return the clips that have most codes near those of a clip, or of its mirror image; eight at most.

        The best comes first.

        Args:
            pictures: u8 (K, 18, 32), of the clip.

        """
        if not len(pictures):
            return []
        both = np.concatenate([pictures, pictures[:, :, ::-1]])
        waves = window_waves(both, ASKED).reshape(-1, BITS)
        codes, first = np.unique(codes_of(waves), return_index=True)
        clips, distances = self._near(codes, waves[first])
        found, place = np.unique(clips, return_inverse=True)
        votes = MAX_DISTANCE + 1 - distances
        best = np.zeros(len(found), np.int64)
        np.maximum.at(best, place, votes)
        # The nearest code counts most; many that are just near count for something: a still scene has few.
        total = 4 * best + np.minimum(np.bincount(place, votes, len(found)).astype(np.int64), 8 * MAX_DISTANCE)
        chosen = np.lexsort((found, -total))[:MOST_FOUND]
        return [int(clip) for clip in found[chosen]]

    def _near(self, codes: U64, waves: F32) -> tuple[I64, I64]:
        """Return whose codes are near, and how far they are."""
        keys = _keys(codes, waves)
        clips, distances = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for segment in self._segments:
            some_clips, some_distances = segment.near(codes, keys)
            clips.append(some_clips)
            distances.append(some_distances)
        if self._new_codes:
            far = np.bitwise_count(np.concatenate(self._new_codes)[:, None] ^ codes)
            waiting, _ = np.nonzero(far <= MAX_DISTANCE)
            clips.append(np.concatenate(self._new_clips)[waiting])
            distances.append(far[far <= MAX_DISTANCE].astype(np.int64))
        return np.concatenate(clips), np.concatenate(distances)

    def _put_in_order(self) -> None:
        """Put what waits in order, together with segments that are not much larger: there are never many of them."""
        codes, clips = self._new_codes, self._new_clips
        self._new_codes, self._new_clips, self._waiting = [], [], 0
        while self._segments and len(self._segments[-1].codes) < _MUCH_LARGER * sum(map(len, codes)):
            last = self._segments.pop()
            codes, clips = [*codes, last.codes], [*clips, last.clips]
        self._segments.append(_Segment.of(np.concatenate(codes), np.concatenate(clips)))


def kept_codes(pictures: U8) -> U64:
    """Return the codes that are kept of a clip: u64 (C,), each once, for u8 (K, 18, 32) pictures."""
    return np.unique(codes_of(window_waves(pictures, KEPT)))


def _keys(codes: U64, waves: F32) -> I64:
    """Return i64 (N, P): the key of each code, and those that it may have as well."""
    keys = (codes & _KEY).astype(np.int64)
    unsure = np.argsort(np.abs(waves[:, :KEY_BITS]), axis=1)[:, :_UNSURE]
    bits = np.int64(1) << unsure.astype(np.int64)
    flips = [bits[:, list(some)].sum(axis=1) for some in _some_of_the_unsure()]
    return np.stack([keys ^ flip for flip in flips], axis=1)


def _some_of_the_unsure() -> Sequence[tuple[int, ...]]:
    return [some for count in range(3) for some in combinations(range(_UNSURE), count)]
