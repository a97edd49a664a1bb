"""Make sharp aligned faces look as they would in a small or damaged clip.

Thresholds must hold for clips, but known strangers and known people come as good photographs. So each photograph is
made small, blurred, its colours reduced as a GIF's or its blocks quantised as a video's, then aligned again with the
small errors that landmarks have. All randomness is drawn from a generator seeded by the caller: the same input gives
the same pictures on the same machine and library versions.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from PIL import Image

from annotator.types import U8

GIF_COLOURS: Final = 48
"""Colours that one face gets of the 256 of a GIF's frame."""

JPEG_QUALITY: Final = 45
"""Of the pictures that stand for frames of a compressed video."""


@dataclass(frozen=True, slots=True)
class Degradation:
    """How strongly faces are degraded.

    Attributes:
        face_px: side of what the crop shows, in the made-up clip.
        max_blur_px: upper bound of the Gaussian blur's standard deviation, in pixels of the made-up clip; drawn evenly.
        max_turn_deg: upper bound of the alignment's error in angle, drawn evenly, both ways.
        max_scale: upper bound of its error in scale, as a share.
        max_shift: upper bound of its error in place, as a share of the side.

    """

    face_px: int
    max_blur_px: float = 0.7
    max_turn_deg: float = 3.0
    max_scale: float = 0.04
    max_shift: float = 0.02


def degrade_faces(faces: U8, *, degradation: Degradation, seed: int) -> U8:
    """Return the faces as a clip would show them.

    Args:
        faces: u8 (N, S, S, 3), RGB, as the embedder takes them.
        degradation: how strongly.
        seed: of the random draws; every second face gets a GIF's colours, the others a video's blocks.

    Returns:
        u8 (N, S, S, 3), RGB.

    """
    degraded = np.empty_like(faces)
    for index, face in enumerate(faces):
        random = np.random.default_rng((seed, index))
        small = _blurred(_reduced(face, degradation.face_px), random.uniform(0.0, degradation.max_blur_px))
        is_gif = (seed + index) % 2 == 0
        small = _with_few_colours(small) if is_gif else _with_blocks(small)
        degraded[index] = _realigned(small, face.shape[0], degradation, random)
    return degraded


def _reduced(face: U8, side_px: int) -> U8:
    if side_px >= face.shape[0]:
        return face
    return np.asarray(cv2.resize(face, (side_px, side_px), interpolation=cv2.INTER_AREA), np.uint8)


def _blurred(face: U8, sigma_px: float) -> U8:
    if sigma_px < 0.1:
        return face
    return np.asarray(cv2.GaussianBlur(face, (0, 0), sigma_px), np.uint8)


def _with_few_colours(face: U8) -> U8:
    palette = Image.fromarray(face).quantize(GIF_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    dithered = Image.fromarray(face).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    return np.asarray(dithered.convert("RGB"), np.uint8)


def _with_blocks(face: U8) -> U8:
    _, encoded = cv2.imencode(".jpg", face[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    decoded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
    return decoded[:, :, ::-1]


def _realigned(small: U8, side_px: int, degradation: Degradation, random: np.random.Generator) -> U8:
    """Enlarge a small face to the side of a crop, with an alignment's error."""
    turn = np.deg2rad(random.uniform(-1, 1) * degradation.max_turn_deg)
    scale = side_px / small.shape[0] * (1 + random.uniform(-1, 1) * degradation.max_scale)
    shift = random.uniform(-1, 1, 2) * degradation.max_shift * side_px
    rotation = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centre = (small.shape[0] - 1) / 2
    offset = (side_px - 1) / 2 + shift - rotation @ np.array([centre, centre])
    matrix = np.concatenate([rotation, offset[:, None]], axis=1)
    enlarged = cv2.warpAffine(
        np.ascontiguousarray(small),
        matrix,
        (side_px, side_px),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(enlarged, np.uint8)
