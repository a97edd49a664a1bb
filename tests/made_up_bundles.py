"""Small bundles of made-up people: random directions, and tracks that show them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from annotator.recognition.bundle import CREDITS, LICENSE, MODEL_CARD, ModelBundle, load_bundle, write_bundle
from annotator.recognition.calibration import Calibration, SizePoint
from annotator.recognition.revocation import RevocationList
from annotator.types import F32, Identity, TrackEvidence

SIZE = 32
PEOPLE = 40
EMBEDDER = "sface-2021dec"
TEXTS = {CREDITS: "name,photographs,sources\n", MODEL_CARD: "# card\n", LICENSE: "terms\n"}
CALIBRATION = Calibration(
    points=(SizePoint(32.0, (0.7, 0.8), 10.0, -7.0), SizePoint(128.0, (0.6, 0.7), 20.0, -12.0)),
    rates=(0.01, 0.001),
    max_false_positive_rate=0.01,
    prior=0.1,
    min_face_px=32.0,
    sharp_below_px=48.0,
    min_quality=0.5,
    cohort=10,
)


def unit(vectors: np.ndarray) -> F32:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def direction_of(person: int) -> F32:
    """Return f32 (32,), the embedding that stands for a person, or for a stranger beyond ``PEOPLE``."""
    return unit(np.random.default_rng((7, person)).normal(0, 1, SIZE) + 0.3)


def identity_of(person: int) -> Identity:
    return Identity(f"Person {person:02}", f"/m/0{person}")


def track_of(person: int, *, seed: int = 0, faces: int = 3) -> TrackEvidence:
    noise = np.random.default_rng((person, seed)).normal(0, 0.05, (faces, SIZE))
    return TrackEvidence(
        unit(direction_of(person) + noise).astype(np.float16),
        np.full(faces, 100, np.float16),
        np.full(faces, 0.9, np.float16),
    )


def write_made_up_bundle(
    folder: Path,
    *,
    name: str = "mine",
    version: int = 1,
    people: Sequence[int] = range(PEOPLE),
    swapped: Mapping[int, int] | None = None,
    embedder: str = EMBEDDER,
) -> ModelBundle:
    """Write a bundle.

    Args:
        folder: of the bundle.
        name: of the model.
        version: of the model.
        people: whom it knows.
        swapped: people whose photographs show somebody else, with who that is.
        embedder: what it says made the prototypes.

    """
    shown = [(swapped or {}).get(person, person) for person in people]
    prototypes = np.stack([direction_of(person) for person in shown])
    bundle = ModelBundle(
        name=name,
        version=version,
        embedder=embedder,
        identities=tuple(identity_of(person) for person in people),
        prototypes=prototypes,
        photo_counts=np.full(len(people), 5, np.int32),
        mean=np.stack([direction_of(person) for person in range(PEOPLE)]).mean(axis=0),
        calibration=CALIBRATION,
    )
    write_bundle(folder, bundle, texts=TEXTS, revoked=RevocationList("00" * 16))
    return load_bundle(folder)
