"""Who is it: the open-set decision over tracks.

The rule, for each track:

1. faces that are too small, or small and blurred, say nothing; without any other the answer is «unknown, too poor»;
2. the mean of the faces' unit embeddings, weighted by their quality, through the projection of the bundle where it has
   one, minus the mean of faces in clips, to unit length;
3. its cosine to each person's mean prototype, minus the mean of the gallery, to unit length;
4. minus half of the sum of two means: of the track's, and of the prototype's, similarity to the 300 nearest *other*
   prototypes (c-norm): a face that resembles everybody, or a prototype that does, must be nearer to count;
5. the best person is named if the score reaches the threshold for the face's size, and is as sure as is asked for, else
   the answer is «unknown».

It sees exactly the values that are stored, computes in float64 and rounds, so that a track's label depends neither on
when it is labelled nor on which tracks are labelled with it.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotator.recognition.calibration import F64, Calibration
from annotator.recognition.evidence import QUALITY_EXPONENT, EvidenceStack, face_weights, pool_stack, stack_tracks
from annotator.recognition.gallery import Gallery
from annotator.recognition.scoring import MAX_COHORT_POOL, SCORE_DECIMALS, Scorer, ScoreTerms
from annotator.runtime.blas import side_by_side
from annotator.types import I64, Candidate, Identity, TrackEvidence, TrackLabel, Verdict

RULE: Final = "c-norm 1"
"""Names the rule in the digest: raise the number when labels change for the same evidence."""

MAX_CANDIDATES: Final = 5
_BLOCK_TRACKS: Final = 256  # embeddings of a megabyte, pooled at once
_BLOCKS_SIDE_BY_SIDE: Final = 4
"""Of tracks that are named at once, however many processors there are: against 100,000 people each takes 40 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class NamedTracks:
    """Tracks that get a name, as arrays.

    Attributes:
        place: i64 (N,), which tracks, ascending.
        columns: i64 (N, C), their candidates as columns of the gallery, best first: the first one is the name.
        scores: f64 (N, C), of each candidate.
        confidences: f64 (N, C), of each candidate.

    """

    place: I64
    columns: I64
    scores: F64
    confidences: F64

    def __len__(self) -> int:
        """Return the number of tracks that get a name."""
        return len(self.place)


@dataclass(frozen=True, slots=True, eq=False)
class TrackRatios:
    """What the nearest person of tracks says of whether they show somebody of the gallery at all.

    Attributes:
        place: i64 (N,), which tracks, ascending: those with a face that is good enough.
        nearest: i64 (N,), that person as a column of the gallery.
        log_ratios: f64 (N,), of that person, as ``Calibration.log_ratios``.
        of_gallery: f64 (N,), logarithm of «it shows somebody of the gallery, whoever is nearest» to «it shows a
            stranger»; of bundles that do not know how often somebody else is nearest, the same as ``log_ratios``.
        is_named: bool (N,), whether the score reaches the threshold for the face's size.

    """

    place: I64
    nearest: I64
    log_ratios: F64
    of_gallery: F64
    is_named: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self.place)


