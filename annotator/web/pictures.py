"""Faces as pictures: cut out of the media when a page shows them, and kept for a while."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from annotator.build import MediaSource
from annotator.media import MediaReader, Sampling
from annotator.promotion.frames import Picture, cut_what_can_be
from annotator.promotion.pictures import Moment, best_moments
from annotator.store.codec import StoredBoxes
from annotator.types import MediaRef
from annotator.web.turns import Turns

KEPT_BYTES: Final = 32 * 1024 * 1024
"""Of pictures that are kept: some 5,000 faces."""

TOGETHER_MS: Final = 20_000
"""Faces of one media that lie in the same stretch of this length are cut together: a page shows all of its tracks."""

MOST_TOGETHER: Final = 60
"""Tracks that are cut together: so many are on one page of a media."""

# What cannot be read is not asked for again so long, in seconds: a page asks for many faces of one media at once.
_FAILURE_LASTS_S: Final = 60.0
_DECODING_S: Final = 60.0  # that the pictures may take
_Key = tuple[str, Picture]


@dataclass(frozen=True, slots=True)
class _Kept:
    picture: bytes | None
    until_s: float | None  # of a monotonic clock; None for as long as there is room

    @property
    def size_bytes(self) -> int:
        return 1000 + (0 if self.picture is None else len(self.picture))


class FacePictures:
    """Cuts faces out of media and keeps those that were asked for last. Safe to use from several threads.

    Who asks has looked whether the media is there, and whether the visitor may see it.
    """

    def __init__(self, *, kept_bytes: int = KEPT_BYTES) -> None:
        """Keep nothing yet."""
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._left_bytes = self._kept_bytes = kept_bytes
        self._takedowns = (0, 0)
        self._lock = threading.Lock()
        self._turns: Turns[str] = Turns()  # by digest, of what is being cut

    def cut(
        self,
        reader: MediaReader,
        media: MediaRef,
        pictures: Sequence[Picture],
        *,
        sha256: str,
        together: Callable[[], Collection[Picture]] = tuple,
    ) -> tuple[bytes | None, ...]:
        """Return pictures of a media, which is brought and decoded at most once for all of them.

        Args:
            reader: brings the media, within its limits.
            media: which media.
            pictures: what is wanted.
            sha256: of the bytes in which the places were found, hexadecimal.
            together: tells what will be wanted next of this media; it is made along with the others.

        Returns:
            In their order; None for those that cannot be shown: the media is gone, has changed or cannot be read now.

        """
        found = self.find_all(sha256, pictures)  # what is kept does not wait for what is being cut
        if found is None:
            with self._turns.of(sha256):  # who comes second finds what the first one has cut
                found = self.find_all(sha256, pictures)
                if found is None:
                    found = self._cut_missing(reader, media, sha256, pictures, [*pictures, *together()])
        return found

    def _cut_missing(  # noqa: PLR0917 - as of `cut`
        self,
        reader: MediaReader,
        media: MediaRef,
        sha256: str,
        pictures: Sequence[Picture],
        wanted: Sequence[Picture],
    ) -> tuple[bytes | None, ...]:
        had = {one: self._find((sha256, one)) for one in dict.fromkeys(wanted)}
        missing = [one for one, kept in had.items() if kept is None]
        takedowns = self._takedowns
        cut = _cut(reader, media, missing, sha256)
        # What nobody has asked for yet may only have come too late: it is tried again when it is asked for. Where
        # nothing at all could be read, it would not be better for another picture.
        failed = pictures if cut else missing
        for one in reversed(missing):  # what was asked for is kept longest
            if one in cut or one in failed:
                self._keep((sha256, one), cut.get(one), takedowns)
        return tuple(kept.picture if (kept := had[one]) is not None else cut.get(one) for one in pictures)

    def find_all(self, sha256: str, pictures: Sequence[Picture]) -> tuple[bytes | None, ...] | None:
        """Return pictures of a media that are all kept, or known not to be there; None where one is not."""
        found = [self._find((sha256, one)) for one in pictures]
        return None if None in found else tuple(kept.picture for kept in found if kept is not None)

    def follow(self, takedowns: tuple[int, int]) -> None:
        """Forget all pictures where somebody was taken down meanwhile.

        Args:
            takedowns: so far, as of ``takedowns_so_far``: how many have begun, and how many have ended.

        """
        with self._lock:
            if takedowns != self._takedowns:
                self._kept.clear()
                self._left_bytes = self._kept_bytes
                self._takedowns = takedowns

    def _find(self, key: _Key) -> _Kept | None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or (kept.until_s is not None and time.monotonic() > kept.until_s):
                return None
            self._kept.move_to_end(key)
            return kept

    def _keep(self, key: _Key, picture: bytes | None, takedowns: tuple[int, int]) -> None:
        """Keep a picture that was begun after so many takedowns; not where there was another one meanwhile."""
        new = _Kept(picture, time.monotonic() + _FAILURE_LASTS_S if picture is None else None)
        with self._lock:
            if takedowns != self._takedowns:
                return
            former = self._kept.pop(key, None)
            self._left_bytes += 0 if former is None else former.size_bytes
            self._kept[key] = new
            self._left_bytes -= new.size_bytes
            while self._left_bytes < 0:
                _, oldest = self._kept.popitem(last=False)
                self._left_bytes += oldest.size_bytes


def stretch_of(at_ms: int) -> tuple[int, int]:
    """Return from when to when the stretch lasts that a time is in, half-open."""
    start_ms = at_ms // TOGETHER_MS * TOGETHER_MS
    return start_ms, start_ms + TOGETHER_MS


def faces_beside(at_ms: int, around: Iterable[StoredBoxes]) -> list[Moment]:
    """Return the best faces of tracks whose best moment is in the same stretch as a time, nearest first.

    Args:
        at_ms: the time.
        around: tracks that are seen at about that time, one or more times each.

    """
    start_ms, end_ms = stretch_of(at_ms)
    best = [best_moments(boxes, most=1)[0] for boxes in around]
    near = [moment for moment in best if start_ms <= moment.pts_ms < end_ms]
    return sorted(near, key=lambda moment: (abs(moment.pts_ms - at_ms), moment.box_xyxy))[: MOST_TOGETHER - 1]


def _cut(
    reader: MediaReader, media: MediaRef, pictures: Collection[Picture], sha256: str
) -> dict[Picture, bytes | None]:
    """Return what could be made of them before something went wrong."""
    limits = replace(reader.decode, wall_s=min(reader.decode.wall_s, _DECODING_S))
    source = MediaSource(reader, Sampling.all(), limits)
    return cut_what_can_be(media, pictures, sha256=sha256, source=source)
