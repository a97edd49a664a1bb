"""A small made-up gallery over the embeddings of ``tests.store_values``, and annotations that it can name."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from annotator.recognition.bundle import ModelBundle
from annotator.recognition.calibration import Calibration, SizePoint
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.types import Identity, MediaAnnotation, TrackEvidence
from tests.store_values import annotation, ref, track

SIZE = 8
EMBEDDER = "test"
_UNITS = np.random.default_rng(11).normal(0, 1, (12, SIZE))
PROTOTYPES = (_UNITS / np.linalg.norm(_UNITS, axis=1, keepdims=True)).astype(np.float32)


def gallery(people: Sequence[int] = range(12), *, min_score: float = 0.7) -> Gallery:
    """Return a gallery of some of twelve people; a threshold decides who is named."""
    chosen = list(people)
    bundle = ModelBundle(
        name="small",
        version=1,
        embedder=EMBEDDER,
        identities=tuple(Identity(f"Person {number}", f"/m/{number}") for number in chosen),
        prototypes=PROTOTYPES[chosen],
        photo_counts=np.full(len(chosen), 3, np.int32),
        mean=PROTOTYPES.mean(axis=0),
        calibration=Calibration((SizePoint(64.0, (min_score,), 10.0, -3.0),), (0.01,), 0.01, 0.1, 32.0, 48.0, 0.5, 4),
        digest=f"{min_score}{chosen}",
    )
    return Gallery.from_bundle(bundle)


def annotations(count: int, identifier: Identifier) -> list[MediaAnnotation]:
    """Return annotations of as many contents, with 0 to 3 tracks of 0 to 4 faces, labelled by an identifier."""
    made = []
    for content in range(1, count + 1):
        random = np.random.default_rng(content)
        tracks = [
            replace(
                track(number, start_ms=50 * number, times=int(random.integers(1, 5))),
                evidence=_evidence(random),
                best_faces=np.zeros((0, 112, 112, 3), np.uint8),
            )
            for number in range(content % 4)
        ]
        labels = identifier.identify([one.evidence for one in tracks])
        made.append(annotation(ref(f"{content}.gif"), content=content, tracks=tracks, labels=labels))
    return made


def _evidence(random: np.random.Generator) -> TrackEvidence:
    faces = int(random.integers(0, 5))
    near = PROTOTYPES[random.integers(len(PROTOTYPES))] + random.normal(0, 0.12, (faces, SIZE))
    return TrackEvidence(
        (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float16),
        random.uniform(30, 120, faces).astype(np.float16),
        random.uniform(0.4, 1, faces).astype(np.float16),
    )
