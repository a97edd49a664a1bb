"""How the release cuts and stretches faces: upright boxes, not aligned, a tenth more on each side.

It names nobody well whose face was cut in another way, so the arithmetic is kept to the pixel:
``annotator.recognition.crops`` has it, as the kind ``clipped-box``.
"""

from typing import Final

import numpy as np

from annotator.detection.params import DetectionParams
from annotator.errors import InputError
from annotator.networks.mtcnn import PNET_WINDOW_PX
from annotator.recognition.crops import FaceCrop, clipped_box_xyxy
from annotator.types import F32, U8, frozen_array
from trainer.giphy.network import FACE_SIDE_PX

CROP: Final = FaceCrop("clipped-box", FACE_SIDE_PX, 0.1)

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

    """
    found = clipped_box_xyxy(box_xyxy, shape_hw, margin=CROP.margin)
    if found is None:
        height, width = shape_hw
        raise InputError(f"the box {box_xyxy.tolist()} lies outside its frame of {width} x {height} pixels")
    return found


def cut_faces(frame: U8, boxes_xyxy: F32) -> list[U8]:
    """Cut faces out of a frame.

    Args:
        frame: u8 (H, W, 3), RGB.
        boxes_xyxy: f32 (F, 4), of ``FaceDetections``.

    Returns:
        One crop for each box, u8 (h, w, 3), as it is in the frame.

    Raises:
        InputError: nothing of a box lies in the frame.

    """
    frozen_array("frame", frame, np.uint8, ("H", "W", 3))
    crops = [crop_xyxy(box, frame.shape[:2]) for box in frozen_array("boxes_xyxy", boxes_xyxy, np.float32, ("F", 4))]
    return [frame[top:bottom, left:right] for left, top, right, bottom in crops]
