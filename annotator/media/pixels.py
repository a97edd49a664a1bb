"""Raw bytes of the decoder become RGB frames: composed over white, turned upright."""

import numpy as np

from annotator.types import U8

# The transposition of EXIF orientations 5 to 8, and the flips (rows, columns) after it.
_TURNS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def over_white(rgba: U8) -> U8:
    """Compose a frame over white, as a page shows it.

    Args:
        rgba: u8 (H, W, 4), alpha not multiplied in.

    Returns:
        u8 (H, W, 3), RGB.

    """
    alpha = rgba[..., 3:]
    if alpha.min(initial=255) == 255:
        return np.ascontiguousarray(rgba[..., :3])
    weight = alpha.astype(np.uint16)
    mixed = rgba[..., :3] * weight + (255 * (255 - weight) + 127)
    return (mixed // 255).astype(np.uint8)


def turned(image: U8, orientation: int) -> U8:
    """Turn a picture upright.

    Args:
        image: u8 (H, W, 3).
        orientation: EXIF orientation, 1 to 8.

    Returns:
        u8 (H, W, 3) or (W, H, 3).

    """
    transpose, flip_rows, flip_columns = _TURNS[orientation]
    view = image.swapaxes(0, 1) if transpose else image
    return np.ascontiguousarray(view[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1])
