"""From an annotation and the faces seen on its way to an explanation."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ConfigError
from annotator.explaining.explanation import (
    AtPrior,
    AtRate,
    ExplainedFace,
    ExplainedTrack,
    Explanation,
    FaceUse,
    MadeWith,
    NearPerson,
    Said,
    masked,
)
from annotator.explaining.watching import SeenFace, SeenFaces, embedded_places
from annotator.pipeline import TrackIdentifier
from annotator.recognition.calibration import Calibration
from annotator.recognition.decision import Reasons
from annotator.types import FaceTrack, Identity, MediaAnnotation, TrackEvidence, TrackLabel

MOST_PEOPLE: Final = 10
"""Nearest people who are told."""

OTHER_PRIORS: Final = (0.01, 0.1, 0.5)
"""Beside the prior that is used: one track in a hundred, in ten, in two shows somebody of the gallery."""


def explain(
    annotation: MediaAnnotation,
    seen: SeenFaces,
    identifier: TrackIdentifier,
    *,
    made_with: MadeWith,
    track_no: int | None = None,
    said: Mapping[int, Said] = MappingProxyType({}),
) -> Explanation:
    """Say why the tracks of a media got their labels.

    Args:
        annotation: fresh, its tracks with the crops of their best faces (``PipelineParams.keep_faces``).
        seen: what the annotator was given to watch.
        identifier: what named the tracks.
        made_with: what is told of model and network.
        track_no: only this track; None explains all.
        said: what people have said of tracks, by number.

    Raises:
        ConfigError: the media has no such track.
        LookupError: the annotation was made without ``seen``, or without keeping faces.

    """
    labelled = list(zip(annotation.tracks, annotation.labels, strict=True))
    chosen = labelled if track_no is None else [pair for pair in labelled if pair[0].track_no == track_no]
    if track_no is not None and not chosen:
        raise ConfigError(_no_such_track(track_no, annotation))
    photographs = identifier.photographs
    return Explanation(
        media=masked(annotation.media.media_id),
        uri=masked(annotation.media.uri),
        content_sha256=annotation.content_sha256,
        clip=annotation.clip,
        frames_sampled=annotation.frames_sampled,
        faces=annotation.faces,
        tracks=tuple(
            replace(
                _explained(track, label, seen.of_track(annotation.media, track), identifier, photographs=photographs),
                said=said.get(track.track_no),
            )
            for track, label in chosen
        ),
        tracks_in_media=len(labelled),
        made_with=made_with,
    )


def _no_such_track(track_no: int, annotation: MediaAnnotation) -> str:
    count, media = len(annotation.tracks), masked(annotation.media.media_id)
    if not count:
        return f"there is no track {track_no}: no face was found in {media}; leave --track out"
    there = "only track 0" if count == 1 else f"tracks 0 to {count - 1}"
    return f"there is no track {track_no}: {media} has {there}"


def _explained(
    track: FaceTrack,
    label: TrackLabel,
    seen: Sequence[SeenFace],
    identifier: TrackIdentifier,
    *,
    photographs: Mapping[Identity, int],
) -> ExplainedTrack:
    calibration = identifier.calibration
    reasons = identifier.reasons(track.evidence, most=MOST_PEOPLE)
    people = _people(reasons, identifier.identities, photographs)
    point = calibration.point_at(reasons.face_px)
    best = people[0].score if people else None
    return ExplainedTrack(
        track_no=track.track_no,
        start_ms=track.start_ms,
        end_ms=track.end_ms,
        screen_time_ms=track.screen_time_ms,
        label=label,
        faces=_faces(track, seen, reasons, identifier),
        point=point,
        min_score=reasons.min_score,
        people=people,
        at_rates=tuple(
            AtRate(rate, min_score, is_named=label.verdict != "too_poor" and best >= min_score)
            for rate, min_score in zip(calibration.rates, point.min_scores, strict=True)
            if best is not None
        ),
        at_priors=() if best is None else _at_priors(calibration, best, reasons.face_px),
    )


def _at_priors(calibration: Calibration, score: float, face_px: float) -> tuple[AtPrior, ...]:
    scores, sizes = np.array([score]), np.array([face_px])
    return tuple(
        AtPrior(prior, float(replace(calibration, prior=prior).confidences(scores, sizes)[0]))
        for prior in sorted({*OTHER_PRIORS, calibration.prior})
    )


def _people(
    reasons: Reasons, identities: Sequence[Identity], photographs: Mapping[Identity, int]
) -> tuple[NearPerson, ...]:
    terms = reasons.terms
    return tuple(
        NearPerson(
            identity=identities[column],
            photographs=photographs[identities[column]],
            cosine=cosine,
            track_level=track_level,
            identity_level=identity_level,
            score=score,
            confidence=confidence,
        )
        for column, cosine, track_level, identity_level, score, confidence in zip(
            reasons.columns.tolist(),
            terms.cosines[0].tolist(),
            terms.probe_levels[0].tolist(),
            terms.prototype_levels[0].tolist(),
            reasons.scores.tolist(),
            reasons.confidences.tolist(),
            strict=True,
        )
    )


def _faces(
    track: FaceTrack, seen: Sequence[SeenFace], reasons: Reasons, identifier: TrackIdentifier
) -> tuple[ExplainedFace, ...]:
    places = embedded_places(track, seen)
    embedded = {place: number for number, place in enumerate(places)}
    without = _without_each(track.evidence, reasons.weights > 0, identifier)
    corners = np.rint(track.boxes_xyxy).astype(int).tolist()
    faces = []
    for place, face in enumerate(seen):
        number = embedded.get(place)
        weight = 0.0 if number is None else float(reasons.weights[number])
        x1, y1, x2, y2 = corners[place]
        faces.append(
            ExplainedFace(
                number=place + 1,
                pts_ms=int(track.pts_ms[place]),
                frame_index=int(track.frame_index[place]),
                xyxy=(x1, y1, x2, y2),
                face_px=face.face_px if number is None else float(track.evidence.face_px[number]),
                quality=float(track.quality[place] if number is None else track.evidence.quality[number]),
                parts=face.parts,
                use="not_best" if number is None else _use(number, track.evidence, reasons, identifier.calibration),
                weight=weight or None,
                without=None if number is None else without[number],
                crop=face.crop if number is None else track.best_faces[number],
            )
        )
    return tuple(faces)


def _use(number: int, evidence: TrackEvidence, reasons: Reasons, calibration: Calibration) -> FaceUse:
    if reasons.is_usable[number]:
        return "used"
    return "too_small" if evidence.face_px[number] < calibration.min_face_px else "too_blurred"


def _without_each(
    evidence: TrackEvidence, is_weighed: NDArray[np.bool_], identifier: TrackIdentifier
) -> list[TrackLabel | None]:
    """Return what the track is called without each of its embedded faces; None for those that weigh nothing."""
    answers: list[TrackLabel | None] = [None] * len(evidence)
    asked = np.flatnonzero(is_weighed).tolist() if len(evidence) > 1 else []
    others = [np.delete(np.arange(len(evidence)), number) for number in asked]
    labels = identifier.identify(
        [TrackEvidence(evidence.embeddings[rest], evidence.face_px[rest], evidence.quality[rest]) for rest in others]
    )
    for number, label in zip(asked, labels, strict=True):
        answers[number] = label
    return answers
