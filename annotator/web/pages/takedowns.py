"""Takedowns: what would go of somebody, the takedown itself, and its report, which names nobody."""

import base64
import json
import secrets
import shlex
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection
from starlette.responses import Response

from annotator.recognition.tombstone import plain_name
from annotator.store.takedowns.alone import is_under_way
from annotator.store.takedowns.listing import KnownTakedown, find_takedown, is_of, list_takedowns
from annotator.store.takedowns.running import face_of
from annotator.store.takedowns.tombstones import takedowns_so_far
from annotator.store.takedowns.whom import Person as Whom
from annotator.store.takedowns.whom import find_person as find_whom
from annotator.store.takedowns.whom import person_of
from annotator.store.web.people import Person, find_person
from annotator.takedown.report import report_of
from annotator.web.errors import WebError
from annotator.web.pages.changing_people import LONGEST_NAME
from annotator.web.takedown_steps import told_steps
from annotator.web.taking_down import Look, TakingDown
from annotator.web.visit import Visit

BEGINS_WITHIN_S: Final = 5.0
"""So long a form waits for the number of its takedown: models are looked at before."""

_ROWS: Final = 50
_MOST_FACES: Final = 50
_LARGEST_ID: Final = 2**31 - 1
_WENT_ON_WRONG: Final = "That is not the name of the person of this takedown, or it is written otherwise."


def show_takedowns(visit: Visit) -> Response:
    """Show all takedowns, newest first."""
    before_id = visit.number("before", most=_LARGEST_ID, usual=0) or None
    with visit.site.store.reading() as connection:
        found = list_takedowns(connection, limit=_ROWS + 1, before_id=before_id)
    going_on = _is_under_way(visit)
    shown = found[:_ROWS]
    return visit.page(
        "takedowns.html",
        takedowns=shown,
        going_on=_number_of_one_under_way(visit, shown) if going_on else None,
        state=None if visit.site.taking_down is None else visit.site.taking_down.state,
        next_before=shown[-1].takedown_id if len(found) > _ROWS else None,
    )


def show_takedown(visit: Visit) -> Response:
    """Show a takedown: how far it is, or what it has done and what is left to do."""
    return _show_takedown(visit, known_takedown(visit))


def send_report(visit: Visit) -> Response:
    """Send the report of a takedown as a file."""
    told = report_of(known_takedown(visit))
    headers = {"Content-Disposition": f'attachment; filename="takedown-{told.takedown}.json"'}
    return Response(json.dumps(told.to_json(), indent=1) + "\n", media_type="application/json", headers=headers)


def go_on(visit: Visit) -> Response:
    """Go on with a takedown that was not finished, if the name is that of its person."""
    takedown = known_takedown(visit)
    if takedown.finished_at is not None:
        return visit.redirect("takedown", takedown_id=takedown.takedown_id)
    asked: dict[str, object]
    if takedown.tombstones:
        typed = visit.form.get("name", "").strip()[:LONGEST_NAME]
        if not plain_name(typed):
            return _show_takedown(visit, takedown, message=_WENT_ON_WRONG, status=400)
        with visit.site.store.reading() as connection:
            whom = find_whom(connection, typed)
            is_right = is_of(connection, takedown, whom.identities)
        if not is_right:
            return _show_takedown(visit, takedown, message=_WENT_ON_WRONG, status=400)
        asked = {"name": typed, "identity_ids": list(whom.identity_ids)}
    else:
        with visit.site.store.reading() as connection:
            face = face_of(connection, takedown.takedown_id)
        asked = {"face": {"embedder": face.embedder, "faces": face.faces.tolist()}}
    return _begin(visit, asked, takedown_id=takedown.takedown_id)


def ask_about_person(visit: Visit) -> Response:
    """Show what would go of a person, and ask for the name."""
    person, whom = known_person(visit)
    return _ask(visit, person, whom)


def take_person_down(visit: Visit) -> Response:
    """Begin to take a person down, if the name is right and nobody was merged since it was shown who goes."""
    person, whom = known_person(visit)
    if not is_called(person, visit.form.get("name", "")):
        return _ask(visit, person, whom, message=f"That is not the name: it is {person.name}.", status=400)
    if visit.form.get("ids") != _ids(whom):
        raise WebError(409, "The person was merged with somebody meanwhile, so nothing was changed: look again.")
    return _begin(visit, asked_about(whom))


