"""What an explanation says, as plain values, and as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from annotator.masking import Masker
from annotator.recognition.calibration import Calibration, SizePoint
from annotator.recognition.scoring import SCORE_DECIMALS
from annotator.types import U8, ClipReport, Identity, TrackLabel

FaceUse = Literal["used", "not_best", "too_small", "too_blurred"]
"""Whether a face counts; if not, why: others of its track are better, so that it was not embedded; it is too small;
it is small and of too low a quality."""


@dataclass(frozen=True, slots=True)
class FaceParts:
    """What the quality of a face is the fourth root of the product of; see ``annotator.quality.QualityParts``.

    Attributes:
        size: in [0, 1].
        sharpness: in [0, 1].
        pose: in [0.2, 1].
        visible: part of the face that is inside the frame.
        detector_score: in [0, 1].

    """

    size: float
    sharpness: float
    pose: float
    visible: float
    detector_score: float


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedFace:
    """One face of a track.

    Attributes:
        number: within the track, from 1, in order of presentation.
        pts_ms: when its frame appears.
        frame_index: 0-based index of its frame in the source.
        xyxy: whole pixels of the source frame.
        face_px: side in source pixels of the square that was aligned to 112 x 112.
        quality: in [0, 1].
        parts: what the quality comes from.
        use: whether it counts, or why not.
        weight: what it weighs in the track's mean, of 1 in all; None where it is not in it. Where no face counts, the
            embedded ones make a mean all the same, which the candidates come from.
        without: what the track would be called without this face; None where that cannot be asked.
        crop: u8 (112, 112, 3), the aligned crop, RGB; None where there were too many to be kept.

    """

    number: int
    pts_ms: int
    frame_index: int
    xyxy: tuple[int, int, int, int]
    face_px: float
    quality: float
    parts: FaceParts
    use: FaceUse
    weight: float | None
    without: TrackLabel | None
    crop: U8 | None


@dataclass(frozen=True, slots=True)
class NearPerson:
    """One of the people nearest to a track; the score is the cosine less half of the sum of the two levels.

    Attributes:
        identity: who.
        photographs: how many her or his prototype rests on.
        cosine: of the track's mean to the prototype, both centred.
        track_level: mean cosine of the track to its nearest prototypes other than this person's.
        identity_level: mean cosine of the person's prototype to its nearest other ones.
        score: to six decimals, as the label has it.
        confidence: that the label would have, were it this person.

    """

    identity: Identity
    photographs: int
    cosine: float
    track_level: float
    identity_level: float
    score: float
    confidence: float


@dataclass(frozen=True, slots=True)
class AtRate:
    """What the track would be at another share of strangers who get a name.

    Attributes:
        rate: the share (FPIR).
        min_score: the threshold at it, for faces of the track's size.
        is_named: whether the nearest person would be named.

    """

    rate: float
    min_score: float
    is_named: bool


@dataclass(frozen=True, slots=True)
class AtPrior:
    """How sure the nearest person would be under another prior.

    Attributes:
        prior: assumed share of tracks that show somebody of the gallery.
        confidence: under it.

    """

    prior: float
    confidence: float


@dataclass(frozen=True, slots=True)
class SaidWord:
    """What a person has said of a track, and not taken back.

    Attributes:
        verdict: that it is, or is not, somebody.
        identity: who.
        said_by: user and machine.
        said_at: when.

    """

    verdict: Literal["is", "is not"]
    identity: Identity
    said_by: str
    said_at: datetime


@dataclass(frozen=True, slots=True)
class Said:
    """What people have said of a track.

    Attributes:
        words: in the order of saying; the newest one on a person counts.
        label: who the track is by that: it stands above the model.

    """

    words: tuple[SaidWord, ...]
    label: TrackLabel


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedTrack:
    """Why a track got its label.

    Attributes:
        track_no: 0-based within the media.
        start_ms: first appearance.
        end_ms: end of the last appearance.
        screen_time_ms: displayed time with the face.
        label: who it is.
        faces: all of its faces, in order of presentation.
        point: threshold for each rate, and the calibration curve, for faces of the track's size: the weighted mean.
        min_score: the threshold that is used.
        people: the nearest people, best first; none where the gallery is empty or an embedding is not finite.
        at_rates: for each rate that the model has thresholds for; none without a nearest person.
        at_priors: for some priors, the one that is used among them; none without a nearest person.
        said: what people have said of it; None where nobody has said anything. All else is what the model makes of it.

    """

    track_no: int
    start_ms: int
    end_ms: int
    screen_time_ms: int
    label: TrackLabel
    faces: tuple[ExplainedFace, ...]
    point: SizePoint
    min_score: float
    people: tuple[NearPerson, ...]
    at_rates: tuple[AtRate, ...]
    at_priors: tuple[AtPrior, ...]
    said: Said | None = None

    @property
    def gap(self) -> float | None:
        """How far the nearest person's score is above the threshold; negative below; None without a person."""
        return self.people[0].score - self.min_score if self.people else None

    @property
    def embedded(self) -> int:
        """How many of its faces were embedded."""
        return sum(face.use != "not_best" for face in self.faces)


