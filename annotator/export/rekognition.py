"""The answer of Amazon Rekognition's ``GetCelebrityRecognition``, as far as we know what it asks for.

The shape: https://docs.aws.amazon.com/rekognition/latest/APIReference/API_GetCelebrityRecognition.html
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from annotator.export.records import ExportedMedia, ExportedName, ExportedTrack


def to_response(media: ExportedMedia) -> dict[str, Any]:
    """Return one answer with everything, without pages: times in milliseconds, confidence in percent."""
    response: dict[str, Any] = {
        "JobStatus": "FAILED" if media.status == "failed" else "SUCCEEDED",
        "JobTag": str(media.media_id),
    }
    video = _video(media.uri)
    if video is not None:
        response["Video"] = {"S3Object": video}
    if media.size_wh is None:
        return response | {"StatusMessage": f"{media.reason}: {media.message}"}
    width_px, height_px = media.size_wh
    metadata = {"FrameWidth": width_px, "FrameHeight": height_px}
    if media.duration_ms is not None:
        metadata["DurationMillis"] = media.duration_ms
    seen = [one for track in media.tracks if track.name is not None for one in _seen(track, track.name, media.size_wh)]
    in_order = sorted(seen, key=lambda one: (one["Timestamp"], one["Celebrity"]["Name"]))
    return response | {"VideoMetadata": metadata, "Celebrities": in_order}


def _video(uri: str) -> dict[str, str] | None:
    """Return bucket and key, or None of what is in none that the shape knows."""
    if not uri.startswith("s3://"):
        return None
    return {"Bucket": urlsplit(uri).netloc, "Name": uri.removeprefix("s3://").partition("/")[2]}


def _seen(track: ExportedTrack, name: ExportedName, size_wh: tuple[int, int]) -> Iterator[dict[str, Any]]:
    """Yield the track's person once for each frame on which the face was detected."""
    width_px, height_px = size_wh
    boxes = track.boxes
    found = zip(boxes.pts_ms.tolist(), boxes.boxes_xyxy.tolist(), boxes.scores.tolist(), strict=True)
    for pts_ms, (x1, y1, x2, y2), score in found:
        box = {
            "Width": (x2 - x1) / width_px,
            "Height": (y2 - y1) / height_px,
            "Left": x1 / width_px,
            "Top": y1 / height_px,
        }
        yield {
            "Timestamp": pts_ms,
            "Celebrity": {
                "Urls": [],
                "Name": name.identity.name,
                "Id": str(name.identity_id),
                "Confidence": name.confidence * 100,
                "Face": {"BoundingBox": box, "Confidence": score * 100},
            },
        }
