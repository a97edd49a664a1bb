"""The answer of Google's Video Intelligence to ``CELEBRITY_RECOGNITION``, as far as we know what it asks for.

The shape is ``AnnotateVideoResponse`` of v1p3beta1:
https://cloud.google.com/video-intelligence/docs/reference/rest/v1p3beta1/AnnotateVideoResponse
"""

from typing import Any, Final

from annotator.export.records import ExportedMedia, ExportedName, ExportedTrack

# What comes before a Knowledge Graph id in the name of a celebrity.
_COLLECTION: Final = "video-intelligence"
# Codes of google.rpc.Status by our reasons: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
_INVALID_ARGUMENT, _UNKNOWN = 3, 2
_CODES: Final = {
    "not_found": 5,
    "forbidden": 7,
    "bucket_refused": 7,
    **dict.fromkeys(("unsupported", "undecodable", "too_large", "decode_timeout"), _INVALID_ARGUMENT),
}


def to_response(media: ExportedMedia) -> dict[str, Any]:
    """Return one answer for one media, in the JSON form of the message."""
    result: dict[str, Any] = {"inputUri": media.uri}
    if media.size_wh is None:
        code = _CODES.get(media.reason or "", _UNKNOWN)
        return {
            "annotationResults": [result | {"error": {"code": code, "message": f"{media.reason}: {media.message}"}}]
        }
    if media.duration_ms is not None:
        result["segment"] = _segment(0, media.duration_ms)
    tracks = [_track(track, media.size_wh) for track in media.tracks]
    return {"annotationResults": [result | {"celebrityRecognitionAnnotations": {"celebrityTracks": tracks}}]}


def _track(track: ExportedTrack, size_wh: tuple[int, int]) -> dict[str, Any]:
    width_px, height_px = size_wh
    places = zip(track.boxes.pts_ms.tolist(), track.boxes.boxes_xyxy.tolist(), strict=True)
    return {
        "celebrities": [] if track.name is None else [_celebrity(track.name)],
        "faceTrack": {
            "segment": _segment(track.start_ms, track.end_ms),
            "timestampedObjects": [
                {
                    "normalizedBoundingBox": {
                        "left": _share(x1, width_px),
                        "top": _share(y1, height_px),
                        "right": _share(x2, width_px),
                        "bottom": _share(y2, height_px),
                    },
                    "timeOffset": _duration(pts_ms),
                }
                for pts_ms, (x1, y1, x2, y2) in places
            ],
        },
    }


def _celebrity(name: ExportedName) -> dict[str, Any]:
    celebrity = {"displayName": name.identity.name}
    if name.identity.kg_mid is not None:
        celebrity["name"] = f"{_COLLECTION}/{name.identity.kg_mid.lstrip('/')}"
    return {"celebrity": celebrity, "confidence": name.confidence}


def _share(place_px: float, size_px: int) -> float:
    """Return a place as a share of the frame; the shape knows nothing outside of it."""
    return min(max(place_px / size_px, 0.0), 1.0)


def _segment(start_ms: int, end_ms: int) -> dict[str, str]:
    return {"startTimeOffset": _duration(start_ms), "endTimeOffset": _duration(end_ms)}


def _duration(time_ms: int) -> str:
    """Return a duration as JSON has it.

    >>> _duration(1459), _duration(0)
    ('1.459s', '0.000s')
    """
    return f"{time_ms // 1000}.{time_ms % 1000:03}s"
