"""Draw the demo's clips: a camera moves over the portraits, cuts between them, or sees two at once."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from annotator.demo.portraits import BIDEN, COLLINS, OBAMA, load_portrait
from annotator.render.writers import write_gif, write_mp4
from annotator.types import U8

RECIPE: Final = "4"  # drawn anew when it changes
VIDEO_FPS: Final = 25
GIF_WH: Final = (480, 270)
VIDEO_WH: Final = (640, 360)
# GIF delays as people make them: not even.
GIF_DELAYS_MS: Final = (60, 60, 60, 120, 60, 60, 200, 40, 40, 60)


@dataclass(frozen=True, slots=True)
class View:
    """What the camera sees of a portrait: a rectangle of the clip's shape.

    Attributes:
        x: left edge, as a part of the portrait's width.
        y: upper edge, as a part of its height.
        width: as a part of its width.

    """

    x: float
    y: float
    width: float

    def towards(self, other: "View", part: float) -> "View":
        """Return the view between two, with a soft start and stop."""
        soft = (1 - math.cos(math.pi * part)) / 2
        steps = ((mine, theirs) for mine, theirs in zip(_numbers(self), _numbers(other), strict=True))
        return View(*(mine + soft * (theirs - mine) for mine, theirs in steps))


def _numbers(view: View) -> tuple[float, float, float]:
    return view.x, view.y, view.width


# Where the camera starts and ends; the faces stay within.
OBAMA_PAN: Final = (View(0.00, 0.00, 0.80), View(0.20, 0.00, 0.80))
OBAMA_ZOOM: Final = (View(0.00, 0.00, 1.00), View(0.10, 0.00, 0.84))
BIDEN_ZOOM: Final = (View(0.00, 0.02, 1.00), View(0.05, 0.03, 0.92))
COLLINS_PAN: Final = (View(0.00, 0.00, 0.80), View(0.18, 0.00, 0.75))
COLLINS_ZOOM: Final = (View(0.00, 0.00, 1.00), View(0.20, 0.00, 0.60))


def draw_clips(folder: Path, *, portraits: Mapping[str, Path]) -> list[Path]:
    """Draw the demo's clips, if they are not there yet.

    Args:
        folder: made if need be.
        portraits: pictures by the keys of ``annotator.demo.portraits``, read only where something is drawn.

    Returns:
        the clips, by name.

    """
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / ".recipe"
    names = ("astronaut.gif", "pan.gif", "three_shots.mp4", "two_people.gif")
    paths = [folder / name for name in names]
    is_drawn = marker.is_file() and marker.read_text(encoding="utf-8") == RECIPE
    if is_drawn and all(path.is_file() for path in paths):
        return paths
    astronaut, pan, three_shots, two_people = paths
    loaded = {key: load_portrait(path) for key, path in portraits.items()}
    _draw_gif(astronaut, _moving(loaded[COLLINS.key], COLLINS_PAN, frames=30, size_wh=GIF_WH))
    _draw_gif(pan, _moving(loaded[OBAMA.key], OBAMA_PAN, frames=36, size_wh=GIF_WH))
    _draw_video(three_shots, loaded)
    _draw_gif(two_people, _side_by_side(loaded, frames=30))
    marker.write_text(RECIPE, encoding="utf-8")
    return paths


def _moving(portrait: Image.Image, views: tuple[View, View], *, frames: int, size_wh: tuple[int, int]) -> Iterator[U8]:
    width, height = size_wh
    for number in range(frames):
        view = views[0].towards(views[1], number / (frames - 1))
        left, top = view.x * portrait.width, view.y * portrait.height
        seen_width = min(view.width * portrait.width, portrait.width - left)
        seen_height = seen_width * height / width
        box = (left, top, left + seen_width, min(top + seen_height, portrait.height))
        yield np.asarray(portrait.resize(size_wh, Image.Resampling.BICUBIC, box=box), np.uint8)


def _side_by_side(portraits: Mapping[str, Image.Image], *, frames: int) -> Iterator[U8]:
    half_wh = (GIF_WH[0] // 2, GIF_WH[1])
    left = _moving(portraits[OBAMA.key], (View(0.20, 0.0, 0.62), View(0.26, 0.0, 0.55)), frames=frames, size_wh=half_wh)
    right = _moving(
        portraits[BIDEN.key], (View(0.26, 0.02, 0.70), View(0.20, 0.0, 0.8)), frames=frames, size_wh=half_wh
    )
    for pair in zip(left, right, strict=True):
        yield np.concatenate(pair, axis=1)


def _draw_gif(path: Path, images: Iterator[U8]) -> None:
    with write_gif(path) as writer:
        for number, image in enumerate(images):
            writer.add(image, shown_ms=GIF_DELAYS_MS[number % len(GIF_DELAYS_MS)])


def _draw_video(path: Path, portraits: Mapping[str, Image.Image]) -> None:
    shots = ((OBAMA, OBAMA_ZOOM, 50), (COLLINS, COLLINS_ZOOM, 60), (BIDEN, BIDEN_ZOOM, 50))
    with write_mp4(path, fps=VIDEO_FPS) as writer:
        for portrait, views, frames in shots:
            for image in _moving(portraits[portrait.key], views, frames=frames, size_wh=VIDEO_WH):
                writer.add(image, shown_ms=1000 // VIDEO_FPS)
