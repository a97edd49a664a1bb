"""How the release cuts and stretches faces: upright boxes, not aligned, a tenth more on each side.

It names nobody well whose face was cut in another way, so the arithmetic is kept to the pixel: its boxes are those of
MTCNN with the first pixel counted as 1 and yet used as if counted from 0, and fractions of pixels are cut off.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotator.detection.params import DetectionParams
from annotator.errors import InputError
from annotator.networks.mtcnn import PNET_WINDOW_PX
from annotator.types import F32, U8, frozen_array
from trainer.giphy.network import FACE_SIDE_PX

MARGIN: Final = 0.2
"""What the crop is larger than the box, of the box's side: half of it on each."""

MIN_FACE_FRACTION: Final = 0.2
"""Side of the smallest face that is looked for, as a part of the frame's shorter side."""

DETECTION: Final = DetectionParams(
    min_face_px=PNET_WINDOW_PX, min_face_fraction=MIN_FACE_FRACTION, thresholds=(0.6, 0.7, 0.7), pyramid_factor=0.709
)
"""How the release looks for faces in clips. In single pictures it takes 20 pixels as the smallest face instead."""


def crop_xyxy(box_xyxy: F32, shape_hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return what the release cuts out for a box.

    Args:
        box_xyxy: f32 (4,), of ``FaceDetections``: pixels, half-open.
        shape_hw: the frame's height and width.

    Returns:
        x1, y1, x2, y2 in whole pixels of the frame, half-open.

    Raises:
        InputError: nothing of the box lies in the frame.

    >>> crop_xyxy(np.array([19, 29, 70, 90], np.float32), (120, 160))
    (15, 24, 75, 96)

    """
    box = frozen_array("box_xyxy", box_xyxy, np.float32, (4,)).astype(np.float64)
    x1, y1, x2, y2 = box + np.array([1, 1, 0, 0])  # MTCNN's own counting
    grow_x, grow_y = int((x2 - x1) * MARGIN) / 2, int((y2 - y1) * MARGIN) / 2
    height, width = shape_hw
    left, top = int(max(x1 - grow_x, 0.0)), int(max(y1 - grow_y, 0.0))
    right, bottom = int(min(x2 + grow_x, width)), int(min(y2 + grow_y, height))
    if right <= left or bottom <= top:
        raise InputError(f"the box {box_xyxy.tolist()} lies outside its frame of {width} x {height} pixels")
    return left, top, right, bottom


def cut_faces(frame: U8, boxes_xyxy: F32) -> list[U8]:
    """Cut faces out of a frame.

    Args:
        frame: u8 (H, W, 3), RGB.
        boxes_xyxy: f32 (F, 4), of ``FaceDetections``.

    Returns:
        One crop for each box, u8 (h, w, 3), as it is in the frame: :func:`stretched` brings it to size.

    Raises:
        InputError: nothing of a box lies in the frame.

    """
    frozen_array("frame", frame, np.uint8, ("H", "W", 3))
    crops = [crop_xyxy(box, frame.shape[:2]) for box in frozen_array("boxes_xyxy", boxes_xyxy, np.float32, ("F", 4))]
    return [frame[top:bottom, left:right] for left, top, right, bottom in crops]


def stretched(crop: U8) -> NDArray[np.uint8]:
    """Stretch a crop to the network's input, whatever its proportions: bilinear, as Pillow does it.

    Args:
        crop: u8 (h, w, 3), RGB.

    Returns:
        u8 (224, 224, 3).

    """
    frozen_array("crop", crop, np.uint8, ("h", "w", 3))
    image = Image.fromarray(np.ascontiguousarray(crop))
    return np.asarray(image.resize((FACE_SIDE_PX, FACE_SIDE_PX), Image.Resampling.BILINEAR), np.uint8)
