"""People: the list, and a page for each."""

from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from annotator.store.identities import ids_of, suggest
from annotator.store.ids import LARGEST_ID
from annotator.store.merging import list_merged
from annotator.store.titles import titles_of
from annotator.store.web.accounts import Role
from annotator.store.web.best_tracks import best_tracks
from annotator.store.web.finding import Question, find_media_with
from annotator.store.web.judged import judged_names
from annotator.store.web.people import (
    Person,
    PersonDetails,
    aliases_of,
    describe_person,
    find_people,
    find_person,
    ids_of_people,
    list_people,
    suggest_people,
)
from annotator.web.cursors import from_cursor, to_cursor
from annotator.web.known import known_person
from annotator.web.pages.media import is_video
from annotator.web.shown_model import BeingLoadedError, look_alikes
from annotator.web.visit import Visit

_ROWS: Final = 60
_CLIPS: Final = 12


def show_people(visit: Visit) -> Response:
    """Show people, most seen first, or those whose names begin as typed."""
    query = visit.request.query_params
    typed, cursor = query.get("q", "")[:100], query.get("cursor", "")
    after = from_cursor(cursor, int, int) if cursor else None
    with visit.site.store.reading() as connection:
        if typed.strip():
            people = suggest_people(connection, typed, limit=_ROWS)
        else:
            people = list_people(connection, limit=_ROWS + 1, after=after)
        near = suggest(connection, typed) if typed.strip() and not people else ()
    shown = people[:_ROWS]
    more = to_cursor(shown[-1].media, shown[-1].person_id) if len(people) > _ROWS else None
    return visit.page(
        "people.html", people=shown, typed=typed, near=near, next_cursor=more, may_enroll=_may_change(visit)
    )


def show_person(visit: Visit) -> Response:
    """Show one person; who was merged into somebody is that person."""
    with visit.site.store.reading() as connection:
        person = known_person(visit, connection)
        details = describe_person(connection, person)
        found = find_media_with(connection, Question(people=((person.person_id,),)), limit=_CLIPS + 1)
        ids = ids_of_people(connection, [person.person_id])
        faces = best_tracks(connection, {one.place.content_id for one in found[:_CLIPS]}, ids)
        titles = titles_of(connection, [(one.media_id, one.uri) for one in found[:_CLIPS]])
        judged = judged_names(connection, ids)
        removable = aliases_of(connection, ids)
        merged = list_merged(connection, person.person_id) if _may_change(visit) else []
        holder_id = visit.number("kg_mid_of", least=0, most=LARGEST_ID, usual=0)
        holder = find_person(connection, holder_id) if holder_id and _may_change(visit) else None
    if person.person_id != visit.request.path_params["person_id"]:
        return visit.redirect("person", person_id=person.person_id)
    alike: list[tuple[Person, float]] = []
    of_model, is_being_loaded = None, False
    try:
        alike = _look_alikes(visit, person, details)
        of_model = visit.site.shown_model.own_names(visit.site.store, visit.site.settings) if removable else None
    except BeingLoadedError:
        is_being_loaded = True
    return visit.page(
        "person.html",
        person=person,
        details=details,
        judged=judged,
        just_enrolled=visit.number("enrolled", least=0, most=1000, usual=0),
        kg_mid_holder=None if holder is None or holder.kg_mid is None or person.kg_mid is not None else holder,
        removable=[] if of_model is None else [one for one in removable if one not in of_model],
        alike=alike,
        is_being_loaded=is_being_loaded,
        is_due=visit.site.labelling_anew.is_due_for(person.person_id),
        may_change=_may_change(visit),
        merged=merged,
        may_split=visit.visitor.may(Role.REVIEWER),
        may_take_down=visit.visitor.may(Role.ADMIN),
        clips=[
            (one, titles[one.media_id], is_video(one.uri), faces.get((one.place.content_id, person.person_id)))
            for one in found[:_CLIPS]
        ],
        has_more=len(found) > _CLIPS,
        all_query=urlencode({"person": person.name}),
        together=[
            (one, media, urlencode([("person", person.name), ("person", one.name)]))
            for one, media in details.companions
        ],
    )


def _may_change(visit: Visit) -> bool:
    return visit.visitor.may(Role.OPERATOR)


def _look_alikes(visit: Visit, person: Person, details: PersonDetails) -> list[tuple[Person, float]]:
    """Return who looks most like somebody to the model that is shown, and how much, as cosines."""
    site = visit.site
    identifier = site.shown_model.identifier(site.store, site.settings)
    if identifier is None:
        return []
    found = look_alikes(identifier.gallery, {person.name, *details.aliases})
    with site.store.reading() as connection:
        ids = ids_of(connection, [name for name, _ in found])
        people = find_people(connection, list(ids.values()))
    return [(people[ids[name]], similarity) for name, similarity in found if name in ids]
