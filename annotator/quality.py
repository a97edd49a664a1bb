"""How much a face picture can tell about who it is.

Quality orders the faces of a track, so that only the best few are embedded, and travels with the embeddings. It is an
estimate in [0, 1] from five measures, none of which looks at who the person is: size, sharpness, pose, how
much of the face is inside the frame, and the detector's score.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from annotator.types import F32, U8

FULL_SIZE_PX = 112.0
"""Side, in source pixels, from which more resolution adds nothing: the aligned crop's own side."""

SHARP_DETAIL = 0.14
"""Detail (see ``sharpness``) of an in-focus portrait at full size; median of 500 gallery photographs, rounded."""

MIN_NOSE_OFFSET = 0.10
"""Nose offset (see ``frontality``) up to which a face counts as frontal."""

PROFILE_NOSE_OFFSET = 0.60
"""Nose offset of a face so far in profile that one eye is hidden."""


def sharpness(faces: U8) -> F32:
    """Measure the fine detail of aligned faces.

    The measure is the standard deviation of what a 5-pixel Gaussian blur removes from the luma, relative to the
    standard deviation of the luma itself, so that lighting and contrast do not count. A small face that was enlarged
    to 112 pixels has no fine detail and measures low, as does a face out of focus or in motion.

    Args:
        faces: u8 (F, 112, 112, 3), aligned RGB crops.

    Returns:
        f32 (F,), in [0, 1]; 1 from ``SHARP_DETAIL`` on.

    """
    if not len(faces):
        return np.zeros(0, np.float32)
    # All faces are one tall picture, for one call of OpenCV instead of one for each.
    middle = np.ascontiguousarray(faces[:, 16:96, 16:96]).reshape(-1, 80, 3)
    luma = cv2.cvtColor(middle, cv2.COLOR_RGB2GRAY).reshape(-1, 80, 80).astype(np.float32)
    # The blur reaches two pixels far: above and below each face stands its mirror image, as OpenCV has it at borders.
    mirrored = np.pad(luma, ((0, 0), (2, 2), (0, 0)), mode="reflect")
    blurred = cv2.GaussianBlur(mirrored.reshape(-1, 80), (5, 5), 0).reshape(-1, 84, 80)[:, 2:82]
    fine_spread, spread = ((luma - blurred).std(axis=(1, 2)), luma.std(axis=(1, 2)))
    return np.asarray(np.minimum(fine_spread / np.maximum(spread, 1.0) / SHARP_DETAIL, 1.0), np.float32)


def frontality(landmarks_xy: F32) -> F32:
    """Estimate how frontal faces are from where the nose tip stands between the eyes and the mouth corners.

    Args:
        landmarks_xy: f32 (F, 5, 2), in any frame.

    Returns:
        f32 (F,), 1 for a frontal face, 0 for a full profile.

    """
    eyes = (landmarks_xy[:, 0] + landmarks_xy[:, 1]) / 2
    mouth = (landmarks_xy[:, 3] + landmarks_xy[:, 4]) / 2
    across = (landmarks_xy[:, 1] - landmarks_xy[:, 0] + landmarks_xy[:, 4] - landmarks_xy[:, 3]) / 2
    down = mouth - eyes
    # The height of a face changes less with yaw than its width, so offsets are counted in heights.
    height = np.maximum(np.linalg.norm(down, axis=1), 1e-3)
    unit_across = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-3)
    offset = np.abs(((landmarks_xy[:, 2] - (eyes + mouth) / 2) * unit_across).sum(axis=1)) / height
    turned = (offset - MIN_NOSE_OFFSET) / (PROFILE_NOSE_OFFSET - MIN_NOSE_OFFSET)
    return np.asarray(1.0 - np.clip(turned, 0.0, 1.0), np.float32)


def visible_share(boxes_xyxy: F32, *, width_px: int, height_px: int) -> F32:
    """Return which part of each box is inside the frame.

    Args:
        boxes_xyxy: f32 (F, 4), pixels of the frame.
        width_px: width of the frame.
        height_px: height of the frame.

    Returns:
        f32 (F,), in [0, 1]; 0 for an empty box.

    """
    limits = np.array([width_px, height_px, width_px, height_px], np.float32)
    inside = np.clip(boxes_xyxy, 0, limits)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1) for boxes in (inside, boxes_xyxy)]
    return np.asarray(areas[0] / np.maximum(areas[1], 1e-6), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class QualityParts:
    """What the quality of some faces comes from.

    Attributes:
        size: f32 (F,), in [0, 1]; 1 from ``FULL_SIZE_PX`` on.
        sharpness: f32 (F,), see ``sharpness``.
        pose: f32 (F,), in [0.2, 1]; 1 for a frontal face: a profile still tells something.
        visible: f32 (F,), see ``visible_share``.
        score: f32 (F,), the detector's score in [0, 1].

    """

    size: F32
    sharpness: F32
    pose: F32
    visible: F32
    score: F32

    @property
    def quality(self) -> F32:
        """Return f32 (F,), in [0, 1], the fourth root of the product."""
        product = self.size * self.sharpness * self.pose * self.score * self.visible
        return np.asarray(np.sqrt(np.sqrt(product)), np.float32)


def face_quality(faces: U8, *, face_px: F32, landmarks_xy: F32, scores: F32, visible: F32 | None = None) -> F32:
    """Estimate the quality of aligned faces.

    The fourth root of the measures' product, as a geometric mean of size, sharpness, pose and score that a face cut
    off by the frame's border lowers further: a face that fails in one is poor, whatever the others say.

    Args:
        faces: u8 (F, 112, 112, 3), aligned RGB crops.
        face_px: f32 (F,), side in source pixels of the square that was aligned.
        landmarks_xy: f32 (F, 5, 2), pixels of the frame.
        scores: f32 (F,), detector scores in [0, 1].
        visible: f32 (F,), see ``visible_share``; None for faces that are wholly inside.

    Returns:
        f32 (F,), in [0, 1].

    """
    return quality_parts(faces, face_px=face_px, landmarks_xy=landmarks_xy, scores=scores, visible=visible).quality


def quality_parts(
    faces: U8, *, face_px: F32, landmarks_xy: F32, scores: F32, visible: F32 | None = None
) -> QualityParts:
    """Return what :func:`face_quality` is the product of; its arguments."""
    return QualityParts(
        size=np.minimum(face_px / FULL_SIZE_PX, 1.0),
        sharpness=sharpness(faces),
        pose=0.2 + 0.8 * frontality(landmarks_xy),
        visible=np.ones(len(faces), np.float32) if visible is None else visible,
        score=np.clip(scores, 0.0, 1.0),
    )