@dataclass(frozen=True, slots=True)
class MadeWith:
    """What an explanation was made with: all that can change a label.

    Attributes:
        model: the model version, e.g. ``"starter@1"``.
        labelling_digest: of gallery, calibration and rule, hexadecimal.
        network_digest: of ``network``, hexadecimal: the key of the tracks' rows.
        network: decoding, sampling, detection, linking and embedding, as JSON values (``Annotator.network_spec``).
        calibration: thresholds and confidence.
        people: how many people the gallery has.
        database: the URL of the database whose people count, without password; None for those of the model alone.

    """

    model: str
    labelling_digest: str
    network_digest: str
    network: Mapping[str, Any]
    calibration: Calibration
    people: int
    database: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Why the tracks of a media got their labels.

    Attributes:
        media: its ``media_id``, secrets masked.
        uri: where it is, secrets masked.
        content_sha256: digest of its bytes, hexadecimal.
        clip: what decoding has shown.
        frames_sampled: frames looked at.
        faces: faces detected on them.
        tracks: all of them, or the one that was asked for.
        tracks_in_media: how many the media has.
        made_with: model, network, settings.

    """

    media: str
    uri: str
    content_sha256: str
    clip: ClipReport
    frames_sampled: int
    faces: int
    tracks: tuple[ExplainedTrack, ...]
    tracks_in_media: int
    made_with: MadeWith

    def to_json(self) -> dict[str, Any]:
        """Return all of it but the pictures, as JSON values; docs/explaining.md has the keys."""
        return {
            "media": self.media,
            "uri": self.uri,
            "content_sha256": self.content_sha256,
            "status": "damaged" if self.clip.damage else "annotated",
            "reason": self.clip.damage,
            "duration_ms": self.clip.duration_ms,
            "frames_sampled": self.frames_sampled,
            "faces": self.faces,
            "tracks_in_media": self.tracks_in_media,
            "tracks": _rounded([_track_json(track) for track in self.tracks]),
            **_made_with_json(self.made_with),
        }


def masked(text: str) -> str:
    """Return an address without passwords and signatures."""
    return Masker().mask(text)


def _rounded(value: object) -> object:
    """Round all numbers within JSON values to the decimals that scores have."""
    if isinstance(value, float):
        return round(value, SCORE_DECIMALS)
    if isinstance(value, Mapping):
        return {name: _rounded(inner) for name, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list) else value


def _made_with_json(made_with: MadeWith) -> dict[str, Any]:
    calibration = made_with.calibration
    rule = ("max_false_positive_rate", "prior", "min_confidence", "min_face_px", "sharp_below_px", "min_quality")
    return {
        "model": made_with.model,
        "labelling_digest": made_with.labelling_digest,
        "network_digest": made_with.network_digest,
        "network": dict(made_with.network),
        "people": made_with.people,
        "database": made_with.database,
        "rule": {name: getattr(calibration, name) for name in (*rule, "cohort")},
    }


def _track_json(track: ExplainedTrack) -> dict[str, Any]:
    label = track.label
    return {
        "track": track.track_no,
        "start_ms": track.start_ms,
        "end_ms": track.end_ms,
        "screen_time_ms": track.screen_time_ms,
        **_label_json(label),
        "min_score": track.min_score,
        "margin": label.margin,
        "face_px": track.point.face_px,
        "faces": [_face_json(face) for face in track.faces],
        "candidates": [_person_json(person) for person in track.people],
        "curve": {"slope": track.point.slope, "intercept": track.point.intercept},
        "at_rates": [{"rate": one.rate, "min_score": one.min_score, "named": one.is_named} for one in track.at_rates],
        "at_priors": [asdict(one) for one in track.at_priors],
        "corrected": None if track.said is None else _said_json(track.said),
    }


def _said_json(said: Said) -> dict[str, Any]:
    words = [
        {
            "verdict": word.verdict,
            "identity": word.identity.name,
            "said_by": word.said_by,
            "said_at": word.said_at.isoformat(),
        }
        for word in said.words
    ]
    return {**_label_json(said.label), "words": words}


def _label_json(label: TrackLabel) -> dict[str, Any]:
    return {
        "verdict": label.verdict,
        "identity": label.identity.name if label.identity else None,
        "confidence": label.confidence,
        "score": label.score,
    }


def _face_json(face: ExplainedFace) -> dict[str, Any]:
    return {
        "face": face.number,
        "pts_ms": face.pts_ms,
        "frame_index": face.frame_index,
        "xyxy": list(face.xyxy),
        "face_px": face.face_px,
        "quality": face.quality,
        **asdict(face.parts),
        "use": face.use,
        "weight": face.weight,
        "without": None if face.without is None else _label_json(face.without),
    }


def _person_json(person: NearPerson) -> dict[str, Any]:
    told = asdict(person)
    del told["identity"]
    return {"identity": person.identity.name, "kg_mid": person.identity.kg_mid, **told}
