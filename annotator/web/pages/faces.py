"""The faces of a track as pictures, for whichever page shows them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from annotator.promotion.following import follow
from annotator.promotion.frames import Picture
from annotator.promotion.pictures import Moment, best_moments
from annotator.store.codec import StoredBoxes
from annotator.store.registry import active_network
from annotator.store.takedowns.tombstones import takedowns_so_far
from annotator.store.web.best_tracks import best_tracks
from annotator.store.web.faces import find_boxes, load_boxes_around
from annotator.store.web.finding import Question, find_media_with
from annotator.store.web.people import ids_of_people
from annotator.types import MediaRef
from annotator.web.errors import WebError
from annotator.web.known import known_person, media_of
from annotator.web.pictures import MOST_TOGETHER, faces_beside, stretch_of
from annotator.web.visit import Bringing, Visit

FACES: Final = 5
"""Of a track: number 0 is the best one, the others are of other parts of its time."""

# A picture may be kept by the browser and is asked for anew each time: who is taken down is gone at once.
_HEADERS: Final = {"Cache-Control": "private, no-cache", "Vary": "Cookie"}
_NONE: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 160"><rect width="160" height="160" fill="#8a908d"/>'
    '<path d="M80 40a28 28 0 1 1 0 56a28 28 0 1 1 0-56zM30 150c0-60 100-60 100 0z" fill="#6b716e"/></svg>'
)


@dataclass(frozen=True, slots=True, eq=False)
class _ShownTrack:
    """A track of a media that is there.

    Attributes:
        media: which media.
        sha256: of its bytes, hexadecimal.
        network_id: which has found the track.
        content_id: in which bytes.
        track_no: its number.
        boxes: where and when it was seen.

    """

    media: MediaRef
    sha256: str
    network_id: int
    content_id: int
    track_no: int
    boxes: StoredBoxes


def send_face(visit: Visit) -> Response | Bringing:
    """Send a face of a track of what is shown, cut out of its media; a grey shape where that cannot be read.

    Raises:
        WebError: there is no such media, track or face.

    """
    track = _track(visit)
    moments = best_moments(track.boxes, most=FACES)
    number = min(visit.request.path_params["number"], len(moments) - 1)
    still, _ = follow(track.boxes)  # costs no decoding: it is of the same frame as the best face
    return _send(visit, track, [moments[number], *moments, still], media_type="image/jpeg")


def send_still_face(visit: Visit) -> Response | Bringing:
    """Send the best face of a track in a square, with what is around it; raises as :func:`send_face`."""
    track = _track(visit)
    still, moving = follow(track.boxes)
    pictures: list[Picture] = [still, moving, *best_moments(track.boxes, most=FACES)]
    return _send(visit, track, pictures, media_type="image/jpeg")


def send_moving_face(visit: Visit) -> Response | Bringing:
    """Send the same square as a picture that moves and follows the face; raises as :func:`send_face`."""
    track = _track(visit)
    still, moving = follow(track.boxes)
    pictures: list[Picture] = [moving, still, *best_moments(track.boxes, most=FACES)]
    return _send(visit, track, pictures, media_type="image/webp")


def send_face_of_person(visit: Visit) -> Response | Bringing:
    """Send the best face of a person in the clip in which that is surest; a grey shape where there is none.

    Raises:
        WebError: there is no such person.

    """
    with visit.site.store.reading() as connection:
        person = known_person(visit, connection)
        found = find_media_with(connection, Question(people=((person.person_id,),)), limit=1)
        ids = ids_of_people(connection, [person.person_id])
        best = best_tracks(connection, {one.place.content_id for one in found}, ids)
    if not best:
        return Response(_NONE, media_type="image/svg+xml")
    track = _find_track(visit, found[0].media_id, next(iter(best.values())))
    if track is None:  # another model is shown since a moment ago
        return Response(_NONE, media_type="image/svg+xml")
    return _send(visit, track, best_moments(track.boxes, most=FACES), media_type="image/jpeg")


def _track(visit: Visit) -> _ShownTrack:
    """Return the track of the address.

    Raises:
        WebError: there is no such media or track.

    """
    asked = visit.request.path_params
    track = _find_track(visit, asked["media_id"], asked["track_no"])
    if track is None:
        raise WebError(404, "There is no such track.")
    return track


def _find_track(visit: Visit, media_id: int, track_no: int) -> _ShownTrack | None:
    with visit.site.store.reading() as connection:
        row = media_of(connection, media_id)
        visit.site.pictures.follow(takedowns_so_far(connection))
        network_id = active_network(connection)
        if row.content_id is None or row.sha256 is None or network_id is None:
            raise WebError(404, "There is no such media, or it is gone.")
        boxes = find_boxes(connection, network_id, row.content_id, track_no)
    return None if boxes is None else _ShownTrack(row.ref, row.sha256, network_id, row.content_id, track_no, boxes)


def _beside(visit: Visit, track: _ShownTrack) -> list[Moment]:
    """Return the faces that are seen at about the same time as the best one of a track."""
    at_ms = best_moments(track.boxes, most=1)[0].pts_ms
    with visit.site.store.reading() as connection:
        around = load_boxes_around(
            connection,
            track.network_id,
            track.content_id,
            span_ms=stretch_of(at_ms),
            around_ms=at_ms,
            limit=MOST_TOGETHER,
        )
    around.pop(track.track_no, None)
    return faces_beside(at_ms, around.values())


def _send(visit: Visit, track: _ShownTrack, pictures: Sequence[Picture], *, media_type: str) -> Response | Bringing:
    """Send the first of some pictures of a track, which are made together with the faces that are seen beside it."""
    reader, kept = visit.site.reader, visit.site.pictures
    if reader is None:
        return _answer(visit, None, media_type)
    found = kept.find_all(track.sha256, pictures[:1])
    if found is not None:  # that waits for no host
        return _answer(visit, found[0], media_type)

    def cut() -> Response:
        (picture,) = kept.cut(
            reader,
            track.media,
            pictures[:1],
            sha256=track.sha256,
            together=lambda: [*pictures, *_beside(visit, track)],
        )
        return _answer(visit, picture, media_type)

    return Bringing(visit, track.media.uri, cut)


def _answer(visit: Visit, picture: bytes | None, media_type: str) -> Response:
    if picture is None:
        return Response(_NONE, media_type="image/svg+xml")
    headers = _HEADERS | {"ETag": f'"{hashlib.sha256(picture).hexdigest()[:32]}"'}
    if headers["ETag"] in visit.request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(picture, media_type=media_type, headers=headers)
