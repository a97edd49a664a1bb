"""One media as it is exported, whatever the form."""

from dataclasses import dataclass
from datetime import datetime

from annotator.export.spans import Span, union_of
from annotator.results import covered_ms
from annotator.store.codec import StoredBoxes
from annotator.types import Candidate, Identity, Status


@dataclass(frozen=True, slots=True)
class ExportedName:
    """Who a track is.

    Attributes:
        identity_id: the person's number in the database; a name may be corrected, the number stays.
        identity: the person.
        confidence: in [0, 1].

    """

    identity_id: int
    identity: Identity
    confidence: float


@dataclass(frozen=True, slots=True, eq=False)
class ExportedTrack:
    """One face, followed through one shot.

    Attributes:
        track_no: 0-based within the media.
        shot_no: 0-based number of the shot.
        start_ms: first appearance.
        end_ms: end of the last appearance.
        screen_time_ms: displayed time with the face.
        boxes: where and when it was seen.
        name: who it is; None where it is nobody who is told.
        candidates: the nearest people, best first; empty where ``name`` is None.
        is_picture: whether it shows a picture of somebody that is in the clip; None where it was not measured.

    """

    track_no: int
    shot_no: int
    start_ms: int
    end_ms: int
    screen_time_ms: int
    boxes: StoredBoxes
    name: ExportedName | None
    candidates: tuple[Candidate, ...]
    is_picture: bool | None = None


@dataclass(frozen=True, slots=True)
class ExportedPerson:
    """One person in one media, over all of her or his tracks.

    Attributes:
        identity_id: the person's number in the database.
        identity: the person.
        confidence: the highest of the tracks' (dependent evidence is never multiplied).
        start_ms: first appearance.
        end_ms: end of the last appearance.
        screen_time_ms: displayed time with the person; frames with two of the person's tracks count once.
        spans: when the person is seen without a break, in order; half-open, in milliseconds.
        is_picture: whether all of the tracks are taken for pictures of the person; one that was not measured is not.

    """

    identity_id: int
    identity: Identity
    confidence: float
    start_ms: int
    end_ms: int
    screen_time_ms: int
    spans: tuple[Span, ...]
    is_picture: bool


@dataclass(frozen=True, slots=True, eq=False)
class ExportedMedia:
    """One media with what a labelling says of it.

    Attributes:
        media_id: its number in the database, as in the views.
        uri: where it is.
        sha256: of its bytes, hexadecimal; None where it was never read.
        status: ``"annotated"``, ``"damaged"`` or ``"failed"``.
        reason: what was broken where damaged; the short reason of a failure.
        message: the sentence of a failure.
        model: who named the people, e.g. ``"starter@1"``.
        size_wh: of its frames in pixels; None where failed.
        duration_ms: displayed time; None for a still picture, or where failed.
        frames_sampled: frames that were looked at.
        faces: faces that were detected on them.
        annotated_at: when its labels were made, or when it failed.
        tracks: in order of ``track_no``.
        given_name: what it was called by whoever gave it; None where the last part of its address says that.

    """

    media_id: int
    uri: str
    sha256: str | None
    status: Status
    reason: str | None
    message: str | None
    model: str
    size_wh: tuple[int, int] | None
    duration_ms: int | None
    frames_sampled: int
    faces: int
    annotated_at: datetime | None
    tracks: tuple[ExportedTrack, ...]
    given_name: str | None = None

    def people(self) -> list[ExportedPerson]:
        """Return who is told to be in it, surest first, then by first appearance and name."""
        tracks: dict[int, list[tuple[ExportedTrack, ExportedName]]] = {}
        for track in self.tracks:
            if track.name is not None:
                tracks.setdefault(track.name.identity_id, []).append((track, track.name))
        return sorted(map(_sum_up, tracks.values()), key=lambda one: (-one.confidence, one.start_ms, one.identity.name))


def _sum_up(tracks: list[tuple[ExportedTrack, ExportedName]]) -> ExportedPerson:
    shares = [share for track, _ in tracks for share in track.boxes.shares]
    surest = max((name for _, name in tracks), key=lambda name: name.confidence)
    return ExportedPerson(
        identity_id=surest.identity_id,
        identity=surest.identity,
        confidence=surest.confidence,
        start_ms=min(track.start_ms for track, _ in tracks),
        end_ms=max(track.end_ms for track, _ in tracks),
        screen_time_ms=covered_ms(shares),
        spans=tuple(union_of(shares)),
        is_picture=all(track.is_picture is True for track, _ in tracks),
    )
