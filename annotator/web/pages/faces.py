"""The faces of a track as pictures, for whichever page shows them."""

import hashlib
from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from annotator.promotion.following import follow
from annotator.promotion.frames import Picture
from annotator.promotion.pictures import best_moments
from annotator.store.appearances import load_boxes
from annotator.store.codec import StoredBoxes
from annotator.store.registry import active_network
from annotator.store.takedowns.tombstones import takedowns_so_far
from annotator.store.web.best_tracks import best_tracks
from annotator.store.web.finding import Question, find_media_with
from annotator.store.web.media import KnownMediaRow, find_media_row
from annotator.store.web.people import find_person, ids_of_people
from annotator.web.errors import WebError
from annotator.web.pictures import faces_beside
from annotator.web.visit import Visit

FACES: Final = 5
"""Of a track: number 0 is the best one, the others are of other parts of its time."""

_LARGEST_ID: Final = 2**63 - 1
_LARGEST_PERSON: Final = 2**31 - 1
# A picture may be kept by the browser and is asked for anew each time: who is taken down is gone at once.
_HEADERS: Final = {"Cache-Control": "private, no-cache", "Vary": "Cookie"}
_NONE: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 160"><rect width="160" height="160" fill="#8a908d"/>'
    '<path d="M80 40a28 28 0 1 1 0 56a28 28 0 1 1 0-56zM30 150c0-60 100-60 100 0z" fill="#6b716e"/></svg>'
)


def send_face(visit: Visit) -> Response:
    """Send a face of a track of what is shown, cut out of its media; a grey shape where that cannot be read.

    Raises:
        WebError: there is no such media, track or face.

    """
    row, tracks = _tracks(visit)
    boxes = tracks[_track_no(visit)]
    moments = best_moments(boxes, most=FACES)
    number = min(visit.request.path_params["number"], len(moments) - 1)
    still, _ = follow(boxes)  # costs no decoding: it is of the same frame as the best face
    return _send(
        visit, row, tracks, _track_no(visit), pictures=[moments[number], *moments, still], media_type="image/jpeg"
    )


def send_still_face(visit: Visit) -> Response:
    """Send the best face of a track in a square, with what is around it; raises as :func:`send_face`."""
    row, tracks = _tracks(visit)
    boxes = tracks[_track_no(visit)]
    still, moving = follow(boxes)
    pictures: list[Picture] = [still, moving, *best_moments(boxes, most=FACES)]
    return _send(visit, row, tracks, _track_no(visit), pictures=pictures, media_type="image/jpeg")


def send_moving_face(visit: Visit) -> Response:
    """Send the same square as a picture that moves and follows the face; raises as :func:`send_face`."""
    row, tracks = _tracks(visit)
    boxes = tracks[_track_no(visit)]
    still, moving = follow(boxes)
    pictures: list[Picture] = [moving, still, *best_moments(boxes, most=FACES)]
    return _send(visit, row, tracks, _track_no(visit), pictures=pictures, media_type="image/webp")


def send_face_of_person(visit: Visit) -> Response:
    """Send the best face of a person in the clip in which that is surest; a grey shape where there is none.

    Raises:
        WebError: there is no such person.

    """
    person_id = visit.request.path_params["person_id"]
    with visit.site.store.reading() as connection:
        person = find_person(connection, person_id) if person_id <= _LARGEST_PERSON else None
        if person is None:
            raise WebError(404, "There is no such person.")
        found = find_media_with(connection, Question(people=((person.person_id,),)), limit=1)
        ids = ids_of_people(connection, [person.person_id])
        best = best_tracks(connection, {one.place.content_id for one in found}, ids)
    if not best:
        return Response(_NONE, media_type="image/svg+xml")
    row, tracks = _tracks_of(visit, found[0].media_id)
    track_no = next(iter(best.values()))
    if track_no not in tracks:  # another model is shown since a moment ago
        return Response(_NONE, media_type="image/svg+xml")
    moments = best_moments(tracks[track_no], most=FACES)
    return _send(visit, row, tracks, track_no, pictures=moments, media_type="image/jpeg")


def _track_no(visit: Visit) -> int:
    return int(visit.request.path_params["track_no"])


def _tracks(visit: Visit) -> tuple[KnownMediaRow, dict[int, StoredBoxes]]:
    """Return the media of the address, with all of its tracks; the one of the address is among them.

    Raises:
        WebError: there is no such media or track.

    """
    row, tracks = _tracks_of(visit, visit.request.path_params["media_id"])
    if _track_no(visit) not in tracks:
        raise WebError(404, "There is no such track.")
    return row, tracks


def _tracks_of(visit: Visit, media_id: int) -> tuple[KnownMediaRow, dict[int, StoredBoxes]]:
    with visit.site.store.reading() as connection:
        row = find_media_row(connection, media_id) if media_id <= _LARGEST_ID else None
        visit.site.pictures.follow(takedowns_so_far(connection))
        network_id = active_network(connection)
        if row is None or row.content_id is None or row.sha256 is None or network_id is None:
            raise WebError(404, "There is no such media, or it is gone.")
        return row, load_boxes(connection, network_id, [row.content_id])[row.content_id]


def _send(
    visit: Visit,
    row: KnownMediaRow,
    tracks: dict[int, StoredBoxes],
    track_no: int,
    *,
    pictures: Sequence[Picture],
    media_type: str,
) -> Response:
    """Send the first of some pictures of a track, which are made together with the faces that are seen beside it."""
    reader, sha256 = visit.site.reader, row.sha256
    picture = None
    if reader is not None and sha256 is not None:
        (picture,) = visit.site.pictures.cut(
            reader,
            row.ref,
            pictures[:1],
            sha256=sha256,
            together=lambda: [*pictures, *faces_beside(tracks, track_no)],
        )
    if picture is None:
        return Response(_NONE, media_type="image/svg+xml")
    headers = _HEADERS | {"ETag": f'"{hashlib.sha256(picture).hexdigest()[:32]}"'}
    if headers["ETag"] in visit.request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(picture, media_type=media_type, headers=headers)
