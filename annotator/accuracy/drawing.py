"""Draws planned clips: photographs move over made-up backgrounds, as a camera and a GIF would show them.

What stays the same is made once: for a shot the lit background, the lit faces in the size in which they are seen, and
the noise, which each frame takes from another place; for a GIF its palette.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotator.accuracy.scenes import FPS_OF_MP4, Appearance, Place, Scene, Shot
from annotator.recognition.alignment import FACE_SIDE_PX
from annotator.render.writers import RenderError, write_mp4
from annotator.types import F32, U8

I8 = NDArray[np.int8]

_MARGIN_PX: Final = 56
"""Around an aligned face there is made-up hair, neck and background: a detector wants to see more than a mask."""

_SIDE_PX: Final = FACE_SIDE_PX + 2 * _MARGIN_PX
_EDGES: Final = 9  # of cartoons
_CAPTION_PX: Final = 0.085  # of a caption, as a part of the frame's height
_GRAIN: Final = 2.0  # standard deviations, of 255: of what is seen
_NOISE: Final = 1.5  # and of the camera
_NOISE_MARGIN_PX: Final = 48  # by which a shot's noise is larger than its frames: 49 x 49 places to take it from
_PALETTE_FRAMES: Final = 6  # that a GIF's colours are chosen from


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


@dataclass(frozen=True, slots=True)
class Bust:
    """A face with something around it.

    Attributes:
        colour: u8 (S, S, 3), RGB; S is twice the face's side, and at most 224.
        seen: f32 (S, S), how much of it is seen, 0 to 1.

    """

    colour: U8
    seen: F32


def draw_frames(scene: Scene, photographs: Mapping[int, U8]) -> Iterator[DrawnFrame]:
    """Draw a clip frame by frame.

    Args:
        scene: what is to be seen.
        photographs: u8 (112, 112, 3), RGB, aligned, by their numbers.

    """
    delays = iter(scene.delays_ms)
    for shot_no, shot in enumerate(scene.shots):
        random = np.random.default_rng(shot.seed)
        background = _lit(_background(scene.size_wh, random), shot)
        busts = [make_bust(photographs[one.photograph], one, shot) for one in shot.appearances]
        phases = random.uniform(0, 2 * np.pi, len(busts))
        noise = _noise(scene.size_wh, random)
        for number in range(shot.frames):
            part = number / max(shot.frames - 1, 1)
            image, faces = background.copy(), []
            for one, bust, phase in zip(shot.appearances, busts, phases, strict=True):
                place = _between(one, part, float(phase))
                paste(image, bust, place)
                faces.append(DrawnFace(one, _box(place, scene.size_wh)))
            picture = _finished(image, shot, faces, _somewhere(noise, scene.size_wh, random))
            yield DrawnFrame(picture, next(delays), shot_no, tuple(faces))


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
    if scene.format == "gif":
        _write_gif(path, frames, scene.colours)
        return path, frames
    with write_mp4(path, fps=FPS_OF_MP4) as file:
        for frame in frames:
            file.add(frame.image, shown_ms=frame.shown_ms)
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


def _lit(colours: F32, shot: Shot) -> U8:
    """Return colours, 0 to 255, as a shot's light shows them."""
    lit = (colours - 128) * shot.contrast + 128 + shot.brightness
    return np.asarray(np.rint(np.clip(lit, 0, 255)), np.uint8)


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
    grain = _GRAIN * random.standard_normal(blurred.shape, np.float32)
    return np.asarray(np.clip(blurred + grain, 0, 255), np.float32)


def _muted(random: np.random.Generator, height: int, width: int) -> F32:
    """Return f32 (height, width, 3), colours as rooms and streets have them: rather grey."""
    grey, tint = random.uniform(25, 225, (height, width, 1)), random.normal(0, 22, (height, width, 3))
    return np.asarray(np.clip(grey + tint, 0, 255), np.float32)


def _noise(size_wh: tuple[int, int], random: np.random.Generator) -> I8:
    """Return the noise of a camera, larger than a frame: i8 (H + 48, W + 48, 3)."""
    width, height = (side + _NOISE_MARGIN_PX for side in size_wh)
    noise = _NOISE * random.standard_normal((height, width, 3), np.float32)
    return np.asarray(np.rint(noise), np.int8)