def look_again(visit: Visit) -> Response:
    """Forget what was looked at, and look again."""
    person, whom = known_person(visit)
    taking_down_of(visit).forget(key_of(whom))
    return visit.redirect("person_takedown", person_id=person.person_id)


def ask_for_picture(visit: Visit) -> Response:
    """Ask for a picture of somebody."""
    return visit.page("takedown_picture.html", message=None)


def take_picture(visit: Visit) -> Response:
    """Look who is on a picture, and what would go. The picture is on no disk, and gone when it was looked at."""
    taking_down = taking_down_of(visit)
    if len(visit.received.files) != 1:
        raise WebError(400, "Choose one picture.")
    key = f"picture {secrets.token_urlsafe(16)}"
    picture = base64.b64encode(visit.received.files[0].read()).decode()
    site = visit.site
    begun = taking_down.look(
        key,
        now=visit.now,
        picture=picture,
        which=_which(visit.received.fields.get("which", "")),
        model=site.shown_model.name(site.store, site.settings) or site.settings.model,
        **_who(visit),
    )
    if begun is None:
        raise WebError(503, "Somebody is looked at or taken down just now: try again soon.")
    return visit.redirect("picture_takedown", token=key.partition(" ")[2])


def ask_about_picture(visit: Visit) -> Response:
    """Show who is on a picture and what would go, and ask."""
    return _ask_about_picture(visit)


def take_face_down(visit: Visit) -> Response:
    """Begin to take whoever is on a picture down: somebody with a name, which is to be typed, or a face without one."""
    look = _picture(visit)
    if look.seen is None or look.report is None:
        raise WebError(409, "It is not known yet who is on the picture: wait until that was looked at.")
    name = look.seen["name"]
    if name is None:
        if visit.form.get("sure") != "yes":
            return _ask_about_picture(visit, message="Say that you are sure.", status=400)
        return _begin(visit, {"face": look.seen["face"]})
    typed = visit.form.get("name", "")
    if not plain_name(typed) or plain_name(typed) != plain_name(name):
        return _ask_about_picture(visit, message=f"That is not the name: it is {name}.", status=400)
    with visit.site.store.reading() as connection:
        whom = find_whom(connection, name)
    asked = {"name": name, "identity_ids": list(whom.identity_ids), "face": look.seen["face"]}
    return _begin(visit, asked)


def _begin(visit: Visit, asked: Mapping[str, object], *, takedown_id: int | None = None) -> Response:
    number = begin(visit, asked, takedown_id=takedown_id)
    return visit.redirect("takedowns") if number is None else visit.redirect("takedown", takedown_id=number)


def begin(visit: Visit, asked: Mapping[str, object], *, takedown_id: int | None = None) -> int | None:
    """Begin a takedown, or go on with one; return its number, None where it has none after a while, or went wrong.

    Raises:
        WebError: another one is under way.

    """
    taking_down = taking_down_of(visit)
    taking_down.begin(now=visit.now, takedown_id=takedown_id, **asked, **_who(visit))

    def has_number() -> bool:
        state = taking_down.state
        return state is None or state.takedown_id is not None or state.is_over

    taking_down.wait(has_number, timeout_s=BEGINS_WITHIN_S)
    state = taking_down.state
    return None if state is None else state.takedown_id


def known_person(visit: Visit) -> tuple[Person, Whom]:
    """Return the person of the address, and all who are that person.

    Raises:
        WebError: there is none.

    """
    person_id = visit.request.path_params["person_id"]
    with visit.site.store.reading() as connection:
        return _both(connection, person_id)


def _both(connection: Connection, person_id: int) -> tuple[Person, Whom]:
    person = find_person(connection, person_id) if person_id <= _LARGEST_ID else None
    if person is None:
        raise WebError(404, "There is no such person.")
    return person, person_of(connection, person.person_id)


def is_called(person: Person, typed: str) -> bool:
    """Say whether what was typed is somebody's name, however its letters are written."""
    return typed.strip() == person.name or (bool(plain_name(typed)) and plain_name(typed) == plain_name(person.name))


def key_of(whom: Whom) -> str:
    """Return under what a look at somebody is kept: whoever is merged or renamed is looked at anew."""
    return f"person {_ids(whom)} {whom.names}"


def asked_about(whom: Whom) -> dict[str, object]:
    """Return what the program is asked about somebody: by a number, since a name may be another person's alias."""
    return {"name": str(whom.identity_ids[0]), "identity_ids": list(whom.identity_ids)}


