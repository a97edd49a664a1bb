"""Scenes drawn for the tests of duplicates."""

from collections.abc import Sequence

import cv2
import numpy as np

from annotator.duplicates.glimpses import Glimpses
from annotator.tracking import shot_thumbnails
from annotator.types import U8, Fingerprint


def drawn_scene(seed: int) -> U8:
    """Return a picture with shapes in it: u8 (180, 320, 3), RGB."""
    random = np.random.default_rng(seed)
    rough = random.uniform(30, 220, (4, 6, 3)).astype(np.float32)
    image = cv2.resize(rough, (320, 180), interpolation=cv2.INTER_CUBIC)
    for _ in range(8):
        centre = (int(random.integers(320)), int(random.integers(180)))
        colour = random.uniform(0, 255, 3).tolist()
        cv2.circle(image, centre, int(random.integers(10, 50)), colour, -1)
    return np.asarray(np.clip(cv2.GaussianBlur(image, (0, 0), 2), 0, 255), np.uint8)


def as_thumbnails(scenes: Sequence[U8]) -> U8:
    """Return u8 (N, 36, 64, 3)."""
    return np.concatenate([shot_thumbnails([scene]) for scene in scenes])


def fingerprint_of(*scenes: U8) -> Fingerprint:
    """Return what a clip of these scenes is known by."""
    glimpses = Glimpses()
    for number, one in enumerate(as_thumbnails(scenes)):
        glimpses.add(one, 100 * number)
    return glimpses.fingerprint()


def pictures_of(*scenes: U8) -> U8:
    """Return the pictures of a clip of these scenes: u8 (K, 18, 32)."""
    return fingerprint_of(*scenes).pictures
