"""What reviewers are asked, what they answer, and what they take back: the same for the page and for the API."""

import contextlib
import time
from typing import Final

from sqlalchemy import Connection
from starlette.background import BackgroundTask

from annotator.errors import ChangedMeanwhileError, ModelError, StoreUnavailableError
from annotator.store.corrections.saying import Corrected
from annotator.store.ids import LARGEST_BIG_ID, LARGEST_ID
from annotator.store.review.deciding import Decision, Reviewer, decide, last_decision, undo
from annotator.store.review.leasing import ItemKey, ReviewItem, first_media, lease_item
from annotator.store.review.scanning import next_nameless, scan_nameless, scan_some
from annotator.web.errors import WebError
from annotator.web.forms import dashed_numbers
from annotator.web.shown_model import BeingLoadedError
from annotator.web.visit import Visit

_FILLS_FOR_S: Final = 2.0
_NAMELESS_AT_ONCE: Final = 500  # contents: pages wait for the processor meanwhile


def next_item(visit: Visit) -> ReviewItem | None:
    """Return the item that the visitor has in hand from now on; None where nothing is left."""
    item = _lease(visit)
    if item is None:  # a new archive, or all is decided: what has come since is looked at
        scan_some(visit.site.store.engine)
        item = _lease(visit)
    if item is None and _look_at_nameless(visit):
        item = _lease(visit)
    return item


def _lease(visit: Visit) -> ReviewItem | None:
    with visit.site.store.writing() as connection:
        return lease_item(connection, visit.visitor.said_by, now=visit.now)


def keep(visit: Visit, key: ItemKey, decision: Decision) -> Corrected | None:
    """Keep an answer, and put it on record.

    Returns:
        What became of the track; None where it was skipped.

    Raises:
        ChangedMeanwhileError: the visitor has it in hand no more.
        IdentityError: nobody has the name, or several.
        WebError: the name of somebody new cannot be a name.

    """

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
        return decide(visit.site.store.engine, key, decision, Reviewer(visit.visitor.said_by, visit.now, note))
    except ModelError as error:  # of the name: no model has a part in it
        raise WebError(400, sentence(error)) from error


def take_back(visit: Visit) -> ItemKey:
    """Take the visitor's last answer back, and put that on record.

    Returns:
        Of which track it was.

    Raises:
        ChangedMeanwhileError: there is none, or it was taken back already.

    """
    with visit.site.store.reading() as connection:
        last = last_decision(connection, visit.visitor.said_by)
    if last is None:
        raise ChangedMeanwhileError("there is nothing to take back")

    def note(connection: Connection) -> None:
        visit.record(connection, "took a review back", track=last.key.track_no, said=last.verdict)

    undo(visit.site.store.engine, last, Reviewer(visit.visitor.said_by, visit.now, note))
    return last.key


def filled(visit: Visit) -> BackgroundTask:
    """Return what comes after an item was given: the next ones are chosen from more of what is not looked at yet."""

    def fill() -> None:
        until_s = time.monotonic() + _FILLS_FOR_S
        with contextlib.suppress(StoreUnavailableError):
            while not scan_some(visit.site.store.engine).is_done and time.monotonic() < until_s:
                pass
            while time.monotonic() < until_s and _look_at_nameless(visit):
                pass

    return BackgroundTask(fill)


def _look_at_nameless(visit: Visit) -> bool:
    """Look at some tracks without a name, where the model is here; say whether there were any.

    Beat does so elsewhere: each goes on where the other one was.
    """
    site = visit.site
    this = next_nameless(site.store.engine, contents=_NAMELESS_AT_ONCE)
    if this is None:
        return False
    try:
        names = site.shown_model.identifier(site.store, site.settings)
    except BeingLoadedError:  # the next page has it
        return False
    if names is None or names.digest != this.digest:
        return False
    scan_nameless(site.store.engine, this, names.identify)
    return True


def key_text(key: ItemKey) -> str:
    """Return which track, as forms and the API say it."""
    return f"{key.network_id}-{key.content_id}-{key.track_no}"


def key_of(given: str) -> ItemKey:
    """Return which track is meant by :func:`key_text`.

    Raises:
        WebError: it is none.

    """
    numbers = dashed_numbers(given, LARGEST_ID, LARGEST_BIG_ID, LARGEST_ID)
    if numbers is None:
        raise WebError(400, "The form does not say which track was looked at: load the page again.")
    return ItemKey(*numbers)


def sentence(error: Exception) -> str:
    """Return what an error says, as a sentence."""
    words = str(error)
    return f"{words[:1].upper()}{words[1:]}."
