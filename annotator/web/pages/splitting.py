"""One person who is really two: the tracks under the name, and those among them that are given to somebody else."""

from typing import Final

from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from annotator.store.registry import active_network
from annotator.store.web.people import ids_of_people
from annotator.store.web.tracks_of_people import MOST_COMPARED, TrackOfPerson, by_look, tracks_of_person
from annotator.web import changing
from annotator.web.correcting import UnknownNameError
from annotator.web.cursors import from_cursor, to_cursor
from annotator.web.errors import WebError
from annotator.web.forms import chosen_tracks, track_key, whole_number
from annotator.web.known import known_person, person_of
from annotator.web.visit import Visit

_CONTENTS: Final = 60
_OF_ONE_LOOK: Final = 60


def show_tracks(visit: Visit) -> Response:
    """Show the tracks that have a person's name, surest first; or those of two looks among the surest ones."""
    query = visit.request.query_params
    by_looks = query.get("by") == "look"
    with visit.site.store.reading() as connection:
        person = known_person(visit, connection)
        ids = ids_of_people(connection, [person.person_id])
        looks, more = _of_looks(connection, ids) if by_looks else _page(connection, ids, query.get("cursor", ""))
        network_id = active_network(connection)
    if person.person_id != visit.request.path_params["person_id"]:
        return visit.redirect("tracks_of_person", person_id=person.person_id)
    return visit.page(
        "tracks_of_person.html",
        person=person,
        looks=looks,
        has_tracks=any(tracks for tracks, _ in looks),
        by_looks=by_looks,
        next_cursor=more,
        network_id=network_id,
        split=visit.number("split", least=1, most=1000, usual=0),
        compared=MOST_COMPARED,
    )


def split_tracks(visit: Visit) -> Response:
    """Give the tracks that are chosen to somebody else; where the name is nobody's, ask who is meant."""
    person_id = visit.request.path_params["person_id"]
    form = visit.form
    chosen = chosen_tracks(form)
    seen = whole_number(form.get("network", ""))
    if seen is None:
        raise WebError(400, "The form does not say which tracks were looked at: load the page again.")
    is_nobody = form.get("nobody") == "1"
    keys = [track_key(one) for one in chosen]
    try:
        changing.split_person(
            visit,
            person_id,
            keys,
            into=None if is_nobody else form.get("into", ""),
            is_new=form.get("new") == "1",
            network_id=seen,
        )
    except UnknownNameError as error:
        with visit.site.store.reading() as connection:
            person = person_of(connection, person_id)
        return visit.page("split_who.html", status=404, error=error, person=person, chosen=chosen, seen=seen)
    address = f"{visit.url('tracks_of_person', person_id=person_id)}?split={len(set(keys))}"
    return RedirectResponse(address, status_code=303, background=changing.counted(visit))


def _page(
    connection: Connection, ids: list[int], cursor: str
) -> tuple[list[tuple[list[TrackOfPerson], int]], str | None]:
    after = from_cursor(cursor, float, int) if cursor else None
    page = tracks_of_person(connection, ids, contents=_CONTENTS, after=after)
    more = None if page.next is None else to_cursor(*page.next)
    return [(list(page.tracks), len(page.tracks))], more


def _of_looks(connection: Connection, ids: list[int]) -> tuple[list[tuple[list[TrackOfPerson], int]], None]:
    """Return some tracks of each look, and how many it has."""
    surest = tracks_of_person(connection, ids, contents=MOST_COMPARED).tracks
    return [(look[:_OF_ONE_LOOK], len(look)) for look in by_look(connection, surest[:MOST_COMPARED])], None
