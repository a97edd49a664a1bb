"""Cut faces out of a frame so that eyes, nose and mouth lie where the embedder expects them.

The template is ArcFace's (InsightFace, MIT), for a crop of 112 x 112; the transform is the similarity (turn, scale,
shift) that brings the five landmarks nearest to it in the least-squares sense, after Umeyama, «Least-squares estimation
of transformation parameters between two point patterns», 1991. In two dimensions it has a closed form: with points as
complex numbers, scale and turn are one complex factor, so all faces of a frame are solved at once.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from annotator.types import F32, U8

FACE_SIDE_PX: Final = 112

ARCFACE_TEMPLATE_XY: Final[F32] = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
"""Where the viewer's left eye, right eye, nose tip, left and right mouth corner lie in an aligned face; pixels."""
ARCFACE_TEMPLATE_XY.flags.writeable = False

MIN_LANDMARK_SPREAD_PX: Final = 0.5
"""Root mean square distance of landmarks from their centre under which no face can be meant: they coincide."""

_SCALE_OF_COINCIDING: Final = 50.0
"""Enlargement for landmarks that coincide: a face of about two pixels, which later counts as too small."""

_MIN_SCALE: Final = 1 / 500
"""A bound on reduction, for landmarks that contradict the template (mirrored ones): sizes stay within float16."""


def alignment_matrices(landmarks_xy: F32) -> NDArray[np.float64]:
    """Return the similarity transforms that carry faces to the template.

    Args:
        landmarks_xy: f32 (F, 5, 2), pixels of the frame.

    Returns:
        f64 (F, 2, 3), each maps a point of the frame to one of the aligned face.

    """
    points = landmarks_xy[..., 0].astype(np.float64) + 1j * landmarks_xy[..., 1]
    template = ARCFACE_TEMPLATE_XY[:, 0].astype(np.float64) + 1j * ARCFACE_TEMPLATE_XY[:, 1]
    centre = points.mean(axis=1, keepdims=True)
    centred = points - centre
    power = (np.abs(centred) ** 2).sum(axis=1, keepdims=True)
    coinciding = power < points.shape[1] * MIN_LANDMARK_SPREAD_PX**2
    product = (np.conj(centred) * (template - template.mean())).sum(axis=1, keepdims=True)
    factor = np.where(coinciding, _SCALE_OF_COINCIDING, product / np.where(coinciding, 1.0, power))
    shift = template.mean() - factor * centre
    rows = [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]
    return np.stack([np.concatenate(row, axis=1) for row in rows], axis=1)


def face_sizes_px(matrices: NDArray[np.float64]) -> F32:
    """Return the sides, in pixels of the frame, of the squares that become aligned faces.

    Args:
        matrices: f64 (F, 2, 3), of :func:`alignment_matrices`.

    Returns:
        f32 (F,): 112 / scale. A face of a tightly cropped portrait 112 pixels wide has about 112.

    """
    scale = np.hypot(matrices[:, 0, 0], matrices[:, 1, 0])
    return np.asarray(FACE_SIDE_PX / np.maximum(scale, _MIN_SCALE), np.float32)


def align_faces(frame: U8, landmarks_xy: F32) -> tuple[U8, F32]:
    """Cut the faces of a frame out, aligned to the template.

    Args:
        frame: u8 (H, W, 3).
        landmarks_xy: f32 (F, 5, 2), pixels of the frame, in the template's order; may lie outside the frame.

    Returns:
        u8 (F, 112, 112, 3) in the frame's colour order, black beyond the frame's border; and
        f32 (F,), the side in pixels of the frame of the square that was aligned.

    """
    matrices = alignment_matrices(landmarks_xy)
    return align_by(frame, matrices), face_sizes_px(matrices)


def align_by(frame: U8, matrices: NDArray[np.float64]) -> U8:
    """Cut the faces of a frame out by their transforms, which may have been made for many frames at once.

    A face much larger than the crop is reduced by whole halvings first: bilinear sampling alone would skip pixels.

    Args:
        frame: u8 (H, W, 3).
        matrices: f64 (F, 2, 3), of :func:`alignment_matrices`.

    Returns:
        u8 (F, 112, 112, 3), as :func:`align_faces` has them.

    """
    sizes_px = face_sizes_px(matrices)
    faces = np.zeros((len(matrices), FACE_SIDE_PX, FACE_SIDE_PX, 3), np.uint8)
    levels: list[U8] = [np.ascontiguousarray(frame)]
    for index, (matrix, size_px) in enumerate(zip(matrices, sizes_px, strict=True)):
        level = max(0, int(np.log2(max(float(size_px) / FACE_SIDE_PX, 1.0))))
        while len(levels) <= level and min(levels[-1].shape[:2]) > 1:
            levels.append(_halved(levels[-1]))
        level = min(level, len(levels) - 1)
        cv2.warpAffine(
            levels[level],
            _on_level(matrix, level),
            (FACE_SIDE_PX, FACE_SIDE_PX),
            dst=faces[index],
            flags=cv2.INTER_LINEAR,
        )
    return faces


def _halved(image: U8) -> U8:
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    return np.asarray(
        cv2.resize(image[:height, :width], (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.uint8
    )


def _on_level(matrix: NDArray[np.float64], level: int) -> NDArray[np.float64]:
    """Adapt a transform to a frame halved ``level`` times; pixel centres stand at whole coordinates."""
    factor = 2.0**level
    adapted = matrix.copy()
    adapted[:, :2] *= factor
    adapted[:, 2] += matrix[:, :2].sum(axis=1) * (factor - 1) / 2
    return adapted
