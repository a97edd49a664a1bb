"""Draws planned clips: photographs move over made-up backgrounds, as a camera and a GIF would show them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from PIL import Image

from annotator.accuracy.scenes import FPS_OF_MP4, Appearance, Place, Scene, Shot
from annotator.recognition.alignment import FACE_SIDE_PX
from annotator.render.writers import write_gif, write_mp4
from annotator.types import F32, U8

_MARGIN_PX: Final = 56
"""Around an aligned face there is made-up hair, neck and background: a detector wants to see more than a mask."""

_SIDE_PX: Final = FACE_SIDE_PX + 2 * _MARGIN_PX
_EDGES: Final = 9  # of cartoons
_CAPTION_PX: Final = 0.085  # of a caption, as a part of the frame's height


@dataclass(frozen=True, slots=True)
class DrawnFace:
    """Where a face was drawn on a frame.

    Attributes:
        appearance: whose it is.
        box_xyxy: of the square that becomes the aligned face, in pixels, upright.

    """

    appearance: Appearance
    box_xyxy: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class DrawnFrame:
    """A frame with what is seen on it.

    Attributes:
        image: u8 (H, W, 3), RGB.
        shown_ms: how long it is shown.
        shot: number of the shot that it belongs to.
        faces: on it.

    """

    image: U8
    shown_ms: int
    shot: int
    faces: tuple[DrawnFace, ...]


def draw_frames(scene: Scene, photographs: Mapping[int, U8]) -> Iterator[DrawnFrame]:
    """Draw a clip frame by frame.

    Args:
        scene: what is to be seen.
        photographs: u8 (112, 112, 3), RGB, aligned, by their numbers.

    """
    delays = iter(scene.delays_ms)
    for shot_no, shot in enumerate(scene.shots):
        random = np.random.default_rng(shot.seed)
        background = _background(scene.size_wh, random)
        busts = [_bust(photographs[one.photograph], one) for one in shot.appearances]
        phases = random.uniform(0, 2 * np.pi, len(busts))
        for number in range(shot.frames):
            part = number / max(shot.frames - 1, 1)
            image, faces = background.copy(), []
            for one, bust, phase in zip(shot.appearances, busts, phases, strict=True):
                place = _between(one, part, float(phase))
                _paste(image, bust, place)
                faces.append(DrawnFace(one, _box(place, scene.size_wh)))
            yield DrawnFrame(_finished(image, shot, faces, random), next(delays), shot_no, tuple(faces))


def draw_clip(scene: Scene, photographs: Mapping[int, U8], folder: Path) -> tuple[Path, list[DrawnFrame]]:
    """Draw a clip into a file.

    Args:
        scene: what is to be seen.
        photographs: see :func:`draw_frames`.
        folder: where it goes.

    Returns:
        The file, and its frames as they were before they were compressed.

    Raises:
        RenderError: it cannot be written.

    """
    path = folder / f"{scene.name}.{scene.format}"
    frames = list(draw_frames(scene, photographs))
    writer = write_gif(path) if scene.format == "gif" else write_mp4(path, fps=FPS_OF_MP4)
    with writer as file:
        for frame in frames:
            image = _with_colours(frame.image, scene.colours) if scene.format == "gif" else frame.image
            file.add(image, shown_ms=frame.shown_ms)
    return path, frames


def _between(one: Appearance, part: float, phase: float) -> Place:
    """Return where a face is: on its way from first to last, swaying a little as heads and hands do."""
    soft = (1 - np.cos(np.pi * part)) / 2
    x, y, face_px, turn_deg = (
        getattr(one.first, name) + soft * (getattr(one.last, name) - getattr(one.first, name))
        for name in ("x", "y", "face_px", "turn_deg")
    )
    sway = 0.0 if one.kind != "live" else np.sin(phase + 9 * part)
    return Place(
        float(x + 0.006 * sway), float(y + 0.004 * np.cos(phase)), float(face_px), float(turn_deg + 1.5 * sway)
    )


def _box(place: Place, size_wh: tuple[int, int]) -> tuple[float, float, float, float]:
    x, y, half = place.x * size_wh[0], place.y * size_wh[1], place.face_px / 2
    return x - half, y - half, x + half, y + half


def _background(size_wh: tuple[int, int], random: np.random.Generator) -> F32:
    """Return something out of focus: f32 (H, W, 3), 0 to 255."""
    width, height = size_wh
    rough = _muted(random, int(random.integers(2, 5)), int(random.integers(3, 7)))
    image = cv2.resize(rough, size_wh, interpolation=cv2.INTER_CUBIC)
    for _ in range(random.integers(2, 7)):
        corner, size = random.uniform(-0.1, 0.9, 2), random.uniform(0.08, 0.5, 2)
        first = (int(corner[0] * width), int(corner[1] * height))
        last = (int((corner[0] + size[0]) * width), int((corner[1] + size[1]) * height))
        colour = _muted(random, 1, 1)[0, 0].tolist()
        if random.random() < 0.5:
            cv2.rectangle(image, first, last, colour, -1)
        else:
            cv2.ellipse(image, first, (max(1, last[0] - first[0]), max(1, last[1] - first[1])), 0, 0, 360, colour, -1)
    blurred = cv2.GaussianBlur(image, (0, 0), float(random.uniform(1.0, 6.0)))
    grain = random.normal(0, 2.0, blurred.shape)
    return np.asarray(np.clip(blurred + grain, 0, 255), np.float32)


def _muted(random: np.random.Generator, height: int, width: int) -> F32:
    """Return f32 (height, width, 3), colours as rooms and streets have them: rather grey."""
    grey, tint = random.uniform(25, 225, (height, width, 1)), random.normal(0, 22, (height, width, 3))
    return np.asarray(np.clip(grey + tint, 0, 255), np.float32)


def _bust(photograph: U8, one: Appearance) -> F32:
    """Return a face with something around it: f32 (224, 224, 4), RGB in 0-255 and how much of it is seen, 0 to 1."""
    face = photograph[:, ::-1] if one.is_mirrored else photograph
    if one.kind == "cartoon":
        face = _cartoon(face)
    wide = cv2.copyMakeBorder(face, *(_MARGIN_PX,) * 4, cv2.BORDER_REFLECT_101).astype(np.float32)
    around = cv2.GaussianBlur(wide, (0, 0), 9)
    y, x = np.mgrid[:_SIDE_PX, :_SIDE_PX].astype(np.float32)
    centre = (_SIDE_PX - 1) / 2
    # Of the mirror image around the photograph nothing sharp is left: it would show the face's parts once more.
    beyond = np.maximum(np.abs(x - centre), np.abs(y - centre)) - FACE_SIDE_PX / 2
    blend = np.clip((beyond + 4) / 8, 0, 1)[..., None]
    colour = wide * (1 - blend) + around * blend
    if one.kind == "poster":
        seen = (np.maximum(np.abs(x - centre), np.abs(y - centre)) < centre - 12).astype(np.float32)
        is_frame = seen * (np.maximum(np.abs(x - centre), np.abs(y - centre)) > centre - 18)
        colour = np.where(is_frame[..., None] > 0, 30.0, 0.75 * colour + 40.0)
    else:
        distance = np.hypot((x - centre) / 82, (y - centre) / 98)
        seen = np.clip((1.12 - distance) / 0.16, 0, 1)
    return np.asarray(np.dstack([colour, seen]), np.float32)


def _cartoon(face: U8) -> U8:
    """Return a face as if it were drawn: few flat colours, dark edges."""
    flat = face
    for _ in range(3):
        flat = np.asarray(cv2.bilateralFilter(flat, 9, 40, 9), np.uint8)
    flat = flat // 40 * 40 + 20
    luma = cv2.medianBlur(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), 5)
    edges = cv2.adaptiveThreshold(luma, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, _EDGES, 4)
    return np.asarray(np.where(edges[..., None] > 0, flat, 15), np.uint8)


def _paste(image: F32, bust: F32, place: Place) -> None:
    """Draw a bust over a picture, turned and of its size."""
    height, width = image.shape[:2]
    scale = place.face_px / FACE_SIDE_PX
    if scale < 0.5:  # bilinear sampling alone would skip pixels
        sigma = 0.4 / scale
        bust = np.asarray(cv2.GaussianBlur(bust, (0, 0), sigma), np.float32)
    turn = np.deg2rad(place.turn_deg)
    rotation = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centre = np.array([(_SIDE_PX - 1) / 2] * 2)
    target = np.array([place.x * width, place.y * height])
    matrix = np.concatenate([rotation, (target - rotation @ centre)[:, None]], axis=1)
    drawn = cv2.warpAffine(bust, matrix, (width, height), flags=cv2.INTER_LINEAR)
    seen = drawn[..., 3:]
    image *= 1 - seen
    image += drawn[..., :3] * seen


def _finished(image: F32, shot: Shot, faces: list[DrawnFace], random: np.random.Generator) -> U8:
    """Let the camera move, light the picture, and write the caption."""
    across, down = shot.motion_px
    if across or down:
        image = np.asarray(cv2.filter2D(image, -1, _motion_kernel(across, down)), np.float32)
    lit = (image - 128) * shot.contrast + 128 + shot.brightness + random.normal(0, 1.5, image.shape)
    picture = np.ascontiguousarray(np.clip(lit, 0, 255).astype(np.uint8))
    if shot.caption:
        _write(picture, shot, faces)
    return picture


def _motion_kernel(across: float, down: float) -> F32:
    size = 2 * int(np.ceil(max(abs(across), abs(down)))) + 1
    kernel = np.zeros((size, size), np.float32)
    middle = size // 2
    for step in np.linspace(-0.5, 0.5, 4 * size):
        kernel[round(middle + step * down), round(middle + step * across)] += 1
    return np.asarray(kernel / kernel.sum(), np.float32)


def _write(picture: U8, shot: Shot, faces: list[DrawnFace]) -> None:
    height, width = picture.shape[:2]
    scale = _CAPTION_PX * height / 22
    (text_width, _), _ = cv2.getTextSize(shot.caption, cv2.FONT_HERSHEY_DUPLEX, scale, 1)
    x, y = (width - text_width) // 2, int(0.94 * height)
    if shot.hides_faces and faces:
        left, top, right, bottom = faces[-1].box_xyxy
        x, y = int((left + right - text_width) / 2), int(bottom - 0.12 * (bottom - top))
    for colour, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(picture, shot.caption, (x, y), cv2.FONT_HERSHEY_DUPLEX, scale, colour, thickness, cv2.LINE_AA)


def _with_colours(image: U8, colours: int) -> U8:
    """Return a picture with a palette of so many colours, dithered; the writer's own palette then keeps them."""
    picture = Image.fromarray(image)
    palette = picture.quantize(colours, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    dithered = picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    return np.asarray(dithered.convert("RGB"), np.uint8)
