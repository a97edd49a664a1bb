"""What people are called, and who is the same person as somebody else."""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection
from starlette.background import BackgroundTask
from starlette.responses import RedirectResponse, Response

from annotator.errors import IdentityError
from annotator.store.identities import find_identities, rename
from annotator.store.merging import merge
from annotator.store.naming import add_alias, change_kg_mid, remove_alias
from annotator.store.rollups import roll_up_if_due
from annotator.store.web.people import Person, describe_person, find_person
from annotator.web.errors import WebError
from annotator.web.shown_model import MODEL_IS_GONE
from annotator.web.visit import Visit

LONGEST_NAME: Final = 200
_LARGEST_ID: Final = 2**31 - 1
_SAME: Final = "Both are one person already."


def rename_person(visit: Visit) -> Response:
    """Give somebody another name; the former one goes on finding the person."""

    def deed(connection: Connection, person: Person) -> None:
        identity = rename(connection, person.name, _name(visit, "name"))
        visit.record(connection, "renamed a person", subject=identity.name, former=person.name)

    return _change(visit, deed)


def add_further_name(visit: Visit) -> Response:
    """Let another name find somebody, too."""

    def deed(connection: Connection, person: Person) -> None:
        add_alias(connection, person.name, _name(visit, "alias"))
        visit.record(connection, "added a name", subject=person.name, alias=visit.form["alias"])

    return _change(visit, deed)


def remove_further_name(visit: Visit) -> Response:
    """Let another name find somebody no more."""
    of_model = visit.site.shown_model.own_names(visit.site.store, visit.site.settings)
    if of_model is None:
        raise WebError(409, MODEL_IS_GONE)
    if visit.form.get("alias") in of_model:
        raise WebError(409, "The model calls the person so: without the name it would take them for somebody new.")

    def deed(connection: Connection, person: Person) -> None:
        remove_alias(connection, person.name, visit.form.get("alias", ""))
        visit.record(connection, "removed a name", subject=person.name, alias=visit.form["alias"])

    return _change(visit, deed)


def change_graph_id(visit: Visit) -> Response:
    """Say who somebody is in the Knowledge Graph."""

    def deed(connection: Connection, person: Person) -> None:
        identity = change_kg_mid(connection, person.name, visit.form.get("kg_mid", "").strip() or None)
        visit.record(
            connection,
            "changed a Knowledge Graph id",
            subject=person.name,
            before=person.kg_mid,
            now=identity.kg_mid,
        )

    return _change(visit, deed)


def ask_to_merge(visit: Visit) -> Response:
    """Show two people, and what becomes of them when they are one."""
    with visit.site.store.reading() as connection:
        person = _person(connection, visit.request.path_params["person_id"])
        found = find_identities(connection, visit.request.query_params.get("into", "")[:LONGEST_NAME])
        if len(found) > 1:
            raise WebError(400, "Several people have this name: write it exactly.")
        other = _person(connection, found[0])
        if other.person_id == person.person_id:
            raise WebError(400, _SAME)
        both = [(one, describe_person(connection, one)) for one in (person, other)]
    return visit.page("merge.html", person=person, other=other, both=both)


def merge_two(visit: Visit) -> Response:
    """Make two people one, for good."""
    given = visit.form.get("into_id", "")
    if not (given.isascii() and given.isdigit() and len(given) < 12):
        raise WebError(400, "The form does not say who the person is.")

    def deed(connection: Connection, person: Person) -> None:
        other = _person(connection, int(given))
        asked = (visit.request.path_params["person_id"], visit.form.get("name"), int(given), visit.form.get("into"))
        if asked != (person.person_id, person.name, other.person_id, other.name):  # whoever was merged is another one
            raise WebError(409, "One of the two was renamed or merged meanwhile, so nothing was changed: ask again.")
        identity = merge(connection, person.name, other.name)
        visit.record(connection, "merged two people", subject=identity.name, merged=person.name)

    return _change(visit, deed)


def _change(visit: Visit, deed: Callable[[Connection, Person], None]) -> Response:
    """Do something to the person of the address, and show the person again."""
    person_id = visit.request.path_params["person_id"]
    try:
        with visit.site.store.writing() as connection:
            deed(connection, _person(connection, person_id))
    except IdentityError as error:
        raise WebError(400, f"{error}.".replace("..", ".")) from error
    counted = BackgroundTask(roll_up_if_due, visit.site.store.engine)
    return RedirectResponse(visit.url("person", person_id=person_id), status_code=303, background=counted)


def _person(connection: Connection, person_id: int) -> Person:
    person = find_person(connection, person_id) if person_id <= _LARGEST_ID else None
    if person is None:
        raise WebError(404, "There is no such person.")
    return person


def _name(visit: Visit, field: str) -> str:
    given = visit.form.get(field, "").strip()
    if not 0 < len(given) <= LONGEST_NAME:
        raise WebError(400, f"A name has from 1 to {LONGEST_NAME} letters.")
    return given
