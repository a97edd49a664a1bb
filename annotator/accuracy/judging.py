"""Holds names against who was drawn, before whole galleries and before galleries that lack the person."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

import numpy as np

from annotator.accuracy.measures import JudgedTracks, joined
from annotator.accuracy.subjects import Subject
from annotator.accuracy.tracks import SeenTrack
from annotator.errors import ConfigError
from annotator.recognition.bundle import ModelBundle
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.recognition.scoring import SCORE_DECIMALS
from annotator.types import TrackLabel

FOLDS: Final = 5
"""Parts of the people; each is left out of the gallery once, and its tracks are then strangers'."""

_LEAST_PEOPLE: Final = 2
_DIGITS: Final = 8
_ROUNDED: Final = 0.5 * 10.0**-SCORE_DECIMALS
"""Confidences are rounded: none is told to be nearer to 0 or to 1."""


def judge(tracks: Sequence[SeenTrack], subjects: Mapping[int, Subject], identifier: Identifier) -> JudgedTracks:
    """Name tracks, and say of each whether the name is right.

    Args:
        tracks: of drawn faces; those on nothing that was drawn, and on posters and cartoons, are left out.
        subjects: who is on each photograph.
        identifier: names; people whom it does not know are strangers to it.

    """
    people = {identity.name for identity in identifier.identities}
    live = [
        (track, subjects[track.photograph], number)
        for number, track in enumerate(tracks)
        if track.photograph is not None and track.kind == "live"
    ]
    labels = identifier.identify([track.evidence for track, _, _ in live])
    prior = identifier.prior
    known = [subject.person in people for _, subject, _ in live]
    nearest = [_nearest(label) for label in labels]
    right = [
        is_known and name == subject.person
        for is_known, name, (_, subject, _) in zip(known, nearest, live, strict=True)
    ]
    told = [(_score(label), log_ratio_of(label, prior)) for label in labels]
    return JudgedTracks(
        is_known=np.array(known, np.bool_),
        is_right=np.array(right, np.bool_),
        scores=np.array([score for score, _ in told], np.float64),
        log_ratios=np.array([ratio for _, ratio in told], np.float64),
        is_named=np.array([label.verdict == "known" for label in labels], np.bool_),
        tracks=np.array([number for _, _, number in live], np.int64),
        subjects=tuple(subject.key for _, subject, _ in live),
    )


def judge_in_folds(tracks: Sequence[SeenTrack], subjects: Mapping[int, Subject], bundle: ModelBundle) -> JudgedTracks:
    """Name tracks before galleries that lack a fifth of the people each: everybody is a stranger once.

    Strangers' tracks are judged once, by the gallery of one fold; known people's are judged twice: as strangers', where
    they are left out, and as known ones', in the next fold. So nobody counts more than others.

    Args:
        tracks: see :func:`judge`.
        subjects: likewise.
        bundle: the whole gallery.

    Raises:
        ConfigError: the gallery has so few people that leaving some out leaves fewer than two.

    """
    parts = []
    fold_of_track = np.array([_fold(track, subjects) for track in tracks], np.int64)
    for fold in range(FOLDS):
        stay = np.flatnonzero([fold_of(one.name) != fold for one in bundle.identities])
        if len(stay) < _LEAST_PEOPLE:
            raise ConfigError(f"{bundle.model} knows too few people: nobody can be left out to be a stranger")
        told = judge(tracks, subjects, Identifier(Gallery.from_bundle(bundle.as_if_only(stay))))
        mine = fold_of_track[told.tracks]
        parts.append(told.of(np.where(told.is_known, (mine + 1) % FOLDS == fold, mine == fold)))
    return joined(parts)


def _fold(track: SeenTrack, subjects: Mapping[int, Subject]) -> int:
    if track.photograph is None:
        return 0  # is judged nowhere
    subject = subjects[track.photograph]
    return fold_of(subject.person or subject.key)


def fold_of(name: str) -> int:
    """Return the part that a person is left out with: by the name's digest, so that it never changes."""
    return int(sha256(name.encode()).hexdigest()[:_DIGITS], 16) % FOLDS


def _nearest(label: TrackLabel) -> str | None:
    return label.candidates[0].identity.name if label.candidates and label.verdict != "too_poor" else None


def _score(label: TrackLabel) -> float:
    return label.candidates[0].score if label.candidates and label.verdict != "too_poor" else -np.inf


def log_ratio_of(label: TrackLabel, prior: float) -> float:
    """Return the logarithm of «it is the nearest person» to «it is a stranger», of a label under a prior."""
    if not label.candidates or label.verdict == "too_poor":
        return -np.inf
    confidence = float(np.clip(label.candidates[0].confidence, _ROUNDED, 1.0 - _ROUNDED))
    return float(np.log(confidence / (1.0 - confidence)) - np.log(prior / (1.0 - prior)))
