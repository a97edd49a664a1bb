"""Cut faces out of photographs, as the network that learns from them will see faces."""

import io
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotator.errors import ConfigError
from annotator.recognition.alignment import FACE_SIDE_PX, alignment_matrices
from annotator.types import U8
from trainer.dataset.findings import FoundFace

CropKind = Literal["aligned", "box"]
JPEG_QUALITY: Final = 95
MAX_SIDE_PX: Final = 1024


@dataclass(frozen=True, slots=True)
class CropParams:
    """How a face is cut out.

    Attributes:
        kind: ``"aligned"`` turns and scales the face so that its landmarks lie on the ArcFace template, as the
            annotator does with faces of clips; ``"box"`` stretches the detector's box to a square, as GIPHY's release
            does.
        side_px: of the crop.
        margin: added on each side, as a share of the template's or of the box's side.

    Raises:
        ConfigError: a value out of its range.

    """

    kind: CropKind = "aligned"
    side_px: int = FACE_SIDE_PX
    margin: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 16 <= self.side_px <= MAX_SIDE_PX:
            raise ConfigError(f"the side of crops must be 16 to {MAX_SIDE_PX} pixels, got {self.side_px}")
        if not 0 <= self.margin <= 1:
            raise ConfigError(f"the margin of crops must be 0 to 1, got {self.margin}")


def cut_face(picture: U8, face: FoundFace, params: CropParams) -> U8:
    """Cut a face out.

    Args:
        picture: u8 (H, W, 3), RGB, the whole photograph.
        face: found on it.
        params: how.

    Returns:
        u8 (S, S, 3), RGB, black beyond the photograph's border.

    """
    matrix = _aligning(face, params) if params.kind == "aligned" else _stretching(face, params)
    reduced = max(1.0, min(1 / np.hypot(*matrix[:, 0]), 1 / np.hypot(*matrix[:, 1])))
    level = int(np.log2(reduced))
    for _ in range(level):  # bilinear sampling alone would skip pixels
        if min(picture.shape[:2]) < 2:
            break
        height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
        half = cv2.resize(picture[:height, :width], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        picture = np.asarray(half, np.uint8)
        matrix = np.concatenate([matrix[:, :2] * 2, matrix[:, 2:] + matrix[:, :2].sum(axis=1, keepdims=True) / 2], 1)
    size_wh = (params.side_px, params.side_px)
    return np.asarray(cv2.warpAffine(np.ascontiguousarray(picture), matrix, size_wh, flags=cv2.INTER_LINEAR), np.uint8)


def encode_crop(crop: U8) -> bytes:
    """Return a crop as JPEG, without colour subsampling: the same crop gives the same bytes."""
    stream = io.BytesIO()
    Image.fromarray(crop).save(stream, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return stream.getvalue()


def recipe_of(content: str, face: FoundFace, params: CropParams) -> str:
    """Return what decides the bytes of a crop: a crop with the same recipe need not be made again."""
    place = face.landmarks_xy.tobytes() + face.box_xyxy.tobytes()
    text = f"{content} {params.kind} {params.side_px} {params.margin:.6f} {JPEG_QUALITY} ".encode()
    return sha256(text + place).hexdigest()


def _aligning(face: FoundFace, params: CropParams) -> NDArray[np.float64]:
    """Return f64 (2, 3), which carries the face to the template with its margin, pixel centres at whole coordinates."""
    matrix = alignment_matrices(face.landmarks_xy[None])[0]
    scale = params.side_px / (FACE_SIDE_PX * (1 + 2 * params.margin))
    scaled = matrix * scale
    scaled[:, 2] += scale * FACE_SIDE_PX * params.margin + (scale - 1) / 2
    return np.asarray(scaled, np.float64)


def _stretching(face: FoundFace, params: CropParams) -> NDArray[np.float64]:
    """Return f64 (2, 3), which stretches the box with its margin to the square."""
    box = face.box_xyxy.astype(np.float64)
    sides = np.maximum(box[2:] - box[:2], 1.0)
    corner, sides = box[:2] - params.margin * sides, sides * (1 + 2 * params.margin)
    scale = params.side_px / sides
    shift = -corner * scale + (scale - 1) / 2
    return np.array([[scale[0], 0.0, shift[0]], [0.0, scale[1], shift[1]]])
