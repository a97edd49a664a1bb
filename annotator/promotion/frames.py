"""Pictures that are cut out of a media while it is decoded once for all of them."""

import contextlib
from collections import deque
from collections.abc import Collection, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from PIL import Image

from annotator.build import MediaSource
from annotator.errors import AnnotatorError
from annotator.media import Sampling
from annotator.types import U8, MediaRef


@dataclass(frozen=True, slots=True, eq=False)
class ShownFrame:
    """A frame at a time that was asked for.

    Attributes:
        time_ms: that time.
        start_ms: when the frame appears.
        image: u8 (H, W, 3), RGB.

    """

    time_ms: int
    start_ms: int
    image: U8


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """What a picture takes of a frame: frames are large, and many pictures are made at once.

    Attributes:
        start_ms: when the frame appears.
        image: what was cut out of it; None where it does not show the place.

    """

    start_ms: int
    image: Image.Image | None


class Picture(Protocol):
    """What can be cut out of a media. Equal ones give the same bytes of the same media."""

    @property
    def times_ms(self) -> tuple[int, ...]:
        """Of the frames that it needs, rising; one or more."""

    def cut(self, frame: ShownFrame) -> Image.Image | None:
        """Cut what it needs out of a frame; None where that does not show the place."""

    def write(self, cuts: Sequence[Cut]) -> bytes | None:
        """Return the file; ``cuts`` has one for each of the times."""

    def __hash__(self) -> int:
        """Equal ones have the same."""


def cut_what_can_be(
    media: MediaRef, pictures: Collection[Picture], *, sha256: str, source: MediaSource
) -> dict[Picture, bytes | None]:
    """Cut pictures as :func:`cut_pictures` does; return those that were made before something went wrong."""
    cut: dict[Picture, bytes | None] = {}
    with contextlib.suppress(AnnotatorError):
        cut.update(cut_pictures(media, pictures, sha256=sha256, source=source))
    return cut


def cut_pictures(
    media: MediaRef, pictures: Collection[Picture], *, sha256: str, source: MediaSource
) -> Generator[tuple[Picture, bytes | None], None, None]:
    """Cut pictures out of a media, which is opened once, and of which only the stretches are decoded that they need.

    Args:
        media: which media.
        pictures: what is wanted, in any order.
        sha256: of the bytes in which the places were found, hexadecimal.
        source: opens media; its sampling does not matter.

    Yields:
        Each picture as soon as it is made, with its file; None where the frame does not show the place any more.
        Nothing at all where the media has other bytes now.

    Raises:
        InputError: the media is not there, may not be read or is no media.
        TransientError: it cannot be fetched now.

    """
    wanted: dict[int, list[Picture]] = {}
    for picture in dict.fromkeys(pictures):
        for time_ms in picture.times_ms:
            wanted.setdefault(time_ms, []).append(picture)
    cuts: dict[Picture, list[Cut]] = {}
    with contextlib.closing(frames_at(media, wanted, sha256=sha256, source=source)) as frames:
        for frame in frames:
            for picture in wanted[frame.time_ms]:
                cuts.setdefault(picture, []).append(Cut(frame.start_ms, picture.cut(frame)))
                if frame.time_ms == picture.times_ms[-1]:
                    yield picture, picture.write(cuts.pop(picture))


def frames_at(
    media: MediaRef, times_ms: Iterable[int], *, sha256: str, source: MediaSource
) -> Generator[ShownFrame, None, None]:
    """Yield the frames that are shown at some times, rising; after the end it is the last one.

    Args:
        media: which media.
        times_ms: the times, in any order.
        sha256: of the bytes that are meant; of others there is no frame.
        source: opens media; its sampling does not matter.

    Raises:
        InputError: the media is not there, may not be read or is no media.
        TransientError: it cannot be fetched now.

    """
    waiting = deque(sorted(set(times_ms)))
    if not waiting:
        return
    start_ms, shown = 0, None
    with replace(source, sampling=Sampling.at(waiting)).open(media) as frames:
        if frames.content_sha256 != sha256:
            return
        for batch in frames:
            for next_ms, image in zip(batch.pts_ms.tolist(), batch.images, strict=True):
                while shown is not None and waiting and waiting[0] < next_ms:
                    yield ShownFrame(waiting.popleft(), start_ms, shown)
                start_ms, shown = next_ms, image
        while shown is not None and waiting:
            yield ShownFrame(waiting.popleft(), start_ms, shown)
