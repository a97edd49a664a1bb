"""The faces of a track as pictures, for whichever page shows them."""

import hashlib
from typing import Final

from starlette.responses import Response

from annotator.promotion.pictures import best_moments
from annotator.store.appearances import load_boxes
from annotator.store.registry import active_network
from annotator.store.web.media import find_media_row
from annotator.web.errors import WebError
from annotator.web.visit import Visit

FACES: Final = 5
"""Of a track: number 0 is the best one, the others are of other parts of its time."""

_LARGEST_ID: Final = 2**63 - 1
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
    path = visit.request.path_params
    media_id, track_no, number = path["media_id"], path["track_no"], path["number"]
    with visit.site.store.reading() as connection:
        row = find_media_row(connection, media_id) if media_id <= _LARGEST_ID else None
        network_id = active_network(connection)
        if row is None or row.content_id is None or row.sha256 is None or network_id is None:
            raise WebError(404, "There is no such media, or it is gone.")
        boxes = load_boxes(connection, network_id, [row.content_id])[row.content_id].get(track_no)
    moments = () if boxes is None else best_moments(boxes, most=FACES)
    if not moments:
        raise WebError(404, "There is no such track.")
    reader = visit.site.reader
    pictures = None if reader is None else visit.site.pictures.cut(reader, row.ref, moments, sha256=row.sha256)
    picture = None if pictures is None else pictures[min(number, len(pictures) - 1)]
    if picture is None:
        return Response(_NONE, media_type="image/svg+xml")
    headers = _HEADERS | {"ETag": f'"{hashlib.sha256(picture).hexdigest()[:32]}"'}
    if headers["ETag"] in visit.request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(picture, media_type="image/jpeg", headers=headers)
