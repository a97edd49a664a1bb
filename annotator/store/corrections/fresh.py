"""What people have said of the tracks of a media that was annotated just now, and what that makes of their labels.

For whoever shows an annotation that is not saved. Labels that are saved are corrected by ``applying``.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from annotator.recognition.calibration import Calibration
from annotator.store.codec import decode_boxes, encode_boxes
from annotator.store.corrections.applying import SURE, keeps_a_name, least_score
from annotator.store.corrections.words import CorrectionVerdict, Ruling, rule, tracks_meant, words_on
from annotator.store.identities import load_identities
from annotator.store.registry import find_contents
from annotator.store.tables import corrections
from annotator.types import Candidate, FaceTrack, Identity, MediaAnnotation, TrackLabel


@dataclass(frozen=True, slots=True)
class SaidOfTrack:
    """One word of a person on a track that was not withdrawn.

    Attributes:
        verdict: ``"is"`` or ``"is not"``.
        identity: who; of somebody who was merged, the person who took over.
        said_by: user and machine.
        said_at: when.

    """

    verdict: CorrectionVerdict
    identity: Identity
    said_by: str
    said_at: datetime


@dataclass(frozen=True, slots=True)
class CorrectedTrack:
    """A track of which people have spoken.

    Attributes:
        words: what they have said, in the order of saying.
        label: who the track is then.

    """

    words: tuple[SaidOfTrack, ...]
    label: TrackLabel


def correct_fresh(
    connection: Connection, annotation: MediaAnnotation, *, calibration: Calibration
) -> dict[int, CorrectedTrack]:
    """Return the tracks of an annotation of which somebody has said who they are, or are not, by number.

    Args:
        connection: any.
        annotation: fresh, with the labels that a model gives.
        calibration: of that model: says from which score on it names somebody.

    """
    ids = find_contents(connection, [annotation.content_sha256])
    words = words_on(connection, ids.values()).get(ids.get(annotation.content_sha256, 0), [])
    if not words:
        return {}
    boxes = {track.track_no: decode_boxes(encode_boxes(track)) for track in annotation.tracks}
    of_track: dict[int, list[int]] = defaultdict(list)
    for word in words:
        for track_no in tracks_meant(word, boxes):
            of_track[track_no].append(word.correction_id)
    people = load_identities(connection)
    said = _said(connection, [word.correction_id for word in words], people)
    labelled = {
        track.track_no: (track, label) for track, label in zip(annotation.tracks, annotation.labels, strict=True)
    }
    return {
        track_no: CorrectedTrack(
            tuple(said[one] for one in of_track[track_no]),
            _label(*labelled[track_no], ruling, people, calibration=calibration),
        )
        for track_no, ruling in rule(words, boxes).items()
    }


def _said(connection: Connection, correction_ids: Sequence[int], people: dict[int, Identity]) -> dict[int, SaidOfTrack]:
    rows = connection.execute(select(corrections).where(corrections.c.id.in_(correction_ids)))
    return {row.id: SaidOfTrack(row.verdict, people[row.identity_id], row.said_by, row.said_at) for row in rows}


def _label(
    track: FaceTrack, label: TrackLabel, ruling: Ruling, people: dict[int, Identity], *, calibration: Calibration
) -> TrackLabel:
    if ruling.is_person is not None:
        return TrackLabel("known", (Candidate(people[ruling.is_person], score=SURE, confidence=SURE),))
    ruled_out = {people[one].name for one in ruling.are_not}
    left = tuple(one for one in label.candidates if one.identity.name not in ruled_out)
    if label.verdict != "known":
        return TrackLabel(label.verdict, left)
    before, after = ([(one.identity, one.score, one.confidence) for one in some] for some in (label.candidates, left))
    is_known = keeps_a_name(before, after, least_score=lambda: least_score(track.evidence, calibration))
    return TrackLabel("known" if is_known else "unknown", left)
