"""The rule of the open-set decision, one track and one person after the other: what every quicker form must equal."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from annotator.recognition.gallery import Gallery
from annotator.types import Candidate, TrackEvidence, TrackLabel

MAX_CANDIDATES = 5
MAX_COHORT_POOL = 5000


def slow_identify(gallery: Gallery, tracks: list[TrackEvidence]) -> list[TrackLabel]:
    """Name tracks by a gallery and its bundle's calibration."""
    bundle = gallery.bundle
    mean = bundle.mean.astype(np.float64)
    step = -(-len(bundle.prototypes) // MAX_COHORT_POOL)
    pool = {column: _unit(bundle.prototypes[column] - mean) for column in range(0, len(bundle.prototypes), step)}
    people = [_unit(prototype.astype(np.float64) - mean) for prototype in gallery.prototypes]
    cohort = min(bundle.calibration.cohort, len(pool) - 1)

    def near(vector: np.ndarray) -> dict[int, float]:
        return {column: float(vector @ one) for column, one in pool.items()}

    own_levels = [
        _level(near(person), own=column, cohort=cohort)
        for person, column in zip(people, gallery.own_column.tolist(), strict=True)
    ]

    def scores(embedding: np.ndarray) -> np.ndarray:
        probe = _unit(_unit(embedding) - mean)
        near_probe = near(probe)
        found = [
            probe @ person - 0.5 * (_level(near_probe, own=column, cohort=cohort) + own_level)
            for person, column, own_level in zip(people, gallery.own_column.tolist(), own_levels, strict=True)
        ]
        return np.round(np.array(found), 6)

    return [_label(gallery, track, scores) for track in tracks]


def _label(gallery: Gallery, track: TrackEvidence, scores: Callable[[np.ndarray], np.ndarray]) -> TrackLabel:
    if not len(track):
        return TrackLabel("too_poor", ())
    calibration = gallery.bundle.calibration
    usable = calibration.usable_faces(track.face_px.astype(np.float32), track.quality.astype(np.float32))
    embedding, face_px = _pooled(track, usable if usable.any() else np.ones_like(usable))
    rounded = scores(embedding)
    best = sorted(range(len(rounded)), key=lambda column: (-rounded[column], column))[:MAX_CANDIDATES]
    size = np.array([face_px])
    confidences = calibration.confidences(rounded[best][None], size)[0]
    reaches = rounded[best[0]] >= replace(calibration, min_confidence=0.0).min_scores(size)[0]
    is_known = reaches and confidences[0] >= calibration.min_confidence
    return TrackLabel(
        "too_poor" if not usable.any() else "known" if is_known else "unknown",
        tuple(
            Candidate(gallery.identities[column], float(rounded[column]), round(float(confidence), 6))
            for column, confidence in zip(best, confidences, strict=True)
        ),
    )


def _pooled(track: TrackEvidence, chosen: np.ndarray) -> tuple[np.ndarray, float]:
    sizes = track.face_px[chosen].astype(np.float64)
    weights = np.maximum(track.quality[chosen].astype(np.float64) ** 4, 1e-6)
    weights /= weights.sum()
    embeddings = np.stack([_unit(one.astype(np.float64)) for one in track.embeddings[chosen]])
    return (embeddings * weights[:, None]).sum(axis=0), float((sizes * weights).sum())


def _level(near: dict[int, float], *, own: int, cohort: int) -> float:
    """Return the mean similarity to the nearest prototypes other than the person's own."""
    others = sorted((similarity for column, similarity in near.items() if column != own), reverse=True)
    return sum(others[:cohort]) / cohort if cohort > 0 else 0.0


def _unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / np.maximum(np.linalg.norm(vector), 1e-12), np.float64)
