"""The first page, the record of who did what, and the sign of life."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection
from starlette.responses import JSONResponse, Response

from annotator.store.titles import titles_of
from annotator.store.web.accounts import Role
from annotator.store.web.audit import list_deeds
from annotator.store.web.best_tracks import best_tracks
from annotator.store.web.overview import newest_media, overview_of
from annotator.store.web.people import Person, find_people, list_people
from annotator.web.visit import Visit

_ROWS: Final = 100
_NEWEST: Final = 12
_MOST_SEEN: Final = 16
_FACES: Final = 4


@dataclass(frozen=True, slots=True)
class NewCard:
    """A media that was looked at lately, as the first page shows it.

    Attributes:
        media_id: its number.
        title: what it is called.
        people: who is in it, surest first, with confidence.
        faces: tracks that show up to four of them best, with their names; where nobody is known, the one seen longest.

    """

    media_id: int
    title: str
    people: tuple[tuple[Person, float], ...]
    faces: tuple[tuple[int, str], ...]


def show_home(visit: Visit) -> Response:
    """Show what there is."""
    with visit.site.store.reading() as connection:
        overview = overview_of(connection)
        newest = _newest(connection)
        people = [one for one in list_people(connection, limit=_MOST_SEEN) if one.media]
    may_try = visit.visitor.may(Role.REVIEWER)
    return visit.page("home.html", overview=overview, newest=newest, people=people, may_try=may_try)


def _newest(connection: Connection) -> list[NewCard]:
    found = newest_media(connection, limit=_NEWEST)
    ids = {identity_id for one in found for identity_id, _ in one.people}
    people = find_people(connection, sorted(ids))
    tracks = best_tracks(connection, [one.content_id for one in found], ids)
    titles = titles_of(connection, [(one.media_id, one.uri) for one in found])
    cards = []
    for one in found:
        surest: dict[int, tuple[Person, float]] = {}
        for identity_id, confidence in one.people:
            surest.setdefault(people[identity_id].person_id, (people[identity_id], confidence))
        faces = [
            (track_no, person.name)
            for person, _ in surest.values()
            if (track_no := tracks.get((one.content_id, person.person_id))) is not None
        ]
        if not faces and one.longest_track is not None:
            faces = [(one.longest_track, "somebody unknown")]
        cards.append(NewCard(one.media_id, titles[one.media_id], tuple(surest.values()), tuple(faces[:_FACES])))
    return cards


def show_record(visit: Visit) -> Response:
    """Show who did what, newest first."""
    before_id = visit.number("before", most=2**62, usual=0) or None
    with visit.site.store.reading() as connection:
        deeds = list_deeds(connection, limit=_ROWS + 1, before_id=before_id)
    has_more = len(deeds) > _ROWS
    deeds = deeds[:_ROWS]
    return visit.page("record.html", deeds=deeds, next_before=deeds[-1].deed_id if has_more else None)


def tell_health(visit: Visit) -> Response:
    """Say that the database answers: for supervisors and load balancers. It tells nothing else to strangers."""
    with visit.site.store.reading() as connection:
        connection.exec_driver_sql("SELECT 1")
    return JSONResponse({"status": "ok"})
