"""The media of the fault tests: small, drawn, several contents, doubles under two keys, and one that is no media."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from annotator.types import U8
from tests.faults.faces import SIDE_PX, pattern
from tests.media_factory import PALETTE, GifPart, flat, gif_bytes, write_video

SIZE_WH: Final = (160, 112)
BROKEN_KEY: Final = "gifs/broken.gif"
FILM_KEY: Final = "films/walk.mp4"
# What each clip shows: for each frame, where which person is. Persons 0 to 2 are known, 3 and 4 are strangers.
_SCENES: Final[Mapping[str, Sequence[Mapping[int, tuple[int, int]]]]] = {
    "gifs/ada.gif": [{0: (8 + 6 * step, 20)} for step in range(6)],
    "gifs/ben-and-catherine.gif": [{1: (4, 8 + 4 * step), 2: (100, 40)} for step in range(5)],
    "gifs/stranger.gif": [{3: (60 - 5 * step, 30)} for step in range(4)],
    "gifs/ada-leaves.gif": [{0: (40, 40)}, {0: (44, 40)}, {}, {}, {4: (90, 10)}, {4: (90, 14)}],
    "gifs/nobody.gif": [{}, {}],
    "gifs/catherine.gif": [{2: (50, 50)}],
    "gifs/three.gif": [{0: (2, 2), 1: (56, 2 + 2 * step), 3: (110, 60)} for step in range(4)],
    "gifs/edith.gif": [{4: (10 + 3 * step, 10 + 3 * step)} for step in range(8)],
    "gifs/ben.gif": [{1: (100, 60 - 6 * step)} for step in range(5)],
}
_FILM: Final[Sequence[Mapping[int, tuple[int, int]]]] = [{2: (4 + 4 * step, 30), 4: (100, 50)} for step in range(12)]
# Key of the double: key of the clip whose bytes it has.
DOUBLES: Final = {"again/ada.gif": "gifs/ada.gif", "again/three.gif": "gifs/three.gif"}


def draw_gif(scenes: Sequence[Mapping[int, tuple[int, int]]], *, delay_cs: int = 10) -> bytes:
    """Draw a GIF: for each frame, the upper left corner (x, y) of each person."""
    width, height = SIZE_WH
    parts = [GifPart(_frame(people, flat(0, width, height)), delay_cs=delay_cs) for people in scenes]
    return gif_bytes(parts, size_wh=SIZE_WH)


def draw_clips(folder: Path) -> dict[str, bytes]:
    """Draw the media; by key."""
    clips = {key: draw_gif(scenes) for key, scenes in _SCENES.items()}
    clips |= {double: clips[key] for double, key in DOUBLES.items()}
    clips[BROKEN_KEY] = b"GIF89a this is no media"
    frames = np.stack([PALETTE[_frame(people, flat(0, *SIZE_WH))] for people in _FILM])
    clips[FILM_KEY] = write_video(folder / "walk.mp4", frames.astype(np.uint8), rate="4").read_bytes()
    return clips


def _frame(people: Mapping[int, tuple[int, int]], canvas: U8) -> U8:
    for person, (x, y) in people.items():
        canvas[y : y + SIDE_PX, x : x + SIDE_PX] = pattern(person)
    return canvas
