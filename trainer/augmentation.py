"""Changes to training photographs, several at a time: turn, mirror, blur, add, multiply, contrast, crop.

A changed photograph depends only on the photograph and the numbers of its random generator. The ranges are those of the
GIPHY release: turned by 10 degrees at most, blurred by a box of 2 to 9 pixels, 10 levels added, multiplied by 0.75 to
1.25, contrast 0.5 to 2, at most 20 pixels cut from a side; four to seven of the seven changes, in any order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from annotator.errors import ConfigError
from annotator.types import F32, U8

_REFERENCE_SIDE_PX: Final = 224
"""Pixels of blur and crop are meant for photographs of this side; smaller ones are changed by proportionally fewer."""

_GREY: Final = 128.0
"""Contrast stretches the distance to it."""

_PER_CHANNEL: Final = 0.5
"""Probability that a change of brightness differs between the colours."""

_MIRRORED: Final = 0.2
"""Probability that mirroring, when it is chosen, is done."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How often and how strongly training photographs are changed.

    Attributes:
        rate: share of photographs that are changed at all, in [0, 1].
        changes: at least and at most so many of the seven changes at a time.
        rotate_deg: turned by at most so much, either way.
        blur_px: side of the blurring box, from and to, of a photograph of 224 pixels.
        add: levels of 255, either way.
        multiply: from and to.
        contrast: from and to.
        crop_px: cut from each side at most, of a photograph of 224 pixels; the rest is stretched again.
        copies: changed forms of each photograph that are embedded for a head on frozen embeddings, beside itself.

    """

    rate: float = 0.3
    changes: tuple[int, int] = (4, 7)
    rotate_deg: float = 10.0
    blur_px: tuple[int, int] = (2, 9)
    add: float = 10.0
    multiply: tuple[float, float] = (0.75, 1.25)
    contrast: tuple[float, float] = (0.5, 2.0)
    crop_px: int = 20
    copies: int = 0

    def __post_init__(self) -> None:
        """Refuse ranges that cannot be."""
        if not 0 <= self.rate <= 1:
            raise ConfigError(f"the rate of augmentation must lie in 0 to 1, got {self.rate}")
        low, high = self.changes
        if not 0 <= low <= high <= len(_CHANGES):
            raise ConfigError(f"changes must be two ascending numbers in 0 to {len(_CHANGES)}, got {self.changes}")


def augment(image: U8, augmentation: Augmentation, generator: np.random.Generator) -> U8:
    """Change a photograph, or leave it.

    Args:
        image: u8 (H, W, 3), RGB.
        augmentation: what is done.
        generator: its numbers decide everything.

    Returns:
        u8 (H, W, 3), a new array or the one that was given.

    """
    if generator.random() >= augmentation.rate:
        return image
    count = int(generator.integers(augmentation.changes[0], augmentation.changes[1] + 1))
    chosen = generator.permutation(len(_CHANGES))[:count]
    changed = image.astype(np.float32)
    for index in chosen:
        changed = np.clip(_CHANGES[index](changed, augmentation, generator), 0.0, 255.0)
    return np.rint(changed).astype(np.uint8)


def _turned(image: F32, augmentation: Augmentation, generator: np.random.Generator) -> F32:
    height, width = image.shape[:2]
    angle_deg = generator.uniform(-augmentation.rotate_deg, augmentation.rotate_deg)
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle_deg, 1.0)
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR), np.float32)


def _mirrored(image: F32, _: Augmentation, generator: np.random.Generator) -> F32:
    return image[:, ::-1] if generator.random() < _MIRRORED else image


def _blurred(image: F32, augmentation: Augmentation, generator: np.random.Generator) -> F32:
    side_px = int(generator.integers(augmentation.blur_px[0], augmentation.blur_px[1] + 1))
    side_px = max(1, _scaled(side_px, image))
    return np.asarray(cv2.blur(np.ascontiguousarray(image), (side_px, side_px)), np.float32)


def _added(image: F32, augmentation: Augmentation, generator: np.random.Generator) -> F32:
    return image + _amounts(-augmentation.add, augmentation.add, generator)


def _multiplied(image: F32, augmentation: Augmentation, generator: np.random.Generator) -> F32:
    return image * _amounts(*augmentation.multiply, generator)


def _contrasted(image: F32, augmentation: Augmentation, generator: np.random.Generator) -> F32:
    return (image - _GREY) * _amounts(*augmentation.contrast, generator) + _GREY


def _cropped(image: F32, augmentation: Augmentation, generator: np.random.Generator) -> F32:
    height, width = image.shape[:2]
    most_px = min(_scaled(augmentation.crop_px, image), (min(height, width) - 1) // 2)
    top, right, bottom, left = (int(cut) for cut in generator.integers(0, most_px + 1, 4))
    inner = np.ascontiguousarray(image[top : height - bottom, left : width - right])
    return np.asarray(cv2.resize(inner, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _amounts(low: float, high: float, generator: np.random.Generator) -> F32:
    """Return an amount for each colour: f32 (3,); in half of the cases one for all."""
    amounts = generator.uniform(low, high, 3)
    return np.asarray(amounts if generator.random() < _PER_CHANNEL else amounts[:1].repeat(3), np.float32)


def _scaled(length_px: int, image: F32) -> int:
    shorter_px = int(min(image.shape[:2]))
    return (2 * length_px * shorter_px + _REFERENCE_SIDE_PX) // (2 * _REFERENCE_SIDE_PX)


_CHANGES: Final[tuple[Callable[[F32, Augmentation, np.random.Generator], F32], ...]] = (
    _turned,
    _mirrored,
    _blurred,
    _added,
    _multiplied,
    _contrasted,
    _cropped,
)
