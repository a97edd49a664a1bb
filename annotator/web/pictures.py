"""Faces as pictures: cut out of the media when a page shows them, and kept for a while."""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from annotator.build import MediaSource
from annotator.errors import AnnotatorError
from annotator.media import MediaReader, Sampling
from annotator.promotion.pictures import Moment, cut_faces
from annotator.types import MediaRef

KEPT_BYTES: Final = 32 * 1024 * 1024
"""Of pictures that are kept: some 5,000 faces."""

# What cannot be read is not asked for again so long, in seconds: a page asks for several faces of one track at once.
_FAILURE_LASTS_S: Final = 60.0
_DECODING_S: Final = 60.0  # that a picture may take
_LOCKS: Final = 64
_Key = tuple[str, tuple[Moment, ...]]


@dataclass(frozen=True, slots=True)
class _Kept:
    pictures: tuple[bytes | None, ...]
    until_s: float | None  # of a monotonic clock; None for as long as there is room

    @property
    def size_bytes(self) -> int:
        return 1000 + sum(len(one) for one in self.pictures if one is not None)


class FacePictures:
    """Cuts faces out of media and keeps those that were asked for last. Safe to use from several threads.

    Who asks has looked whether the media is there, and whether the visitor may see it.
    """

    def __init__(self, *, kept_bytes: int = KEPT_BYTES) -> None:
        """Keep nothing yet."""
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._left_bytes = kept_bytes
        self._lock = threading.Lock()
        self._cutting = [threading.Lock() for _ in range(_LOCKS)]

    def cut(
        self, reader: MediaReader, media: MediaRef, moments: Sequence[Moment], *, sha256: str
    ) -> tuple[bytes | None, ...]:
        """Return a JPEG of each face; the media is brought and decoded once for all of them.

        Args:
            reader: brings the media, within its limits.
            media: which media.
            moments: the faces. Ask for those of a track together, in the same order each time: they are kept together.
            sha256: of the bytes in which they were found, hexadecimal.

        Returns:
            In their order; None for those that cannot be shown: the media is gone, has changed or cannot be read now.

        """
        key = (sha256, tuple(moments))
        with self._cutting[hash(key) % _LOCKS]:  # who comes second finds what the first one has cut
            found = self._find(key)
            if found is None:
                found = self._keep(key, _cut(reader, media, key))
        return found

    def _find(self, key: _Key) -> tuple[bytes | None, ...] | None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or (kept.until_s is not None and time.monotonic() > kept.until_s):
                return None
            self._kept.move_to_end(key)
            return kept.pictures

    def _keep(self, key: _Key, pictures: tuple[bytes | None, ...]) -> tuple[bytes | None, ...]:
        until_s = time.monotonic() + _FAILURE_LASTS_S if None in pictures else None
        new = _Kept(pictures, until_s)
        with self._lock:
            former = self._kept.pop(key, None)
            self._left_bytes += 0 if former is None else former.size_bytes
            self._kept[key] = new
            self._left_bytes -= new.size_bytes
            while self._left_bytes < 0:
                _, oldest = self._kept.popitem(last=False)
                self._left_bytes += oldest.size_bytes
        return pictures


def _cut(reader: MediaReader, media: MediaRef, key: _Key) -> tuple[bytes | None, ...]:
    limits = replace(reader.decode, wall_s=min(reader.decode.wall_s, _DECODING_S))
    sha256, moments = key
    try:
        return cut_faces(media, moments, sha256=sha256, source=MediaSource(reader, Sampling.all(), limits))
    except AnnotatorError:
        return (None,) * len(moments)