def _somewhere(noise: I8, size_wh: tuple[int, int], random: np.random.Generator) -> I8:
    """Return a frame's part of a shot's noise, from another place for each frame: i8 (H, W, 3)."""
    left, top = random.integers(_NOISE_MARGIN_PX + 1, size=2)
    return noise[top : top + size_wh[1], left : left + size_wh[0]]


def make_bust(photograph: U8, one: Appearance, shot: Shot) -> Bust:
    """Return a face with something around it, in a shot's light.

    It is reduced to the largest size in which it is seen: bilinear sampling alone would skip pixels.

    Args:
        photograph: u8 (112, 112, 3), RGB, aligned.
        one: what it is, how large, and whether it is mirrored.
        shot: its contrast and brightness count.

    """
    face = photograph[:, ::-1] if one.is_mirrored else photograph
    if one.kind == "cartoon":
        face = as_cartoon(face)
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
        seen = np.clip((1.12 - distance) / 0.16, 0, 1).astype(np.float32)
    largest_px = max(one.first.face_px, one.last.face_px)
    side = min(_SIDE_PX, int(np.ceil(largest_px * _SIDE_PX / FACE_SIDE_PX)))
    return Bust(
        np.asarray(cv2.resize(_lit(colour, shot), (side, side), interpolation=cv2.INTER_AREA), np.uint8),
        np.asarray(cv2.resize(seen, (side, side), interpolation=cv2.INTER_AREA), np.float32),
    )


def as_cartoon(face: U8) -> U8:
    """Return a picture as if it were drawn: few flat colours, dark edges.

    Args:
        face: u8 (H, W, 3), RGB, with a face about 112 pixels wide.

    """
    flat = face
    for _ in range(3):
        flat = np.asarray(cv2.bilateralFilter(flat, 9, 40, 9), np.uint8)
    flat = flat // 40 * 40 + 20
    luma = cv2.medianBlur(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), 5)
    edges = cv2.adaptiveThreshold(luma, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, _EDGES, 4)
    return np.asarray(np.where(edges[..., None] > 0, flat, 15), np.uint8)


def paste(image: U8, bust: Bust, place: Place) -> None:
    """Draw a bust over a picture, turned and of its size.

    Args:
        image: u8 (H, W, 3), RGB; it is changed.
        bust: what is drawn.
        place: where; the bust is twice as large as the face.

    """
    target = np.array([place.x * image.shape[1], place.y * image.shape[0]])
    side_px, turn = place.face_px * _SIDE_PX / FACE_SIDE_PX, np.deg2rad(place.turn_deg)
    reach = side_px / 2 * (abs(np.cos(turn)) + abs(np.sin(turn)))
    left, top = np.maximum(target - reach, 0).astype(int)
    right, bottom = np.maximum(target + reach + 1, 0).astype(int)
    under = image[top:bottom, left:right]
    if not under.size:
        return
    side = len(bust.seen)
    rotation = side_px / side * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shift = target - (left, top) - rotation @ np.full(2, (side - 1) / 2)
    matrix = np.concatenate([rotation, shift[:, None]], axis=1)
    colour, seen = (
        cv2.warpAffine(part, matrix, (under.shape[1], under.shape[0]), flags=cv2.INTER_LINEAR)
        for part in (bust.colour, bust.seen)
    )
    under[...] = cv2.blendLinear(under, colour, 1 - seen, seen)


def _finished(image: U8, shot: Shot, faces: list[DrawnFace], noise: I8) -> U8:
    """Let the camera move, add its noise, and write the caption."""
    across, down = shot.motion_px
    if across or down:
        image = np.asarray(cv2.filter2D(image, -1, _motion_kernel(across, down)), np.uint8)
    picture = np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), np.uint8)
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


def _write_gif(path: Path, frames: Sequence[DrawnFrame], colours: int) -> None:
    """Write frames with one palette of so many colours, dithered."""
    chosen = frames[:: max(1, len(frames) // _PALETTE_FRAMES)]
    among = Image.fromarray(np.concatenate([frame.image for frame in chosen]))
    palette = among.quantize(colours, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    pictures = (
        Image.fromarray(frame.image).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for frame in frames
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        next(pictures).save(
            path,
            save_all=True,
            append_images=pictures,
            duration=[frame.shown_ms for frame in frames],
            loop=0,
            optimize=False,
        )
    except OSError as error:
        raise RenderError(f"{path} cannot be written ({error}): name another folder") from error
