"""The insights of Azure AI Video Indexer, as far as we know what it asks for.

The shape: https://learn.microsoft.com/azure/azure-video-indexer/video-indexer-output-json-v2
"""

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from annotator.export.records import ExportedMedia
from annotator.export.spans import Span, clock, union_of


def to_insights(media: ExportedMedia) -> dict[str, Any]:
    """Return a playlist of one video with its faces: people over the whole video, unknown tracks one by one."""
    has_failed = media.status == "failed"
    duration_ms = media.duration_ms or 0
    video: dict[str, Any] = {
        "id": str(media.media_id),
        "name": media.given_name or _name(media.uri),
        "state": "Failed" if has_failed else "Processed",
        "externalId": media.sha256,
        "externalUrl": media.uri,
    }
    if has_failed:
        video |= {"failureCode": media.reason, "failureMessage": media.message}
    else:
        video |= {"processingProgress": "100%", "insights": {"faces": list(_faces(media))}}
    return {
        "id": video["id"],
        "name": video["name"],
        "state": video["state"],
        "isBase": True,
        "durationInSeconds": duration_ms // 1000,
        "summarizedInsights": None,
        "videos": [video],
    }


def _name(uri: str) -> str:
    """Return the last part of an address, without its query.

    >>> _name("https://films.example/a%20b.mp4?token=1"), _name("s3://gifs/")
    ('a b.mp4', 'gifs')
    """
    if uri.startswith("s3://"):
        return PurePosixPath(uri.removeprefix("s3://")).name
    parts = urlsplit(uri)
    return PurePosixPath(unquote(parts.path)).name or parts.netloc


def _faces(media: ExportedMedia) -> Iterator[dict[str, Any]]:
    number = 0
    for number, person in enumerate(media.people(), start=1):
        name = person.identity.name
        yield _face(number, name, person.confidence, known_id=str(person.identity_id), spans=person.spans)
    unknown = [track for track in media.tracks if track.name is None]
    for place, track in enumerate(unknown, start=1):
        yield _face(number + place, f"Unknown #{place}", 0.0, known_id=None, spans=union_of(track.boxes.shares))


def _face(number: int, name: str, confidence: float, *, known_id: str | None, spans: Iterable[Span]) -> dict[str, Any]:
    return {
        "id": number,
        "name": name,
        "confidence": confidence,
        "description": None,
        "thumbnailId": None,
        "knownPersonId": known_id,
        "referenceId": None,
        "title": None,
        "imageUrl": None,
        "instances": [
            {"thumbnailsIds": [], "adjustedStart": start, "adjustedEnd": end, "start": start, "end": end}
            for start, end in (map(_clock, span) for span in spans)
        ],
    }


def _clock(time_ms: int) -> str:
    return clock(time_ms, hour_digits=1)
