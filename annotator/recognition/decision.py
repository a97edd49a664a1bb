"""Who is it: the open-set decision over tracks.

The rule, for each track:

1. faces that are too small, or small and blurred, say nothing; without any other the answer is «unknown, too poor»;
2. the mean of the faces' unit embeddings, weighted by their quality, minus the gallery's mean, to unit length;
3. its cosine to each person's mean prototype, centred alike;
4. minus half of the sum of two means: of the track's, and of the prototype's, similarity to the 300 nearest *other*
   prototypes (c-norm): a face that resembles everybody, or a prototype that does, must be nearer to count;
5. the best person is named if the score reaches the threshold for the face's size, else the answer is «unknown».

It sees exactly the values that are stored, computes in float64 and rounds, so that a track's label depends neither on
when it is labelled nor on which tracks are labelled with it.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotator.recognition.calibration import F64, Calibration
from annotator.recognition.gallery import Gallery
from annotator.types import I64, Candidate, Identity, TrackEvidence, TrackLabel, Verdict

RULE: Final = "c-norm 1"
"""Names the rule in the digest: raise the number when labels change for the same evidence."""

QUALITY_EXPONENT: Final = 4
"""Weight of a face = quality ** 4, that is size x sharpness x pose x detector score. On made-up tracks of one person at
64 and 32 pixels it finds 91.8 % at a false positive rate of 0.3 %, equal weights 87.8 %."""

MAX_CANDIDATES: Final = 5
MAX_COHORT_POOL: Final = 5000
"""Prototypes that the cohort is chosen among; of a larger bundle every n-th is taken."""

_SCORE_DECIMALS: Final = 6
_CHUNK_SCORES: Final = 1 << 20
"""Scores computed at once: 8 MiB, and a few times that for intermediate values."""

_MIN_WEIGHT: Final = 1e-6
_TINY: Final = 1e-12


class Identifier:
    """Names tracks by a gallery. Immutable; safe to use from several threads."""

    def __init__(self, gallery: Gallery, *, calibration: Calibration | None = None) -> None:
        """Prepare the gallery.

        Args:
            gallery: whom to look for.
            calibration: thresholds and confidence; by default the bundle's.

        """
        self._gallery = gallery
        self._calibration = calibration or gallery.bundle.calibration
        self._scorer = Scorer(gallery, cohort=self._calibration.cohort)

    @property
    def gallery(self) -> Gallery:
        """Whom it looks for."""
        return self._gallery

    @property
    def model(self) -> str:
        """The model version, e.g. ``"starter@1"``."""
        return self._gallery.model

    @property
    def digest(self) -> str:
        """sha256 over all that decides a label, hexadecimal: gallery, calibration and rule."""
        rule = [self._gallery.digest, self._calibration.to_json(), RULE, QUALITY_EXPONENT, MAX_COHORT_POOL]
        return hashlib.sha256(json.dumps(rule, sort_keys=True).encode()).hexdigest()

    @property
    def photographs(self) -> dict[Identity, int]:
        """Whom it knows, and from how many photographs."""
        return dict(zip(self._gallery.identities, self._gallery.photo_counts.tolist(), strict=True))

    def identify(self, tracks: Sequence[TrackEvidence]) -> list[TrackLabel]:
        """Name tracks.

        Args:
            tracks: their evidence, of the network that made the gallery.

        Returns:
            One label for each track, in order.

        """
        labels: list[TrackLabel] = []
        chunk = max(1, _CHUNK_SCORES // max(len(self._gallery), 1))
        for start in range(0, len(tracks), chunk):
            labels += self._identify_chunk(tracks[start : start + chunk])
        return labels

    def _identify_chunk(self, tracks: Sequence[TrackEvidence]) -> list[TrackLabel]:
        with_faces = [index for index, track in enumerate(tracks) if len(track)]
        labels = [TrackLabel("too_poor", ())] * len(tracks)
        if not with_faces or not len(self._gallery):
            return [TrackLabel("unknown" if len(track) else "too_poor", ()) for track in tracks]
        usable = [self._usable(tracks[index]) for index in with_faces]
        pooled = [pool_track(tracks[index], faces) for index, faces in zip(with_faces, usable, strict=True)]
        sizes = np.array([face_px for _, face_px in pooled])
        scores = self._scorer.scores(np.stack([embedding for embedding, _ in pooled]))
        best = _best_columns(scores, MAX_CANDIDATES)
        best_scores = np.take_along_axis(scores, best, axis=1)
        confidences = self._calibration.confidences(best_scores, sizes)
        is_known = best_scores[:, 0] >= self._calibration.min_scores(sizes)
        for row, index in enumerate(with_faces):
            verdict: Verdict = "too_poor" if not usable[row].any() else "known" if is_known[row] else "unknown"
            labels[index] = TrackLabel(verdict, self._candidates(best[row], best_scores[row], confidences[row]))
        return labels

    def _usable(self, track: TrackEvidence) -> NDArray[np.bool_]:
        return self._calibration.usable_faces(track.face_px.astype(np.float32), track.quality.astype(np.float32))

    def _candidates(self, columns: I64, scores: F64, confidences: F64) -> tuple[Candidate, ...]:
        return tuple(
            Candidate(self._gallery.identities[column], float(score), round(float(confidence), _SCORE_DECIMALS))
            for column, score, confidence in zip(columns, scores, confidences, strict=True)
        )


class Scorer:
    """Scores of embeddings against a gallery."""

    def __init__(self, gallery: Gallery, *, cohort: int) -> None:
        """Centre the gallery and measure how alike its people are.

        Args:
            gallery: whom to compare with.
            cohort: neighbours that normalise a score; fewer where the bundle has fewer people.

        """
        bundle = gallery.bundle
        self._centre = bundle.mean.astype(np.float64)
        step = -(-len(bundle.prototypes) // MAX_COHORT_POOL) if len(bundle.prototypes) else 1
        self._pool = self._centred(bundle.prototypes[::step].astype(np.float64))
        self._prototypes = self._centred(gallery.prototypes.astype(np.float64))
        # Columns of the pool that are the person's own; one beyond the last for those who are not in it.
        in_pool = (gallery.own_column < len(bundle.prototypes)) & (gallery.own_column % step == 0)
        self._own = np.where(in_pool, gallery.own_column // step, len(self._pool))
        self._cohort = min(cohort, len(self._pool) - 1)
        self._prototype_level = np.zeros(len(gallery))
        rows = max(1, _CHUNK_SCORES // max(len(self._pool), 1))
        for start in range(0, len(gallery), rows):
            part = slice(start, start + rows)
            self._prototype_level[part] = self._own_levels(self._prototypes[part], self._own[part])

    def scores(self, embeddings: F64) -> F64:
        """Return f64 (T, P), the normalised similarities of embeddings (T, D) of any length to each person."""
        probes = self._centred(_unit(embeddings))
        similarities = probes @ self._prototypes.T
        if self._cohort > 0:
            similarities = similarities - 0.5 * (self._probe_levels(probes) + self._prototype_level)
        return np.round(similarities, _SCORE_DECIMALS)

    def _centred(self, embeddings: F64) -> F64:
        return _unit(embeddings - self._centre)

    def _probe_levels(self, probes: F64) -> F64:
        """Return (T, P), each probe's mean similarity to its nearest prototypes other than the column's person."""
        nearness = probes @ self._pool.T
        highest = _highest(nearness, self._cohort + 1)
        total, kth = highest[:, : self._cohort].sum(axis=1, keepdims=True), highest[:, self._cohort - 1 : self._cohort]
        padded = np.concatenate([nearness, np.full((len(probes), 1), -np.inf)], axis=1)
        own = padded[:, self._own]
        without_own = total + highest[:, self._cohort :] - own
        return np.asarray(np.where(own >= kth, without_own, total) / self._cohort, np.float64)

    def _own_levels(self, prototypes: F64, own: I64) -> F64:
        """Return (p,), each prototype's mean similarity to its nearest other prototypes."""
        if self._cohort <= 0:
            return np.zeros(len(prototypes))
        nearness = np.concatenate([prototypes @ self._pool.T, np.zeros((len(prototypes), 1))], axis=1)
        nearness[np.arange(len(prototypes)), own] = -np.inf
        return np.asarray(_highest(nearness[:, :-1], self._cohort).mean(axis=1), np.float64)


