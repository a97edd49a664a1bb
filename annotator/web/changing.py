"""What people are called, and who is the same person as somebody else, or is not: for pages and for the API."""

import contextlib
from collections.abc import Callable, Collection
from typing import TypeVar

from sqlalchemy import Connection
from starlette.background import BackgroundTask

from annotator.errors import CorrectionError, IdentityError, ModelError, StoreUnavailableError
from annotator.names import MAX_NAME_CHARS
from annotator.store.corrections import splitting
from annotator.store.corrections.splitting import Split
from annotator.store.identities import rename
from annotator.store.merging import HeldKgMid, MergedPerson, list_merged, merge, unmerge
from annotator.store.naming import add_alias, change_kg_mid, remove_alias
from annotator.store.rollups import roll_up_if_due
from annotator.store.web.people import Person
from annotator.types import Identity, TrackKey
from annotator.web.correcting import insist_on_one
from annotator.web.errors import WebError
from annotator.web.known import person_of
from annotator.web.shown_model import MODEL_IS_GONE
from annotator.web.visit import Visit

_A = TypeVar("_A")


def insist_on_same_person(connection: Connection, person_id: int) -> Person:
    """Return whom a deed is meant for: what was said of somebody who was merged meanwhile is not done to who took over.

    Raises:
        WebError: there is no such person, or the person was merged into somebody.

    """
    person = person_of(connection, person_id)
    if person.person_id != person_id:
        raise WebError(409, f"This person was merged into {person.name} meanwhile, so nothing was changed: ask again.")
    return person


def merged_into(connection: Connection, person: Person, merged_id: int) -> MergedPerson:
    """Return somebody who was merged into a person.

    Raises:
        WebError: nobody was under this id, or it was taken back.

    """
    for one in list_merged(connection, person.person_id):
        if one.person_id == merged_id:
            return one
    raise WebError(404, f"Nobody was merged into {person.name} under this number, or it was taken back already.")


def checked_length(name: str) -> str:
    """Return a name as it was typed, without spaces around it.

    Raises:
        WebError: it is empty, or too long.

    """
    if not 0 < len(name.strip()) <= MAX_NAME_CHARS:
        raise WebError(400, f"A name has from 1 to {MAX_NAME_CHARS} letters.")
    return name.strip()


def change(visit: Visit, person_id: int, deed: Callable[[Connection, Person], _A]) -> _A:
    """Do something to a person, in one transaction, and return what the deed returns.

    Raises:
        WebError: there is no such person, the person was merged meanwhile, or it cannot be done.

    """
    try:
        with visit.site.store.writing() as connection:
            return deed(connection, insist_on_same_person(connection, person_id))
    except IdentityError as error:
        raise WebError(400, f"{error}.".replace("..", ".")) from error


def rename_person(visit: Visit, connection: Connection, person: Person, name: str) -> Identity:
    """Give somebody another name; the former one goes on finding the person."""
    identity = rename(connection, person.name, checked_length(name))
    visit.record(connection, "renamed a person", subject=identity.name, former=person.name)
    return identity


def add_further_name(visit: Visit, connection: Connection, person: Person, alias: str) -> None:
    """Let another name find somebody, too."""
    add_alias(connection, person.name, checked_length(alias))
    visit.record(connection, "added a name", subject=person.name, alias=alias)


def insist_that_name_may_go(visit: Visit, alias: str) -> None:
    """Refuse to take a name away by which the model knows somebody: outside of transactions, for it may load the model.

    Raises:
        WebError: the model calls the person so, or is not here.

    """
    of_model = visit.site.shown_model.own_names(visit.site.store, visit.site.settings)
    if of_model is None:
        raise WebError(409, MODEL_IS_GONE)
    if alias in of_model:
        raise WebError(409, "The model calls the person so: without the name it would take them for somebody new.")


def remove_further_name(visit: Visit, connection: Connection, person: Person, alias: str) -> None:
    """Let another name find somebody no more; :func:`insist_that_name_may_go` comes first."""
    remove_alias(connection, person.name, alias)
    visit.record(connection, "removed a name", subject=person.name, alias=alias)


