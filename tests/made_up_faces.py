"""Doubles for tests that need pictures: people are coarse colour patterns, and an embedder that sees patterns."""

import cv2
import numpy as np

from annotator.recognition.alignment import ARCFACE_TEMPLATE_XY
from annotator.recognition.crops import ALIGNED
from annotator.types import F32, U8, FaceDetections

PATTERN = 8


def face_of(person: int, *, take: int = 0, noise: float = 12.0) -> U8:
    """Return u8 (112, 112, 3): the person's pattern with the noise of one photograph."""
    pattern = np.random.default_rng((1, person)).uniform(30, 225, (PATTERN, PATTERN, 3))
    taken = pattern + np.random.default_rng((2, person, take)).normal(0, noise, pattern.shape)
    return np.clip(cv2.resize(taken, (112, 112), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


class PatternEmbedder:
    """Embeds a face as its colours on a coarse grid."""

    network_id = "sface-2021dec"
    crop = ALIGNED

    def __init__(self, precision: str = "f32") -> None:
        self.precision = precision

    def embed(self, faces: U8) -> F32:
        grids = [cv2.resize(face, (PATTERN, PATTERN), interpolation=cv2.INTER_AREA).reshape(-1) for face in faces]
        vectors = np.array(grids, np.float32).reshape(len(faces), -1) - 127.5
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6), np.float32)


class TileDetector:
    """Finds a face in every 112-pixel tile of a picture that is not black."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def detect(self, frames: list[U8]) -> list[FaceDetections]:
        return [self._detect(frame) for frame in frames]

    def _detect(self, frame: U8) -> FaceDetections:
        side = round(112 * self.scale)
        corners = [
            (x, y)
            for y in range(0, frame.shape[0] - side + 1, side)
            for x in range(0, frame.shape[1] - side + 1, side)
            if frame[y : y + side, x : x + side].any()
        ]
        boxes = np.array([(x, y, x + side, y + side) for x, y in corners], np.float32).reshape(-1, 4)
        landmarks = np.array([ARCFACE_TEMPLATE_XY * self.scale + corner for corner in corners], np.float32)
        return FaceDetections(boxes, np.ones(len(corners), np.float32), landmarks.reshape(-1, 5, 2))
