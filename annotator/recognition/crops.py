"""How faces are cut out of a picture for an embedder.

A network sees only what its faces were cut like when it was fitted, so the manner is a part of the network: an
embedding of a face that was cut in another way is worth nothing.
"""

from dataclasses import dataclass
from typing import Final, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotator.errors import ConfigError
from annotator.recognition.alignment import FACE_SIDE_PX, align_faces, alignment_matrices
from annotator.types import F32, U8, frozen_array

CropKind = Literal["aligned", "box", "clipped-box"]

MIN_SIDE_PX: Final = 16
MAX_SIDE_PX: Final = 1024


@dataclass(frozen=True, slots=True)
class FaceCrop:
    """How a face is cut out.

    Attributes:
        kind: ``"aligned"`` turns and scales the face so that its landmarks lie on the ArcFace template; ``"box"``
            stretches the detector's box to a square, black beyond the picture; ``"clipped-box"`` does so with what of
            the box lies in the picture, in whole pixels, as GIPHY's release does.
        side_px: of the crop.
        margin: added on each side, as a share of the template's or of the box's side.

    """

    kind: CropKind = "aligned"
    side_px: int = FACE_SIDE_PX
    margin: float = 0.0

    @property
    def is_as_clips_give(self) -> bool:
        """Whether it shows what SFace sees of faces of clips: aligned, without a margin, of whatever side."""
        return self.kind == "aligned" and self.margin == 0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: a value is out of its range.

        """
        if self.kind not in get_args(CropKind):
            raise ConfigError(f"there is no kind of crop {str(self.kind)[:40]!r}: take aligned or box")
        if not isinstance(self.side_px, int) or not MIN_SIDE_PX <= self.side_px <= MAX_SIDE_PX:
            raise ConfigError(f"the side of crops must be {MIN_SIDE_PX} to {MAX_SIDE_PX} pixels, got {self.side_px}")
        if not isinstance(self.margin, int | float) or not 0 <= self.margin <= 1:
            raise ConfigError(f"the margin of crops must be 0 to 1, got {self.margin}")


ALIGNED: Final = FaceCrop()
"""What SFace takes; quality and tracking look at these crops, whatever the embedder takes."""


def cut_faces(picture: U8, boxes_xyxy: F32, landmarks_xy: F32, crop: FaceCrop) -> U8:
    """Cut the faces of a picture out.

    Args:
        picture: u8 (H, W, 3), RGB.
        boxes_xyxy: f32 (F, 4), of ``FaceDetections``.
        landmarks_xy: f32 (F, 5, 2), of ``FaceDetections``.
        crop: how.

    Returns:
        u8 (F, S, S, 3), RGB.

    """
    if crop == ALIGNED:
        return align_faces(picture, landmarks_xy)[0]
    faces = np.zeros((len(boxes_xyxy), crop.side_px, crop.side_px, 3), np.uint8)
    for index, (box, landmarks) in enumerate(zip(boxes_xyxy, landmarks_xy, strict=True)):
        faces[index] = cut_face(picture, box, landmarks, crop)
    return faces


def cut_face(picture: U8, box_xyxy: F32, landmarks_xy: F32, crop: FaceCrop) -> U8:
    """Cut one face out, f32 (4,) and f32 (5, 2); see :func:`cut_faces`. Returns u8 (S, S, 3)."""
    if crop.kind == "clipped-box":
        return _clipped(picture, box_xyxy, crop)
    matrix = _aligning(landmarks_xy, crop) if crop.kind == "aligned" else _stretching(box_xyxy, crop)
    reduced = max(1.0, min(1 / np.hypot(*matrix[:, 0]), 1 / np.hypot(*matrix[:, 1])))
    level = int(np.log2(reduced))
    for _ in range(level):  # bilinear sampling alone would skip pixels
        if min(picture.shape[:2]) < 2:
            break
        height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
        half = cv2.resize(picture[:height, :width], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        picture = np.asarray(half, np.uint8)
        matrix = np.concatenate([matrix[:, :2] * 2, matrix[:, 2:] + matrix[:, :2].sum(axis=1, keepdims=True) / 2], 1)
    size_wh = (crop.side_px, crop.side_px)
    return np.asarray(cv2.warpAffine(np.ascontiguousarray(picture), matrix, size_wh, flags=cv2.INTER_LINEAR), np.uint8)


def resized(crop: U8, side_px: int) -> U8:
    """Bring a crop, u8 (S, S, 3), to the side that a network takes; the trainer and the annotator do it alike."""
    if crop.shape[:2] == (side_px, side_px):
        return crop
    is_smaller = side_px < min(crop.shape[:2])
    interpolation = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(crop, (side_px, side_px), interpolation=interpolation), np.uint8)


def clipped_box_xyxy(box_xyxy: F32, shape_hw: tuple[int, int], *, margin: float) -> tuple[int, int, int, int] | None:
    """Return what of a box with its margin lies in a picture, in the arithmetic of GIPHY's release.

    Its boxes are those of MTCNN with the first pixel counted as 1 and yet used as if counted from 0, and fractions of
    pixels are cut off.

    Args:
        box_xyxy: f32 (4,), of ``FaceDetections``: pixels, half-open.
        shape_hw: the picture's height and width.
        margin: added on each side, as a share of the box's side.

    Returns:
        x1, y1, x2, y2 in whole pixels, half-open; None where nothing of the box lies in the picture.

    >>> clipped_box_xyxy(np.array([19, 29, 70, 90], np.float32), (120, 160), margin=0.1)
    (15, 24, 75, 96)

    """
    box = frozen_array("box_xyxy", box_xyxy, np.float32, (4,)).astype(np.float64)
    x1, y1, x2, y2 = box + np.array([1, 1, 0, 0])  # MTCNN's own counting
    grow_x, grow_y = int((x2 - x1) * 2 * margin) / 2, int((y2 - y1) * 2 * margin) / 2
    height, width = shape_hw
    left, top = int(max(x1 - grow_x, 0.0)), int(max(y1 - grow_y, 0.0))
    right, bottom = int(min(x2 + grow_x, width)), int(min(y2 + grow_y, height))
    return (left, top, right, bottom) if right > left and bottom > top else None


def stretched(part: U8, side_px: int) -> U8:
    """Stretch a part of a picture, u8 (h, w, 3), to a square: bilinear, as Pillow does it, which is as GIPHY does."""
    frozen_array("part", part, np.uint8, ("h", "w", 3))
    image = Image.fromarray(np.ascontiguousarray(part))
    return np.asarray(image.resize((side_px, side_px), Image.Resampling.BILINEAR), np.uint8)


def _clipped(picture: U8, box_xyxy: F32, crop: FaceCrop) -> U8:
    clipped = clipped_box_xyxy(box_xyxy, (picture.shape[0], picture.shape[1]), margin=crop.margin)
    if clipped is None:
        return np.zeros((crop.side_px, crop.side_px, 3), np.uint8)
    left, top, right, bottom = clipped
    return stretched(picture[top:bottom, left:right], crop.side_px)


def _aligning(landmarks_xy: F32, crop: FaceCrop) -> NDArray[np.float64]:
    """Return f64 (2, 3), which carries the face to the template with its margin, pixel centres at whole coordinates."""
    matrix = alignment_matrices(landmarks_xy[None])[0]
    scale = crop.side_px / (FACE_SIDE_PX * (1 + 2 * crop.margin))
    scaled = matrix * scale
    scaled[:, 2] += scale * FACE_SIDE_PX * crop.margin + (scale - 1) / 2
    return np.asarray(scaled, np.float64)


def _stretching(box_xyxy: F32, crop: FaceCrop) -> NDArray[np.float64]:
    """Return f64 (2, 3), which stretches the box with its margin to the square."""
    box = box_xyxy.astype(np.float64)
    sides = np.maximum(box[2:] - box[:2], 1.0)
    corner, sides = box[:2] - crop.margin * sides, sides * (1 + 2 * crop.margin)
    scale = crop.side_px / sides
    shift = -corner * scale + (scale - 1) / 2
    return np.array([[scale[0], 0.0, shift[0]], [0.0, scale[1], shift[1]]])
