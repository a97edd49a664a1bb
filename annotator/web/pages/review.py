"""Review: one uncertain track at a time, which nobody else has in hand, and one key for each answer."""

import contextlib
import time
from typing import Final, Literal, cast

from sqlalchemy import Connection, Engine
from starlette.background import BackgroundTask
from starlette.responses import RedirectResponse, Response

from annotator.errors import ChangedMeanwhileError, IdentityError, ModelError, StoreUnavailableError
from annotator.store.identities import find_identities, load_identity
from annotator.store.promotions import who_is_this
from annotator.store.review.deciding import Decision, Reviewer, Verdict, decide, last_decision, undo
from annotator.store.review.leasing import ItemKey, ReviewItem, first_media, lease_item, progress_of
from annotator.store.review.references import surest_faces
from annotator.store.review.scanning import scan_some
from annotator.store.rollups import roll_up_if_due
from annotator.web.errors import WebError
from annotator.web.pages.faces import FACES
from annotator.web.pages.media import short_name
from annotator.web.visit import Visit

_REFERENCES: Final = 3
_LONGEST_NAME: Final = 200
_FILLS_FOR_S: Final = 2.0
_VERDICTS: Final = ("right", "wrong", "is", "skip")
_ASKED: Final = "Say right, wrong, who it is, or skip."


def show_review(visit: Visit, *, note: str = "", status: int = 200) -> Response:
    """Show the item that the visitor has in hand from now on.

    Args:
        visit: of a reviewer.
        note: a sentence on what has become of the answer before.
        status: of HTTP.

    """
    store, reviewer = visit.site.store, reviewer_name(visit)
    item = _lease(visit)
    if item is None:  # a new archive, or all is decided: what has come since is looked at
        scan_some(store.engine)
        item = _lease(visit)
    with store.reading() as connection:
        progress = progress_of(connection, reviewer, now=visit.now)
        last = last_decision(connection, reviewer)
        proposed = None if item is None else item.candidates[0][0]
        references = (
            []
            if item is None or proposed is None
            else surest_faces(connection, proposed.person_id, but=item.key.content_id, limit=_REFERENCES)
        )
    answer = visit.page(
        "review.html",
        status=status,
        item=item,
        key="" if item is None else _key_text(item.key),
        name="" if item is None else short_name(item.ref.uri),
        faces=0 if item is None else max(1, min(FACES, item.faces)),
        references=references,
        progress=progress,
        can_undo=last is not None,
        note=note,
    )
    answer.background = BackgroundTask(_fill, store.engine)
    return answer


def review(visit: Visit) -> Response:
    """Keep an answer, or take the last one back, and show what is next."""
    engine = visit.site.store.engine
    try:
        if visit.form.get("verdict") == "undo":
            _undo(visit)
        elif (asks := _decide(visit)) is not None:
            return asks
    except ChangedMeanwhileError as error:
        return show_review(visit, note=_sentence(error), status=409)
    return RedirectResponse(visit.url("review"), status_code=303, background=BackgroundTask(roll_up_if_due, engine))


def reviewer_name(visit: Visit) -> str:
    """Return who reviews, as it is kept: the account, or the user of this machine where there is none."""
    account = visit.visitor.account
    return who_is_this() if account is None else account.name


def _lease(visit: Visit) -> ReviewItem | None:
    with visit.site.store.writing() as connection:
        return lease_item(connection, reviewer_name(visit), now=visit.now)


def _decide(visit: Visit) -> Response | None:
    """Keep what the form says; where a name means nobody, or several, return the page that asks who is meant."""
    key, decision = _key(visit.form.get("item", "")), _decision(visit)
    if decision.verdict == "is" and not decision.is_new and (asks := _who_is_meant(visit, decision.name)) is not None:
        return asks

    def note(connection: Connection) -> None:
        shown = first_media(connection, key.content_id)
        visit.record(
            connection,
            "reviewed a track",
            subject=None if shown is None else shown[1].uri,
            track=key.track_no,
            said={"right": "is", "is": "is", "wrong": "is not"}.get(decision.verdict, "skipped"),
            name=decision.name or None,
        )

    try:
        decide(visit.site.store.engine, key, decision, Reviewer(reviewer_name(visit), visit.now, note))
    except ModelError as error:  # of the name: no model has a part in it
        raise WebError(400, _sentence(error)) from error
    return None


def _undo(visit: Visit) -> None:
    with visit.site.store.reading() as connection:
        last = last_decision(connection, reviewer_name(visit))
    if last is None:
        raise ChangedMeanwhileError("there is nothing to take back")

    def note(connection: Connection) -> None:
        visit.record(connection, "took a review back", track=last.key.track_no, said=last.verdict)

    undo(visit.site.store.engine, last, Reviewer(reviewer_name(visit), visit.now, note))


def _decision(visit: Visit) -> Decision:
    form = visit.form
    verdict = form.get("verdict", "")
    if verdict not in _VERDICTS:
        raise WebError(400, _ASKED)
    name = " ".join(form.get("name" if verdict == "is" else "proposed", "").split())
    if verdict != "skip" and not 0 < len(name) <= _LONGEST_NAME:
        raise WebError(400, f"A name has from 1 to {_LONGEST_NAME} letters.")
    is_new = verdict == "is" and form.get("new") == "1"
    return Decision(cast("Verdict", verdict), "" if verdict == "skip" else name, is_new)


def _who_is_meant(visit: Visit, name: str) -> Response | None:
    """Return the page that asks who is meant by a name; None where it is one person's."""
    kind: Literal["nobody", "several"] = "several"
    with visit.site.store.reading() as connection:
        try:
            found = find_identities(connection, name)
            names = tuple(load_identity(connection, one).name for one in found)
        except IdentityError as error:
            kind, names = "nobody", error.suggestions
    if kind == "several" and len(names) == 1:
        return None
    return visit.page(
        "review_who.html",
        name=name,
        names=names,
        is_free=kind == "nobody",
        item=visit.form.get("item", ""),
        status=404,
    )


def _key_text(key: ItemKey) -> str:
    return f"{key.network_id}-{key.content_id}-{key.track_no}"


_MOST_DIGITS: Final = (9, 18, 9)  # of network, content and track, as their columns hold


def _key(given: str) -> ItemKey:
    numbers = given.split("-")
    if len(numbers) != 3 or not all(
        one.isascii() and one.isdigit() and len(one) <= most for one, most in zip(numbers, _MOST_DIGITS, strict=True)
    ):
        raise WebError(400, "The form does not say which track was looked at: load the page again.")
    return ItemKey(*map(int, numbers))


def _fill(engine: Engine) -> None:
    """Look at some more of what is not looked at yet, so that the next ones are chosen from more."""
    until_s = time.monotonic() + _FILLS_FOR_S
    with contextlib.suppress(StoreUnavailableError):
        while not scan_some(engine).is_done and time.monotonic() < until_s:
            pass


def _sentence(error: Exception) -> str:
    words = str(error)
    return f"{words[:1].upper()}{words[1:]}."
