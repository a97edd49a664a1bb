"""Open-set trials: how many known people are found, and how many strangers get a name, at each face size.

Probes are made-up tracks: a photograph degraded a few times as a clip would show it (``degradation``). A known
person's photograph is left out of the prototype that it is compared with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotator.quality import face_quality
from annotator.recognition.alignment import ARCFACE_TEMPLATE_XY, FACE_SIDE_PX
from annotator.recognition.bundle import ModelBundle
from annotator.recognition.calibration import F64, SizePoint, fit_log_ratio, score_at_rate
from annotator.recognition.crops import resized
from annotator.recognition.degradation import Degradation, degrade_faces
from annotator.recognition.evidence import pool_track
from annotator.recognition.gallery import Gallery
from annotator.recognition.photographs import FaceEmbedding
from annotator.recognition.scoring import Scorer
from annotator.types import F32, I64, U8, TrackEvidence

FEW_PHOTOGRAPHS: Final = 3
"""People whose prototypes rest on so many photographs at most are reported apart."""


@dataclass(frozen=True, slots=True, eq=False)
class TrialScores:
    """Scores of one rule at one face size.

    Attributes:
        own: f64 (G,), known people's scores for their own names.
        other: f64 (G,), their best scores for somebody else's: they stand for strangers too.
        stranger: f64 (S,), strangers' best scores.

    """

    own: F64
    other: F64
    stranger: F64

    @property
    def impostor(self) -> F64:
        """Scores that strangers get, (G + S,)."""
        return np.concatenate([self.stranger, self.other])

    def found(self, min_score: float) -> NDArray[np.bool_]:
        """Return (G,), which known people get their own name, none else being nearer."""
        return (self.own >= min_score) & (self.own > self.other)


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """Known people with the photographs that are left out of their prototypes.

    Attributes:
        person: i64 (G,), their places in the bundle.
        prototypes: f32 (G, D), their prototypes without the photograph.
        photographs: i64 (G,), on how many photographs these rest.

    """

    person: I64
    prototypes: F32
    photographs: I64

    @property
    def has_few(self) -> NDArray[np.bool_]:
        """Return (G,), whose prototypes rest on few photographs."""
        return self.photographs <= FEW_PHOTOGRAPHS


def probe_tracks(faces: U8, *, face_px: int, variants: int, embedder: FaceEmbedding) -> F64:
    """Return f64 (N, D), one embedding for each face's made-up track, pooled as real ones are.

    Args:
        faces: u8 (N, S, S, 3), RGB, cut for the embedder.
        face_px: size of the faces in the made-up clips; an upright box is taken to be as large as the aligned square.
        variants: faces of a track.
        embedder: makes the embeddings.

    """
    embeddings, quality = [], []
    shown_px = round(face_px * (1 + 2 * embedder.crop.margin))
    for variant in range(variants):
        degraded = degrade_faces(faces, degradation=Degradation(shown_px), seed=variant)
        embeddings.append(embedder.embed(degraded).astype(np.float16))
        quality.append(_frontal_quality(degraded, face_px))
    sizes = np.full(variants, face_px, np.float16)
    all_usable = np.ones(variants, np.bool_)
    tracks = [
        TrackEvidence(np.stack(vectors), sizes, np.array(measures, np.float16))
        for vectors, measures in zip(zip(*embeddings, strict=True), zip(*quality, strict=True), strict=True)
    ]
    return np.stack([pool_track(track, all_usable)[0] for track in tracks])


def _frontal_quality(faces: U8, face_px: int) -> F32:
    landmarks_xy = np.repeat(ARCFACE_TEMPLATE_XY[None], len(faces), axis=0)
    ones = np.ones(len(faces), np.float32)
    aligned = np.stack([resized(face, FACE_SIDE_PX) for face in faces]) if len(faces) else faces
    return face_quality(aligned, face_px=ones * face_px, landmarks_xy=landmarks_xy, scores=ones)


def run_trial(bundle: ModelBundle, left_out: LeftOut, *, probes: F64, strangers: F64, is_plain: bool) -> TrialScores:
    """Score probes of left-out people and of strangers.

    Args:
        bundle: the gallery.
        left_out: who the probes show.
        probes: f64 (G, D), their tracks.
        strangers: f64 (S, D), tracks of people who are not in the bundle.
        is_plain: score by the cosine to the plain mean prototype, for comparison.

    """
    prototypes = bundle.prototypes.copy()
    prototypes[left_out.person] = left_out.prototypes
    reduced = replace(bundle, prototypes=prototypes)
    known = _scores(reduced, probes, is_plain=is_plain)
    rows = np.arange(len(left_out.person))
    own = known[rows, left_out.person]
    known[rows, left_out.person] = -np.inf
    stranger = _scores(bundle, strangers, is_plain=is_plain).max(axis=1)
    return TrialScores(own, known.max(axis=1), stranger)


def _scores(bundle: ModelBundle, tracks: F64, *, is_plain: bool) -> F64:
    if is_plain:
        unit = bundle.comparable(tracks / np.linalg.norm(tracks, axis=1, keepdims=True))
        return np.asarray(unit @ bundle.prototypes.astype(np.float64).T, np.float64)
    calibration = bundle.calibration
    scorer = Scorer(Gallery.from_bundle(bundle), cohort=calibration.cohort, clip_centre=calibration.clip_centre)
    return scorer.scores(tracks)


def size_points(trials: Mapping[int, TrialScores], rates: Sequence[float]) -> tuple[SizePoint, ...]:
    """Fit thresholds and likelihood ratios from the trials of all sizes.

    Thresholds are taken over the strangers of a size and its two neighbours together: at a rate of 0.1 % the 2,600
    of one size would leave it to two or three of them.

    """
    sizes = sorted(trials)
    points = []
    for index, size in enumerate(sizes):
        near = [trials[neighbour].impostor for neighbour in sizes[max(0, index - 1) : index + 2]]
        slope, intercept = fit_log_ratio(trials[size].own, trials[size].impostor)
        min_scores = tuple(round(score_at_rate(np.concatenate(near), rate), 6) for rate in rates)
        points.append(SizePoint(float(size), min_scores, round(slope, 6), round(intercept, 6)))
    return tuple(points)


def share(found: NDArray[np.bool_]) -> float | None:
    """Return the share of true values, rounded; None of nothing."""
    return round(float(found.mean()), 4) if len(found) else None
