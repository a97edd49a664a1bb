"""Made-up galleries: people are random directions, photographs are noisy copies of them."""

from collections.abc import Callable

import numpy as np
import pytest

from annotator.recognition.bundle import ModelBundle
from annotator.recognition.calibration import Calibration, SizePoint
from annotator.types import F32, Identity, TrackEvidence

SIZE = 32


def unit(vectors: np.ndarray) -> F32:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


@pytest.fixture
def calibration() -> Calibration:
    return Calibration(
        points=(SizePoint(32.0, (0.5, 0.6), 10.0, -5.0), SizePoint(128.0, (0.3, 0.4), 20.0, -7.0)),
        rates=(0.01, 0.001),
        max_false_positive_rate=0.01,
        prior=0.1,
        min_face_px=32.0,
        sharp_below_px=48.0,
        min_quality=0.5,
        cohort=10,
    )


@pytest.fixture
def bundle(calibration: Calibration) -> ModelBundle:
    prototypes = unit(np.random.default_rng(3).normal(0, 1, (40, SIZE)) + 0.3)
    return ModelBundle(
        name="small",
        version=1,
        embedder="sface-2021dec",
        identities=tuple(Identity(f"Person {index:02}", f"/m/0{index}" if index % 2 else None) for index in range(40)),
        prototypes=prototypes,
        photo_counts=np.full(40, 5, np.int32),
        mean=prototypes.mean(axis=0),
        calibration=calibration,
        digest="d" * 64,
    )


@pytest.fixture
def make_track() -> Callable[..., TrackEvidence]:
    def make(
        direction: F32,
        *,
        seed: int = 0,
        faces: int = 3,
        noise: float = 0.05,
        face_px: float = 100,
        quality: float = 0.9,
    ) -> TrackEvidence:
        random = np.random.default_rng(seed)
        embeddings = unit(direction + random.normal(0, noise, (faces, len(direction))))
        return TrackEvidence(
            embeddings.astype(np.float16),
            np.full(faces, face_px, np.float16),
            np.full(faces, quality, np.float16),
        )

    return make
