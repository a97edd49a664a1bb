"""Takedowns by whoever visits: who is meant, what is begun, and how far it is; for pages and for the API."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection

from annotator.errors import IdentityError
from annotator.recognition.tombstone import plain_name
from annotator.store.identities import find_identities
from annotator.store.takedowns.alone import is_under_way
from annotator.store.takedowns.listing import KnownTakedown, newest_unfinished
from annotator.store.takedowns.tombstones import takedowns_so_far
from annotator.store.takedowns.whom import Person as Whom
from annotator.store.takedowns.whom import person_of
from annotator.store.web.people import Person
from annotator.web.errors import WebError
from annotator.web.known import known_person
from annotator.web.taking_down import Look, TakedownState, TakingDown
from annotator.web.visit import Visit

BEGINS_WITHIN_S: Final = 5.0
"""So long a request waits for the number of its takedown: models are looked at before."""

MERGED_MEANWHILE: Final = "The person was merged with somebody meanwhile, so nothing was changed: look again."


def begin(visit: Visit, asked: Mapping[str, object], *, takedown_id: int | None = None) -> int | None:
    """Begin a takedown, or go on with one; return its number, None where it has none after a while, or went wrong.

    Raises:
        WebError: another one is under way.

    """
    taking_down = taking_down_of(visit)
    taking_down.begin(now=visit.now, takedown_id=takedown_id, **asked, **who(visit))

    def has_number() -> bool:
        state = taking_down.state
        return state is None or state.takedown_id is not None or state.is_over

    taking_down.wait(has_number, timeout_s=BEGINS_WITHIN_S)
    state = taking_down.state
    return None if state is None else state.takedown_id


def who_is_meant(visit: Visit) -> tuple[Person, Whom]:
    """Return the person of the address, and all who are that person.

    Raises:
        WebError: there is none.

    """
    with visit.site.store.reading() as connection:
        person = known_person(visit, connection)
        return person, person_of(connection, person.person_id)


def is_called(person: Person, typed: str) -> bool:
    """Say whether what was typed is somebody's name, however its letters are written."""
    return typed.strip() == person.name or (bool(plain_name(typed)) and plain_name(typed) == plain_name(person.name))


def key_of(whom: Whom) -> str:
    """Return under what a look at somebody is kept: whoever is merged or renamed is looked at anew."""
    return f"person {ids_text(whom)} {whom.names}"


def asked_about(whom: Whom) -> dict[str, object]:
    """Return what the program is asked about somebody: by a number, since a name may be another person's alias."""
    return {"name": str(whom.identity_ids[0]), "identity_ids": list(whom.identity_ids)}


def look_at(visit: Visit, whom: Whom) -> Look | None:
    """Return what would go of somebody, or how far that look is; None where something else is under way."""
    return taking_down_of(visit).look(key_of(whom), now=visit.now, **asked_about(whom), **who(visit))


def taking_down_of(visit: Visit) -> TakingDown:
    """Return what does takedowns.

    Raises:
        WebError: nothing does, here.

    """
    taking_down = visit.site.taking_down
    if taking_down is None:
        raise WebError(404, "Nobody is taken down here: `annotator takedown` does it.")
    with visit.site.store.reading() as connection:
        taking_down.follow(takedowns_so_far(connection)[1])
    return taking_down


def who(visit: Visit) -> dict[str, object]:
    """Return who asks, as the program puts it on record."""
    return {"actor": visit.visitor.name, "address": visit.address}


def ids_text(whom: Whom) -> str:
    """Return who a person is, by all ids, as a form says it."""
    return ",".join(map(str, whom.identity_ids))


def is_going_on(visit: Visit, takedown: KnownTakedown) -> bool:
    """Say whether a program is at a takedown just now; one that is neither done nor going on was ended."""
    return takedown.finished_at is None and number_under_way(visit) == takedown.takedown_id


def number_under_way(visit: Visit) -> int | None:
    """Return which takedown goes on: this program knows its own, of another one it is the newest that is not done.

    None is none, or one that has no number yet.
    """
    state = state_of(visit)
    if state is not None and not state.is_over:
        return state.takedown_id
    if not is_under_way(visit.site.store.engine):
        return None
    with visit.site.store.reading() as connection:
        return newest_unfinished(connection)


def state_of(visit: Visit) -> TakedownState | None:
    """Return the last takedown of this program; None where there was none."""
    return None if visit.site.taking_down is None else visit.site.taking_down.state


def called(connection: Connection, typed: str) -> Whom:
    """Return who is called something, by no number; whom nobody knows any more has the name and nothing else.

    Raises:
        IdentityError: several people may be meant.

    """
    try:
        found = find_identities(connection, typed)
    except IdentityError:
        return Whom((), (typed,), ())
    if len(found) > 1:
        raise IdentityError("several people may be meant: write the name exactly", name=typed)
    return person_of(connection, found[0])
