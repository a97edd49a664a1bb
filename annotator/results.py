"""What is told of a media: its people, and the JSON line of the command line and of programs.

``MediaResult`` is the one value behind the JSON line, the table and the rows: made from a fresh outcome by
``MediaResult.of``, or by the store from rows. Both print the same.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from annotator.types import (
    ContentLabel,
    FaceTrack,
    Identity,
    MediaAnnotation,
    MediaFailure,
    MediaOutcome,
    Status,
    TrackLabel,
)

CONFIDENCE_DIGITS = 4  # what is printed; the rows keep more


@dataclass(frozen=True, slots=True)
class TrackBox:
    """Where a track's face was on one sampled frame.

    Attributes:
        pts_ms: when the frame appears.
        xyxy: whole pixels of the source frame.

    """

    pts_ms: int
    xyxy: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class TrackResult:
    """One track as it is told.

    Attributes:
        track_no: 0-based within the media.
        start_ms: first appearance.
        end_ms: end of the last appearance.
        screen_time_ms: displayed time with the face.
        label: who it is.
        boxes: in order of presentation.
        is_picture: whether it shows a picture of somebody that is in the clip; see ``FaceTrack``.

    """

    track_no: int
    start_ms: int
    end_ms: int
    screen_time_ms: int
    label: TrackLabel
    boxes: tuple[TrackBox, ...]
    is_picture: bool | None = None

    @classmethod
    def of(cls, track: FaceTrack, label: TrackLabel) -> Self:
        """Tell a fresh track."""
        corners = np.rint(track.boxes_xyxy).astype(int).tolist()
        return cls(
            track_no=track.track_no,
            start_ms=track.start_ms,
            end_ms=track.end_ms,
            screen_time_ms=track.screen_time_ms,
            label=label,
            boxes=tuple(
                TrackBox(pts_ms, (x1, y1, x2, y2))
                for pts_ms, (x1, y1, x2, y2) in zip(track.pts_ms.tolist(), corners, strict=True)
            ),
            is_picture=track.is_picture,
        )


@dataclass(frozen=True, slots=True)
class MediaResult:
    """One media as it is told, fresh or from rows.

    Attributes:
        media: its ``media_id``.
        status: ``"annotated"``, ``"damaged"`` or ``"failed"``.
        reason: None where annotated; what was broken where damaged; the error's short stable reason where failed.
        message: the error's sentence where failed, for people; not in the JSON line.
        model: the model version, e.g. ``"starter@1"``.
        duration_ms: displayed time; None for a still picture or where nothing was read.
        frames_sampled: frames looked at.
        faces: faces detected on them.
        labels: known people, surest first.
        tracks: in order of first appearance.

    """

    media: str
    status: Status
    reason: str | None
    message: str | None
    model: str
    duration_ms: int | None
    frames_sampled: int
    faces: int
    labels: tuple[ContentLabel, ...]
    tracks: tuple[TrackResult, ...]

    @classmethod
    def of(cls, outcome: MediaOutcome) -> Self:
        """Tell a fresh outcome."""
        if isinstance(outcome, MediaFailure):
            return cls(
                media=outcome.media.media_id,
                status="failed",
                reason=outcome.reason,
                message=outcome.message,
                model=outcome.model,
                duration_ms=None,
                frames_sampled=0,
                faces=0,
                labels=(),
                tracks=(),
            )
        return cls(
            media=outcome.media.media_id,
            status=outcome.status,
            reason=outcome.clip.damage,
            message=None,
            model=outcome.model,
            duration_ms=outcome.clip.duration_ms,
            frames_sampled=outcome.frames_sampled,
            faces=outcome.faces,
            labels=content_labels(outcome),
            tracks=tuple(TrackResult.of(*pair) for pair in zip(outcome.tracks, outcome.labels, strict=True)),
        )

    def is_only_on_pictures(self, identity: Identity) -> bool:
        """Say whether all tracks of a person are taken for pictures; one that was not measured is not."""
        seen = [track.is_picture is True for track in self.tracks if track.label.identity == identity]
        return bool(seen) and all(seen)


def content_labels(annotation: MediaAnnotation) -> tuple[ContentLabel, ...]:
    """Sum up the known people of a media, surest first (then by first appearance and name).

    Confidence is the highest of a person's tracks: their evidence is dependent, so it is never multiplied. Displayed
    time that two of a person's tracks share counts once.
    """
    tracks_by_identity: dict[Identity, list[tuple[FaceTrack, float]]] = defaultdict(list)
    for track, label in zip(annotation.tracks, annotation.labels, strict=True):
        if label.identity is not None and label.confidence is not None:
            tracks_by_identity[label.identity].append((track, label.confidence))
    summed = [_sum_up(identity, tracks) for identity, tracks in tracks_by_identity.items()]
    return tuple(sorted(summed, key=_surest_first))


def _sum_up(identity: Identity, tracks: Sequence[tuple[FaceTrack, float]]) -> ContentLabel:
    shares = [
        (start, start + length)
        for track, _ in tracks
        for start, length in zip(track.from_ms.tolist(), track.shown_ms.tolist(), strict=True)
    ]
    return ContentLabel(
        identity=identity,
        confidence=max(confidence for _, confidence in tracks),
        start_ms=min(track.start_ms for track, _ in tracks),
        end_ms=max(track.end_ms for track, _ in tracks),
        screen_time_ms=covered_ms(shares),
    )


def _surest_first(label: ContentLabel) -> tuple[float, int, str]:
    return (-label.confidence, label.start_ms, label.identity.name)


def covered_ms(spans: Iterable[tuple[int, int]]) -> int:
    """Return the length of the union of half-open spans.

    >>> covered_ms([(0, 100), (50, 150), (300, 400)])
    250
    """
    total, reached = 0, None
    for start, end in sorted(spans):
        begin = start if reached is None else max(start, reached)
        total += max(0, end - begin)
        reached = end if reached is None else max(reached, end)
    return total


def to_json_line(result: MediaResult | MediaOutcome) -> dict[str, Any]:
    """Return the object of one JSON line.

    Args:
        result: a fresh outcome, or a result of either origin.

    Returns:
        ``media, status, reason, model, duration_ms, frames_sampled, faces, labels, tracks`` as in docs/cli.md.

    """
    told = result if isinstance(result, MediaResult) else MediaResult.of(result)
    return {
        "media": told.media,
        "status": told.status,
        "reason": told.reason,
        "model": told.model,
        "duration_ms": told.duration_ms,
        "frames_sampled": told.frames_sampled,
        "faces": told.faces,
        "labels": [
            {
                "identity": label.identity.name,
                "confidence": round(label.confidence, CONFIDENCE_DIGITS),
                "start_ms": label.start_ms,
                "end_ms": label.end_ms,
                "screen_time_ms": label.screen_time_ms,
                "is_picture": told.is_only_on_pictures(label.identity),
            }
            for label in told.labels
        ],
        "tracks": [_track_line(track) for track in told.tracks],
    }


def _track_line(track: TrackResult) -> dict[str, Any]:
    label = track.label
    return {
        "track": track.track_no,
        "identity": label.identity.name if label.identity else None,
        "confidence": None if label.confidence is None else round(label.confidence, CONFIDENCE_DIGITS),
        "start_ms": track.start_ms,
        "end_ms": track.end_ms,
        "is_picture": track.is_picture,
        "boxes": [{"pts_ms": box.pts_ms, "xyxy": list(box.xyxy)} for box in track.boxes],
        "candidates": [
            {"identity": one.identity.name, "confidence": round(one.confidence, CONFIDENCE_DIGITS)}
            for one in label.candidates
        ],
    }


def verdict_in_words(label: TrackLabel) -> str:
    """Return ``"known"``, ``"unknown"`` or ``"unknown, too poor"``."""
    return "unknown, too poor" if label.verdict == "too_poor" else label.verdict


def confidence_in_words(confidence: float) -> str:
    """Return a confidence as per cent, never rounded up to certainty.

    >>> [confidence_in_words(one) for one in (0.004, 0.874, 0.99, 0.9901, 1.0)]
    ['0 %', '87 %', '99 %', '>99 %', '>99 %']
    """
    return ">99 %" if confidence > 0.99 else f"{confidence * 100:.0f} %"


def span_in_words(start_ms: int, end_ms: int) -> str:
    """Return a span as seconds, with minutes from the first one on.

    >>> span_in_words(0, 3140), span_in_words(65_000, 3_725_500)
    ('0.0-3.1 s', '1:05.0-1:02:05.5')
    """
    if end_ms < 60_000:
        return f"{start_ms / 1000:.1f}-{end_ms / 1000:.1f} s"
    return f"{_clock(start_ms)}-{_clock(end_ms)}"


def _clock(time_ms: int) -> str:
    minutes, rest_ms = divmod(time_ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest_ms / 1000:04.1f}"
    return f"{hours}:{minutes:02}:{seconds}" if hours else f"{minutes}:{seconds}"