def change_graph_id(visit: Visit, connection: Connection, person: Person, kg_mid: str | None) -> None:
    """Say who somebody is in the Knowledge Graph."""
    identity = change_kg_mid(connection, person.name, kg_mid)
    visit.record(
        connection, "changed a Knowledge Graph id", subject=person.name, before=person.kg_mid, now=identity.kg_mid
    )


def merge_person(visit: Visit, connection: Connection, person: Person, other: Person) -> Identity:
    """Let somebody stand for a person."""
    identity = merge(connection, person.name, other.name, merged_by=visit.visitor.said_by)
    visit.record(connection, "merged two people", subject=identity.name, merged=person.name)
    return identity


def unmerge_person(
    visit: Visit, connection: Connection, person: Person, merged_id: int, *, name: str | None
) -> HeldKgMid | None:
    """Take a merge back: two people of one again.

    Args:
        visit: who says so.
        connection: in a transaction that writes.
        person: who remained.
        merged_id: whom the merge gave up.
        name: what that one is called from now on; None is what it was called before.

    Returns:
        The Knowledge Graph id, where somebody else has it by now and keeps it; None where all is as it was.

    """
    merged_into(connection, person, merged_id)
    found: list[HeldKgMid] = []
    new_name = None if name is None else checked_length(name)
    identity = unmerge(connection, merged_id, name=new_name, when_held=found.append)
    held = found[0] if found else None
    kept = {} if held is None else {"kg_mid_stays_with": held.name}
    visit.record(connection, "took a merge back", subject=identity.name, out_of=person.name, **kept)
    return held


def split_person(
    visit: Visit,
    person_id: int,
    keys: Collection[TrackKey],
    *,
    into: str | None,
    is_new: bool = False,
    network_id: int | None = None,
) -> Identity | None:
    """Say of some of a person's tracks that they are somebody else.

    Args:
        visit: who says so.
        person_id: whose name they have.
        keys: of the tracks.
        into: whose they are; None where nobody knows.
        is_new: whether somebody is added where nobody has the name.
        network_id: of the tracks that were looked at; None means what is shown now.

    Returns:
        Whose they are now; None where nobody knows.

    Raises:
        UnknownNameError: the name means nobody, or several.
        WebError: there is no such person, the person was merged meanwhile, or it cannot be a name.
        AnnotatorError: as of ``annotator.store.corrections.splitting``.

    """
    name = None if into is None else " ".join(checked_length(into).split())
    if name is not None and not is_new:
        insist_on_one(visit, name)
    with visit.site.store.reading() as connection:
        person = insist_on_same_person(connection, person_id)

    def note(connection: Connection, whose: Identity | None) -> None:
        visit.record(
            connection,
            "split a person",
            subject=person.name,
            tracks=len(set(keys)),
            into=None if whose is None else whose.name,
        )

    split = Split(name, is_new=is_new, said_by=visit.visitor.said_by, network_id=network_id, note=note)
    try:
        return splitting.split_person(visit.site.store.engine, person.person_id, keys, split)
    except (IdentityError, CorrectionError, ModelError) as error:  # of the name: no model has a part in it
        raise WebError(400, f"{error}.".replace("..", ".")) from error


def counted(visit: Visit) -> BackgroundTask:
    """Return what comes after the answer to a change: counts are rolled up where that is cheap."""
    return BackgroundTask(roll_up_if_due, visit.site.store.engine)


def labelled_anew(visit: Visit, people: Collection[int]) -> BackgroundTask:
    """Return what comes after somebody was taken apart: what is stored is labelled by the model that knows both.

    Args:
        visit: who has done so.
        people: ids of both.

    """
    site = visit.site

    def begin() -> None:
        model = site.shown_model.name(site.store, site.settings)
        if model is None:
            raise WebError(404, MODEL_IS_GONE)
        if site.enrolling is not None:
            site.enrolling.run(model=model, actor=visit.visitor.name, address=visit.address, anew=True)

    def label_anew() -> None:
        if site.enrolling is not None:
            site.labelling_anew.begin(begin, people)
        with contextlib.suppress(StoreUnavailableError):  # the next change rolls up
            roll_up_if_due(site.store.engine)

    return BackgroundTask(label_anew)
