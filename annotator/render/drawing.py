"""Boxes and text on a frame. The font is OpenCV's built-in one: Latin with accents, Cyrillic, Chinese; no file."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from annotator.types import F32, U8

Colour = tuple[int, int, int]  # RGB

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
UNKNOWN_COLOUR: Colour = (150, 150, 150)
# Okabe and Ito's palette without its black and grey: told apart with any colour vision.
TRACK_COLOURS: tuple[Colour, ...] = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (213, 94, 0),
    (0, 114, 178),
)
REGULAR = 400
BOLD = 600
MIN_TEXT_PX = 12
MAX_TEXT_PX = 40
TEXT_SHARE = 20  # of the frame's short side


@dataclass(frozen=True, slots=True)
class FaceMark:
    """A box with its text.

    Attributes:
        box_xyxy: pixels of the frame; may reach beyond it.
        text: stands at the box.
        colour: of the box, and behind the text.

    """

    box_xyxy: tuple[float, float, float, float]
    text: str
    colour: Colour


@dataclass(frozen=True, slots=True)
class _Area:
    x1: int
    y1: int
    x2: int
    y2: int

    def overlaps(self, other: "_Area") -> bool:
        return self.x1 < other.x2 and other.x1 < self.x2 and self.y1 < other.y2 and other.y1 < self.y2


@cache
def _font() -> cv2.FontFace:
    return cv2.FontFace("sans")


def text_width_px(text: str, size_px: int, *, weight: int = BOLD) -> int:
    """Return how wide a line of text is drawn."""
    return int(cv2.getTextSize((0, 0), text, (0, 0), _font(), size_px, weight)[2]) if text else 0


def draw_text(image: U8, text: str, *, left: int, baseline: int, size_px: int, style: tuple[Colour, int]) -> None:
    """Draw a line of text into a picture.

    Args:
        image: u8 (H, W, 3), RGB, changed in place.
        text: one line.
        left: x of its start.
        baseline: y of its baseline.
        size_px: size of the font.
        style: colour and weight.

    """
    colour, weight = style
    cv2.putText(image, text, (left, baseline), colour, _font(), size_px, weight, wrap=(0, 1 << 20))


def shorten(text: str, size_px: int, room_px: int, *, weight: int = BOLD) -> str:
    """Return the text, cut with an ellipsis where it is wider than the room."""
    if text_width_px(text, size_px, weight=weight) <= room_px:
        return text
    while text and text_width_px(f"{text}…", size_px, weight=weight) > room_px:
        text = text[:-1]
    return f"{text.rstrip()}…" if text else ""


def text_colour_on(colour: Colour) -> Colour:
    """Return black or white, whichever is easier to read on the colour."""
    red, green, blue = colour
    is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 128  # ITU-R BT.601 luma
    return BLACK if is_light else WHITE


def readable_scale(width_px: int, height_px: int) -> int:
    """Return by how much a frame is enlarged so that names can be read on it."""
    return max(1, min(4, round(240 / max(1, min(width_px, height_px)))))


def draw_marks(image: U8, marks: Sequence[FaceMark], *, scale: int = 1) -> U8:
    """Draw boxes and texts on a frame.

    Args:
        image: u8 (H, W, 3), RGB; not changed.
        marks: in pixels of the frame; texts avoid each other where there is room.
        scale: the frame is enlarged by it first.

    Returns:
        u8 (H * scale, W * scale, 3), RGB.

    """
    height, width = image.shape[0] * scale, image.shape[1] * scale
    enlarged = image if scale == 1 else cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    canvas = np.array(enlarged, np.uint8)
    short_side = min(height, width)
    size_px = min(MAX_TEXT_PX, max(MIN_TEXT_PX, short_side // TEXT_SHARE))
    line_px = max(2, short_side // 160)
    boxes = [np.asarray(mark.box_xyxy, np.float32) * scale for mark in marks]
    for mark, box in zip(marks, boxes, strict=True):
        x1, y1, x2, y2 = (int(value) for value in np.rint(box))
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), mark.colour, line_px, cv2.LINE_AA)
    taken: list[_Area] = []
    for mark, box in zip(marks, boxes, strict=True):
        text = shorten(mark.text, size_px, width - size_px)
        text_wh = (text_width_px(text, size_px) + size_px // 2, round(size_px * 1.35))
        area = _place(box, text_wh, (width, height), taken)
        taken.append(area)
        cv2.rectangle(canvas, (area.x1, area.y1), (area.x2 - 1, area.y2 - 1), mark.colour, cv2.FILLED)
        draw_text(
            canvas,
            text,
            left=area.x1 + size_px // 4,
            baseline=area.y2 - round(size_px * 0.32),
            size_px=size_px,
            style=(text_colour_on(mark.colour), BOLD),
        )
    return canvas


def _place(box_xyxy: F32, text_wh: tuple[int, int], canvas_wh: tuple[int, int], taken: Sequence[_Area]) -> _Area:
    """Find room for a text: above its box, below it, or inside at the top; the first that is free."""
    width, height = text_wh
    x1, y1, _, y2 = (int(value) for value in np.rint(box_xyxy))
    left = min(max(0, x1), max(0, canvas_wh[0] - width))
    tops = [min(max(0, top), max(0, canvas_wh[1] - height)) for top in (y1 - height, y2, y1, y2 - height)]
    places = [_Area(left, top, left + width, top + height) for top in tops]
    return next((place for place in places if not any(place.overlaps(other) for other in taken)), places[0])
