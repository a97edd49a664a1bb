"""People and faces in three dimensions."""

import hashlib
from pathlib import Path

from sqlalchemy import Connection
from starlette.responses import Response

from annotator.space.files import map_path, read_map, read_time
from annotator.space.packing import MEDIA_TYPE, pack_map
from annotator.store.identities import load_survivors
from annotator.store.registry import active_labelling
from annotator.store.web.overview import is_named_since
from annotator.web.errors import WebError
from annotator.web.pages.computing import begin_computing, computing_told
from annotator.web.visit import Visit


def show_space(visit: Visit) -> Response:
    """Show the page; the points come by an address of their own."""
    with visit.site.store.reading() as connection:
        path = _path(visit, connection)
        made_at = None if path is None else read_time(path)
        is_old = made_at is not None and is_named_since(connection, made_at)
    told = computing_told(visit, visit.site.placing, is_labelled=path is not None)
    return visit.page("space.html", has_map=made_at is not None, is_old=is_old, told=told)


def build_space(visit: Visit) -> Response:
    """Begin to build the map of the model that is shown."""
    begin_computing(visit, visit.site.placing, deed="began to build the map")
    return visit.redirect("space")


def send_points(visit: Visit) -> Response:
    """Send the points with the names that people have now; a browser that has the same already gets nothing.

    Raises:
        WebError: there is no map of the model that is shown.

    """
    with visit.site.store.reading() as connection:
        path = _path(visit, connection)
        space = None if path is None else read_map(path)
        survivors = load_survivors(connection)
    if space is None:
        raise WebError(
            404, "There is no map of the model that is shown: the page Space builds it, or `annotator space build`."
        )
    names = {one: (survivor_id, person.name) for one, (survivor_id, person) in survivors.items()}
    content = pack_map(space, names)
    headers = {
        "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        # A browser may keep it, and asks each time whether it still holds: who is taken down is gone at once.
        "Cache-Control": "private, no-cache",
        "Vary": "Cookie",
    }
    if headers["ETag"] in visit.request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=MEDIA_TYPE, headers=headers)


def _path(visit: Visit, connection: Connection) -> Path | None:
    labelling_id = active_labelling(connection)
    if labelling_id is None:
        return None
    return map_path(visit.site.settings.cache_dir, connection, labelling_id)