@dataclass(frozen=True, slots=True, eq=False)
class Reasons:
    """Why a track is called what :meth:`Identifier.identify` calls it.

    Attributes:
        is_usable: bool (K,), which of its faces are large and sharp enough to say who it is.
        weights: f64 (K,), what each face weighs in the mean, of 1 in all. Where no face is usable all have a weight:
            the candidates come from them, though none is named.
        face_px: the likewise weighted mean of the faces' sizes, which threshold and confidence are taken for.
        min_score: score from which it is named.
        columns: i64 (C,), the nearest people as columns of the gallery, best first; none where an embedding is not
            finite.
        scores: f64 (C,), of each.
        confidences: f64 (C,), that the label would have, were it this person.
        terms: what the scores are made of, (1, C) each.

    """

    is_usable: NDArray[np.bool_]
    weights: F64
    face_px: float
    min_score: float
    columns: I64
    scores: F64
    confidences: F64
    terms: ScoreTerms


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
        self._scorer = Scorer(gallery, cohort=self._calibration.cohort, clip_centre=self._calibration.clip_centre)

    @property
    def gallery(self) -> Gallery:
        """Whom it looks for."""
        return self._gallery

    @property
    def identities(self) -> tuple[Identity, ...]:
        """Whom it looks for, by column of the gallery."""
        return self._gallery.identities

    @property
    def model(self) -> str:
        """The model version, e.g. ``"starter@1"``; ``"starter@1+prior=0.03"`` with another prior than the model's."""
        return self._gallery.model + self._calibration.mark_beside(self._gallery.bundle.calibration)

    @property
    def digest(self) -> str:
        """sha256 over all that decides a label, hexadecimal: gallery, calibration and rule."""
        rule = [self._gallery.digest, self._calibration.to_json(), RULE, QUALITY_EXPONENT, MAX_COHORT_POOL]
        return hashlib.sha256(json.dumps(rule, sort_keys=True).encode()).hexdigest()

    @property
    def prior(self) -> float:
        """Assumed share of tracks that show somebody whom it looks for; confidences are stated under it."""
        return self._calibration.prior

    @property
    def calibration(self) -> Calibration:
        """Thresholds and confidence."""
        return self._calibration

    @property
    def photographs(self) -> dict[Identity, int]:
        """Whom it knows, and from how many photographs."""
        return dict(zip(self._gallery.identities, self._gallery.photo_counts.tolist(), strict=True))

    def identify(self, tracks: Sequence[TrackEvidence]) -> list[TrackLabel]:
        """Name tracks.

        Args:
            tracks: their evidence, of the network that made the gallery.

        Returns:
            One label for each track, in order. A track whose embeddings are not finite is unknown, without candidates.

        """
        if not len(self._gallery):
            return [TrackLabel("unknown" if len(track) else "too_poor", ()) for track in tracks]
        labels = [TrackLabel("too_poor", ())] * len(tracks)
        for pooled in self._pooled(stack_tracks(tracks)):
            best, scores = self._scorer.best(pooled.embeddings, MAX_CANDIDATES)
            confidences = self._confidences(scores, pooled.face_px)
            is_known = scores[:, 0] >= self._calibration.min_scores(pooled.face_px)
            for row, place in enumerate(pooled.place.tolist()):
                verdict: Verdict = "too_poor" if not pooled.is_usable[row] else "known" if is_known[row] else "unknown"
                labels[place] = TrackLabel(verdict, self._candidates(best[row], scores[row], confidences[row]))
        return labels

    def reasons(self, track: TrackEvidence, *, most: int) -> Reasons:
        """Return why a track is called what :meth:`identify` calls it, with the same numbers.

        Args:
            track: its evidence, of the network that made the gallery; at least one face.
            most: how many of the nearest people are told, if the gallery has so many.

        """
        (stack,) = stack_tracks([track])
        (pooled,) = self._pooled([stack])
        is_usable = self._calibration.usable_faces(track.face_px.astype(np.float32), track.quality.astype(np.float32))
        width = min(most, len(self._gallery))
        columns, scores = np.zeros((1, 0), np.int64), np.zeros((1, 0))
        if width:
            columns, scores = self._scorer.best(pooled.embeddings, width)
            is_near = scores[0] > -np.inf
            columns, scores = columns[:, is_near], scores[:, is_near]
        return Reasons(
            is_usable=is_usable,
            weights=face_weights(stack, is_usable[None])[0],
            face_px=float(pooled.face_px[0]),
            min_score=float(self._calibration.min_scores(pooled.face_px)[0]),
            columns=columns[0],
            scores=scores[0],
            confidences=self._confidences(scores, pooled.face_px)[0],
            terms=self._scorer.terms(pooled.embeddings, columns),
        )

    def named(self, stacks: Iterable[EvidenceStack]) -> NamedTracks:
        """Return those tracks that get a name: exactly those that :meth:`identify` calls known, with its numbers.

        Args:
            stacks: the tracks' evidence, of the network that made the gallery; each place once.

        """
        width = min(MAX_CANDIDATES, len(self._gallery))
        found = [NamedTracks(np.zeros(0, np.int64), np.zeros((0, width), np.int64), *[np.zeros((0, width))] * 2)]
        if width:
            found += side_by_side(self._named, self._pooled(stacks), limit=_BLOCKS_SIDE_BY_SIDE)
        names = ("place", "columns", "scores", "confidences")
        together = [np.concatenate([getattr(one, name) for one in found]) for name in names]
        order = np.argsort(together[0], kind="stable")
        return NamedTracks(*(column[order] for column in together))

    def ratios(self, stacks: Iterable[EvidenceStack]) -> TrackRatios:
        """Return how much likelier tracks are of somebody of the gallery than of a stranger, named or not.

        Args:
            stacks: the tracks' evidence, of the network that made the gallery; each place once.

        Returns:
            Those tracks that :meth:`identify` does not call too poor; of a gallery of nobody, and of embeddings that
            are not finite, none.

        """
        nothing = np.zeros(0)
        found = [TrackRatios(nothing.astype(np.int64), nothing.astype(np.int64), nothing, nothing, nothing > 0)]
        if len(self._gallery):
            found += side_by_side(self._ratios, self._pooled(stacks), limit=_BLOCKS_SIDE_BY_SIDE)
        order = np.argsort(np.concatenate([one.place for one in found]), kind="stable")
        names = ("place", "nearest", "log_ratios", "of_gallery", "is_named")
        return TrackRatios(*(np.concatenate([getattr(one, name) for one in found])[order] for name in names))

    def _ratios(self, pooled: "_Pooled") -> TrackRatios:
        anything = np.where(pooled.is_usable, -np.inf, np.inf)
        rows, best, scores = self._scorer.best_that_reach(pooled.embeddings, 1, min_scores=anything)
        sizes = pooled.face_px[rows]
        log_ratios = self._calibration.log_ratios(scores[:, 0], sizes)
        known = self._gallery.bundle.known_tracks
        of_gallery = log_ratios if known is None else known.log_ratios(log_ratios, sizes)
        is_named = scores[:, 0] >= self._calibration.min_scores(sizes)
        return TrackRatios(pooled.place[rows], best[:, 0], log_ratios, of_gallery, is_named)

    def _named(self, pooled: "_Pooled") -> NamedTracks:
        wanted = np.where(pooled.is_usable, self._calibration.min_scores(pooled.face_px), np.inf)
        rows, best, scores = self._scorer.best_that_reach(pooled.embeddings, MAX_CANDIDATES, min_scores=wanted)
        return NamedTracks(pooled.place[rows], best, scores, self._confidences(scores, pooled.face_px[rows]))

    def _pooled(self, stacks: Iterable[EvidenceStack]) -> Iterator["_Pooled"]:
        for stack in stacks:
            for part in stack.parts(_BLOCK_TRACKS):
                sizes, quality = part.face_px.astype(np.float32), part.quality.astype(np.float32)
                is_usable = self._calibration.usable_faces(sizes, quality)
                embeddings, face_px = pool_stack(part, is_usable)
                yield _Pooled(part.place, embeddings, face_px, np.asarray(is_usable.any(axis=1), np.bool_))

    def _confidences(self, scores: F64, face_px: F64) -> F64:
        exact = self._calibration.confidences(scores, face_px)
        # Python's rounding and no other: NumPy's may differ in the last bit, and rows must stay as they are.
        return np.array([round(one, SCORE_DECIMALS) for one in exact.ravel().tolist()]).reshape(exact.shape)

    def _candidates(self, columns: I64, scores: F64, confidences: F64) -> tuple[Candidate, ...]:
        return tuple(
            Candidate(self._gallery.identities[column], float(score), float(confidence))
            for column, score, confidence in zip(columns, scores, confidences, strict=True)
            if score > -np.inf
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Pooled:
    """Tracks reduced to one embedding (N, D) and one face size (N,) each; whether any face was good enough (N,)."""

    place: I64
    embeddings: F64
    face_px: F64
    is_usable: NDArray[np.bool_]