def pool_track(track: TrackEvidence, usable: NDArray[np.bool_]) -> tuple[F64, float]:
    """Reduce a track with at least one face to one embedding.

    Args:
        track: its evidence.
        usable: (K,), which faces are good enough. If none is, all of them are used: the candidates may still interest
            somebody.

    Returns:
        f64 (D,), the quality-weighted mean of the unit embeddings, and the likewise weighted mean of the faces' sizes
        in pixels.

    """
    chosen = usable if usable.any() else np.ones_like(usable)
    sizes = track.face_px[chosen].astype(np.float64)
    weights = np.maximum(track.quality[chosen].astype(np.float64) ** QUALITY_EXPONENT, _MIN_WEIGHT)
    weights /= weights.sum()
    embeddings = _unit(track.embeddings[chosen].astype(np.float64))
    # One sum for each track, so that the order of summation cannot depend on how many tracks there are.
    return (embeddings * weights[:, None]).sum(axis=0), float((sizes * weights).sum())


def _unit(vectors: F64) -> F64:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), _TINY), np.float64)


def _highest(values: F64, count: int) -> F64:
    """Return the ``count`` highest of each row, highest first."""
    part = np.partition(values, values.shape[1] - count, axis=1)[:, values.shape[1] - count :]
    return np.asarray(np.sort(part, axis=1)[:, ::-1], np.float64)


def _best_columns(scores: F64, count: int) -> NDArray[np.int64]:
    """Return the columns of each row's best scores, best first; of equal scores the first column."""
    count = min(count, scores.shape[1])
    return np.asarray(np.argsort(-scores, axis=1, kind="stable")[:, :count], np.int64)
