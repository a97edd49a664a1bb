"""The JSON line of ``annotator annotate``, from rows, with what a program needs beside it."""

from typing import Any

from annotator.export.records import ExportedMedia, ExportedTrack
from annotator.results import MediaResult, TrackResult, to_json_line
from annotator.store.reads import StoredTrack
from annotator.types import ContentLabel, TrackLabel


def to_line(media: ExportedMedia) -> dict[str, Any]:
    """Return the object of one media: the keys of ``annotator.results.to_json_line``, and those of docs/exports.md."""
    people = media.people()
    line = to_json_line(_as_result(media))
    for label, person in zip(line["labels"], people, strict=True):
        label |= {"kg_mid": person.identity.kg_mid, "identity_id": person.identity_id, "spans": person.spans}
    for told, track in zip(line["tracks"], media.tracks, strict=True):
        told |= {"shot": track.shot_no, "screen_time_ms": track.screen_time_ms}
    return {
        "media_id": media.media_id,
        **line,
        "message": media.message,
        "sha256": media.sha256,
        "size_wh": media.size_wh,
        "annotated_at": None if media.annotated_at is None else media.annotated_at.isoformat(),
    }


def _as_result(media: ExportedMedia) -> MediaResult:
    return MediaResult(
        media=media.uri,
        status=media.status,
        reason=media.reason,
        message=media.message,
        model=media.model,
        duration_ms=media.duration_ms,
        frames_sampled=media.frames_sampled,
        faces=media.faces,
        labels=tuple(
            ContentLabel(one.identity, one.confidence, one.start_ms, one.end_ms, one.screen_time_ms)
            for one in media.people()
        ),
        tracks=tuple(map(_as_track, media.tracks)),
    )


def _as_track(track: ExportedTrack) -> TrackResult:
    label = TrackLabel("unknown" if track.name is None else "known", track.candidates)
    return StoredTrack(track.track_no, track.shot_no, track.boxes, label, track.is_picture).told()