def look_at(visit: Visit, whom: Whom) -> Look | None:
    """Return what would go of somebody, or how far that look is; None where something else is under way."""
    return taking_down_of(visit).look(key_of(whom), now=visit.now, **asked_about(whom), **_who(visit))


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


def _who(visit: Visit) -> dict[str, object]:
    return {"actor": visit.visitor.name, "address": visit.address}


def _ids(whom: Whom) -> str:
    return ",".join(map(str, whom.identity_ids))


def _ask(visit: Visit, person: Person, whom: Whom, *, message: str | None = None, status: int = 200) -> Response:
    look = look_at(visit, whom)
    return visit.page(
        "take_down.html",
        status=status,
        message=message,
        person=person,
        others=[name for name in whom.names if name != person.name],
        merged=len(whom.identity_ids) - 1,
        ids=_ids(whom),
        look=look,
        told=told_steps(look.report["steps"]) if look is not None and look.report is not None else (),
        command=shlex.join(["annotator", "takedown", person.name, "--folder", "DIR", "--yes"]),
    )


def _ask_about_picture(visit: Visit, *, message: str | None = None, status: int = 200) -> Response:
    look = _picture(visit)
    person_id: int | None = None
    others: tuple[str, ...] = ()
    if look.seen is not None and look.seen["name"] is not None:
        with visit.site.store.reading() as connection:
            whom = find_whom(connection, look.seen["name"])
        person_id = min(whom.identity_ids, default=None)
        others = tuple(name for name in whom.names if name != look.seen["name"])
    return visit.page(
        "take_face_down.html",
        status=status,
        message=message,
        look=look,
        others=others,
        person_id=person_id,
        told=told_steps(look.report["steps"]) if look.report is not None else (),
    )


def _picture(visit: Visit) -> Look:
    look = taking_down_of(visit).look_of(f"picture {visit.request.path_params['token']}")
    if look is None:
        raise WebError(404, "What was seen on the picture is not kept any more: give it again.")
    return look


def _show_takedown(visit: Visit, takedown: KnownTakedown, *, message: str | None = None, status: int = 200) -> Response:
    state = None if visit.site.taking_down is None else visit.site.taking_down.state
    mine = state if state is not None and state.takedown_id == takedown.takedown_id else None
    return visit.page(
        "takedown.html",
        status=status,
        message=message,
        takedown=takedown,
        is_going_on=is_going_on(visit, takedown),
        doing=mine.doing if mine is not None and not mine.is_over else None,
        why=None if mine is None else mine.why,
        told=told_steps(takedown.steps, takedown.ended),
    )


def known_takedown(visit: Visit) -> KnownTakedown:
    """Return the takedown of the address.

    Raises:
        WebError: there is none.

    """
    takedown_id = visit.request.path_params["takedown_id"]
    with visit.site.store.reading() as connection:
        takedown = find_takedown(connection, takedown_id) if takedown_id <= _LARGEST_ID else None
    if takedown is None:
        raise WebError(404, "There is no such takedown.")
    return takedown


def is_going_on(visit: Visit, takedown: KnownTakedown) -> bool:
    """Say whether a program is at a takedown just now; one that is neither done nor going on was ended."""
    if takedown.finished_at is not None or not _is_under_way(visit):
        return False
    return _number_of_one_under_way(visit, [takedown]) == takedown.takedown_id


def _is_under_way(visit: Visit) -> bool:
    taking_down = visit.site.taking_down
    state = None if taking_down is None else taking_down.state
    return (state is not None and not state.is_over) or is_under_way(visit.site.store.engine)


def _number_of_one_under_way(visit: Visit, takedowns: list[KnownTakedown]) -> int | None:
    """Return which takedown goes on: this program knows its own, of another one it is the newest that is not done."""
    state = None if visit.site.taking_down is None else visit.site.taking_down.state
    if state is not None and not state.is_over:
        return state.takedown_id
    return max((one.takedown_id for one in takedowns if one.finished_at is None), default=None)


def _which(given: str) -> int | None:
    if not given.strip():
        return None
    if not (given.isascii() and given.isdigit() and len(given) < 4 and 1 <= int(given) <= _MOST_FACES):
        raise WebError(400, f"Which face is a number from 1, the leftmost, to {_MOST_FACES}.")
    return int(given)
