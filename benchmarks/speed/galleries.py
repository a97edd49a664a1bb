"""Made-up galleries of any size, and tracks that show some of their people."""

from dataclasses import replace

import numpy as np

from annotator.build import STARTER_FOLDER
from annotator.recognition.bundle import load_bundle
from annotator.recognition.decision import Identifier
from annotator.recognition.evidence import EvidenceStack
from annotator.recognition.gallery import Gallery
from annotator.types import F32, Identity

SIZE = 128


def unit(vectors: F32) -> F32:
    """Return vectors at unit length."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def identifier(people: int) -> Identifier:
    """Return what names tracks by so many people: those of the starter model, and random ones that are spread alike."""
    starter = load_bundle(STARTER_FOLDER)
    known = starter.prototypes[:people]
    mean = known.mean(axis=0)
    spread = np.linalg.norm(known - mean, axis=1).mean()
    random = np.random.default_rng(0).standard_normal((people - len(known), SIZE), np.float32)
    prototypes = unit(np.concatenate([known, mean + spread * unit(random)]))
    bundle = replace(
        starter,
        name="made-up",
        identities=tuple(Identity(f"Person {number}", f"/m/{number}") for number in range(people)),
        prototypes=prototypes,
        photo_counts=np.full(people, 10, np.int32),
        mean=prototypes.mean(axis=0),
    )
    return Identifier(Gallery.from_bundle(bundle))


def evidence(named_by: Identifier, tracks: int, *, faces: int) -> EvidenceStack:
    """Return tracks of so many faces: a third shows people of the gallery, the others strangers."""
    prototypes = named_by.gallery.prototypes
    random = np.random.default_rng(1)
    shown = prototypes[random.integers(len(prototypes), size=tracks)]
    strangers = prototypes.mean(axis=0) + 0.9 * unit(random.standard_normal((tracks, SIZE), np.float32))
    centres = np.where(random.random(tracks)[:, None] < 1 / 3, shown, strangers)
    embeddings = np.empty((tracks, faces, SIZE), np.float16)
    for face in range(faces):
        noise = random.standard_normal((tracks, SIZE), np.float32) * np.float32(0.05)
        embeddings[:, face] = unit(centres + noise)
    sizes, quality = random.uniform(24, 150, (tracks, faces)), random.uniform(0.3, 1, (tracks, faces))
    return EvidenceStack(np.arange(tracks), embeddings, sizes.astype(np.float16), quality.astype(np.float16))
