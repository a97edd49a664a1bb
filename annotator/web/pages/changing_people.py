"""Changing people from their pages: names, and who is the same person as somebody else, or is not after all."""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from annotator.names import MAX_NAME_CHARS
from annotator.store.identities import find_identities
from annotator.store.merging import HeldKgMid
from annotator.store.web.people import Person, describe_person
from annotator.web import changing
from annotator.web.errors import WebError
from annotator.web.forms import whole_number
from annotator.web.known import known_person, person_of
from annotator.web.visit import Visit

_SAME: Final = "Both are one person already."


def rename_person(visit: Visit) -> Response:
    """Give somebody another name; the former one goes on finding the person."""
    name = visit.form.get("name", "")
    return _change(visit, lambda connection, person: changing.rename_person(visit, connection, person, name))


def add_further_name(visit: Visit) -> Response:
    """Let another name find somebody, too."""
    alias = visit.form.get("alias", "")
    return _change(visit, lambda connection, person: changing.add_further_name(visit, connection, person, alias))


def remove_further_name(visit: Visit) -> Response:
    """Let another name find somebody no more."""
    alias = visit.form.get("alias", "")
    changing.insist_that_name_may_go(visit, alias)
    return _change(visit, lambda connection, person: changing.remove_further_name(visit, connection, person, alias))


def change_graph_id(visit: Visit) -> Response:
    """Say who somebody is in the Knowledge Graph."""
    kg_mid = visit.form.get("kg_mid", "").strip() or None
    return _change(visit, lambda connection, person: changing.change_graph_id(visit, connection, person, kg_mid))


def ask_to_merge(visit: Visit) -> Response:
    """Show two people, and what becomes of them when they are one."""
    with visit.site.store.reading() as connection:
        person = known_person(visit, connection)
        found = find_identities(connection, visit.request.query_params.get("into", "")[:MAX_NAME_CHARS])
        if len(found) > 1:
            raise WebError(400, "Several people have this name: write it exactly.")
        other = person_of(connection, found[0])
        if other.person_id == person.person_id:
            raise WebError(400, _SAME)
        both = [(one, describe_person(connection, one)) for one in (person, other)]
    return visit.page("merge.html", person=person, other=other, both=both)


def merge_two(visit: Visit) -> Response:
    """Make two people one."""
    into_id = whole_number(visit.form.get("into_id", ""))
    if into_id is None:
        raise WebError(400, "The form does not say who the person is.")

    def deed(connection: Connection, person: Person) -> None:
        other = person_of(connection, into_id)
        asked = (visit.form.get("name"), into_id, visit.form.get("into"))
        if asked != (person.name, other.person_id, other.name):  # whoever was merged is another one
            raise WebError(409, "One of the two was renamed or merged meanwhile, so nothing was changed: ask again.")
        changing.merge_person(visit, connection, person, other)

    return _change(visit, deed)


def ask_to_unmerge(visit: Visit) -> Response:
    """Show whom a merge gave up, and what becomes of both when it is taken back."""
    with visit.site.store.reading() as connection:
        person = known_person(visit, connection)
        merged = changing.merged_into(connection, person, visit.request.path_params["merged_id"])
    return visit.page("unmerge.html", person=person, merged=merged)


def unmerge_two(visit: Visit) -> Response:
    """Make two people of one again, and show the one who comes out of it."""
    person_id, merged_id = (visit.request.path_params[name] for name in ("person_id", "merged_id"))
    name = visit.form.get("name", "").strip() or None

    def deed(connection: Connection, person: Person) -> HeldKgMid | None:
        was_called = changing.merged_into(connection, person, merged_id).name
        new_name = None if name == was_called else name
        return changing.unmerge_person(visit, connection, person, merged_id, name=new_name)

    held = changing.change(visit, person_id, deed)
    address = visit.url("person", person_id=merged_id)
    if held is not None:  # the page says so
        address += f"?kg_mid_of={held.person_id}"
    return RedirectResponse(address, status_code=303, background=changing.labelled_anew(visit, {person_id, merged_id}))


def _change(visit: Visit, deed: Callable[[Connection, Person], object]) -> Response:
    """Do something to the person of the address, and show the person again."""
    person_id = visit.request.path_params["person_id"]
    changing.change(visit, person_id, deed)
    address = visit.url("person", person_id=person_id)
    return RedirectResponse(address, status_code=303, background=changing.counted(visit))
