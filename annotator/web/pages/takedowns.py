"""Takedowns: what would go of somebody, the takedown itself, and its report, which names nobody."""

import base64
import json
import secrets
import shlex
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from annotator.errors import IdentityError
from annotator.names import MAX_NAME_CHARS
from annotator.recognition.tombstone import plain_name
from annotator.store.ids import LARGEST_ID
from annotator.store.takedowns.listing import KnownTakedown, is_of, list_takedowns
from annotator.store.takedowns.running import face_of
from annotator.store.takedowns.whom import Person as Whom
from annotator.store.takedowns.whom import find_person as find_whom
from annotator.store.web.people import Person
from annotator.takedown.report import report_of
from annotator.web.errors import WebError
from annotator.web.forms import which_face
from annotator.web.known import known_takedown
from annotator.web.takedown_deeds import (
    MERGED_MEANWHILE,
    asked_about,
    begin,
    called,
    ids_text,
    is_called,
    is_going_on,
    key_of,
    look_at,
    number_under_way,
    state_of,
    taking_down_of,
    who,
    who_is_meant,
)
from annotator.web.takedown_steps import told_steps
from annotator.web.taking_down import Look
from annotator.web.visit import Visit

_ROWS: Final = 50
_WENT_ON_WRONG: Final = "That is not the name of the person of this takedown, or it is written otherwise."


def show_takedowns(visit: Visit) -> Response:
    """Show all takedowns, newest first."""
    before_id = visit.number("before", most=LARGEST_ID, usual=0) or None
    with visit.site.store.reading() as connection:
        found = list_takedowns(connection, limit=_ROWS + 1, before_id=before_id)
    shown = found[:_ROWS]
    return visit.page(
        "takedowns.html",
        takedowns=shown,
        going_on=number_under_way(visit),
        state=state_of(visit),
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
        typed = visit.form.get("name", "").strip()[:MAX_NAME_CHARS]
        whom = _whom_of(visit, takedown, typed)
        if whom is None:
            return _show_takedown(visit, takedown, message=_WENT_ON_WRONG, status=400)
        asked = asked_about(whom) if whom.identity_ids else {"name": typed, "identity_ids": []}
    else:
        with visit.site.store.reading() as connection:
            face = face_of(connection, takedown.takedown_id)
        asked = {"face": {"embedder": face.embedder, "faces": face.faces.tolist()}}
    return _begin(visit, asked, takedown_id=takedown.takedown_id)


def _whom_of(visit: Visit, takedown: KnownTakedown, typed: str) -> Whom | None:
    """Return who is meant, if a takedown is of whoever is called so; None where it is not."""
    if not plain_name(typed):
        return None
    with visit.site.store.reading() as connection:
        try:
            whom = called(connection, typed)
        except IdentityError:
            return None
        return whom if is_of(connection, takedown, whom) else None


def ask_about_person(visit: Visit) -> Response:
    """Show what would go of a person, and ask for the name."""
    person, whom = who_is_meant(visit)
    return _ask(visit, person, whom)


def take_person_down(visit: Visit) -> Response:
    """Begin to take a person down, if the name is right and nobody was merged since it was shown who goes."""
    person, whom = who_is_meant(visit)
    if not is_called(person, visit.form.get("name", "")):
        return _ask(visit, person, whom, message=f"That is not the name: it is {person.name}.", status=400)
    if visit.form.get("ids") != ids_text(whom):
        raise WebError(409, MERGED_MEANWHILE)
    return _begin(visit, asked_about(whom))


def look_again(visit: Visit) -> Response:
    """Forget what was looked at, and look again."""
    person, whom = who_is_meant(visit)
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
        which=which_face(visit.received.fields.get("which", "")),
        model=site.shown_model.name(site.store, site.settings) or site.settings.model,
        **who(visit),
    )
    if begun is None:
        raise WebError(
            503, "Somebody is looked at or taken down just now: try again soon.", headers={"Retry-After": "10"}
        )
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
    whom = _on_picture(visit, name)
    if visit.form.get("ids") != ids_text(whom):
        raise WebError(409, MERGED_MEANWHILE)
    asked = {"name": name, "identity_ids": list(whom.identity_ids), "face": look.seen["face"]}
    return _begin(visit, asked)


def _begin(visit: Visit, asked: Mapping[str, object], *, takedown_id: int | None = None) -> Response:
    number = begin(visit, asked, takedown_id=takedown_id)
    return visit.redirect("takedowns") if number is None else visit.redirect("takedown", takedown_id=number)


def _ask(visit: Visit, person: Person, whom: Whom, *, message: str | None = None, status: int = 200) -> Response:
    look = look_at(visit, whom)
    return visit.page(
        "take_down.html",
        status=status,
        message=message,
        person=person,
        others=[name for name in whom.names if name != person.name],
        merged=len(whom.identity_ids) - 1,
        ids=ids_text(whom),
        look=look,
        told=told_steps(look.report["steps"]) if look is not None and look.report is not None else (),
        command=shlex.join(["annotator", "takedown", person.name, "--folder", "DIR", "--yes"]),
    )


def _ask_about_picture(visit: Visit, *, message: str | None = None, status: int = 200) -> Response:
    look = _picture(visit)
    name = None if look.seen is None else look.seen["name"]
    whom = Whom((), (), ()) if name is None else _on_picture(visit, name)
    return visit.page(
        "take_face_down.html",
        status=status,
        message=message,
        look=look,
        others=[one for one in whom.names if one != name],
        merged=max(0, len(whom.identity_ids) - 1),
        ids=ids_text(whom),
        person_id=min(whom.identity_ids, default=None),
        told=told_steps(look.report["steps"]) if look.report is not None else (),
    )


def _on_picture(visit: Visit, name: str) -> Whom:
    """Return all who are the person that was seen on a picture.

    Raises:
        WebError: several people have the name by now.

    """
    with visit.site.store.reading() as connection:
        try:
            return find_whom(connection, name)
        except IdentityError as error:
            words = "Several people may be meant by now: take the person down from the page of the person."
            raise WebError(409, words) from error


def _picture(visit: Visit) -> Look:
    look = taking_down_of(visit).look_of(f"picture {visit.request.path_params['token']}")
    if look is None:
        raise WebError(404, "What was seen on the picture is not kept any more: give it again.")
    return look


def _show_takedown(visit: Visit, takedown: KnownTakedown, *, message: str | None = None, status: int = 200) -> Response:
    state = state_of(visit)
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
