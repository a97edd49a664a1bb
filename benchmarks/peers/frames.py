"""The pictures on which the detector is compared with facenet-pytorch, read the same way on both sides."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageOps

FRAMES_OF_CLIP: Final = 3
"""So many frames of each clip, evenly spaced."""


class Frame(NamedTuple):
    """One picture to compare on.

    Attributes:
        name: of its file, relative to the folder of the data.
        index: of the frame in the file.
        pixels: u8 (H, W, 3), RGB.

    """

    name: str
    index: int
    pixels: Any

    @property
    def checksum(self) -> str:
        """Tell other pixels from other faces."""
        return sha256(repr(self.pixels.shape).encode() + self.pixels.tobytes()).hexdigest()[:16]


def all_frames(data: Path) -> Iterator[Frame]:
    """Yield all pictures: whole photographs of people, and frames of the clips.

    Args:
        data: the folder with ``people`` and ``clips``.

    """
    photographs = [p for folder in ("known", "sports5") for p in sorted((data / "people" / folder).glob("*/*"))]
    for path in photographs:
        with Image.open(path) as picture:
            yield _frame(path, data, 0, ImageOps.exif_transpose(picture))
    for path in sorted((data / "clips").glob("*.gif")):
        with Image.open(path) as clip:
            for index in _evenly(getattr(clip, "n_frames", 1)):
                clip.seek(index)
                yield _frame(path, data, index, clip)
    for path in sorted((data / "clips").glob("*.mp4")):
        yield from _film_frames(path, data)


def _film_frames(path: Path, data: Path) -> Iterator[Frame]:
    film = cv2.VideoCapture(str(path))
    try:
        for index in _evenly(int(film.get(cv2.CAP_PROP_FRAME_COUNT))):
            film.set(cv2.CAP_PROP_POS_FRAMES, index)
            found, pixels = film.read()
            if found:
                yield Frame(str(path.relative_to(data)), index, np.ascontiguousarray(pixels[..., ::-1]))
    finally:
        film.release()


def _evenly(count: int) -> list[int]:
    return sorted({(2 * n + 1) * count // (2 * FRAMES_OF_CLIP) for n in range(FRAMES_OF_CLIP)})


def _frame(path: Path, data: Path, index: int, picture: Image.Image) -> Frame:
    return Frame(str(path.relative_to(data)), index, np.array(picture.convert("RGB")))
