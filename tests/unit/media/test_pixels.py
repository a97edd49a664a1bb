"""Composing over white and turning upright."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from annotator.media.pixels import over_white, turned


def test_opaque_frames_keep_their_colours_and_transparent_ones_become_white() -> None:
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0]]], np.uint8)
    assert over_white(rgba).tolist() == [[[10, 20, 30], [255, 255, 255]]]
    assert over_white(rgba[:, :1]).tolist() == [[[10, 20, 30]]]


def test_half_transparent_colours_are_mixed_with_white_within_one() -> None:
    rgba = np.random.default_rng(1).integers(0, 256, (16, 16, 4), dtype=np.uint8)
    alpha = rgba[..., 3:] / 255
    exact = rgba[..., :3] * alpha + 255 * (1 - alpha)
    assert np.abs(over_white(rgba) - exact).max() <= 0.51


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_pillow_turns_it(orientation: int) -> None:
    image = np.random.default_rng(2).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(image)
    picture.info["exif"] = exif.tobytes()
    assert np.array_equal(turned(image, orientation), np.asarray(ImageOps.exif_transpose(picture)))
