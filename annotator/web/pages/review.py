"""Review: one uncertain track at a time, which nobody else has in hand, and one key for each answer."""

from typing import Final, cast

from starlette.background import BackgroundTask
from starlette.responses import RedirectResponse, Response

from annotator.errors import ChangedMeanwhileError
from annotator.store.review.deciding import Decision, Verdict, last_decision
from annotator.store.review.leasing import progress_of
from annotator.store.review.references import surest_faces
from annotator.store.rollups import roll_up_if_due
from annotator.store.titles import title_of
from annotator.web.changing import checked_length
from annotator.web.correcting import UnknownNameError, insist_on_one
from annotator.web.errors import WebError
from annotator.web.pages.faces import FACES
from annotator.web.reviewing import filled, keep, key_of, key_text, next_item, sentence, take_back
from annotator.web.visit import Visit

_REFERENCES: Final = 3
_VERDICTS: Final = ("right", "wrong", "is", "skip")
_ASKED: Final = "Say right, wrong, who it is, or skip."


def show_review(visit: Visit, *, note: str = "", status: int = 200) -> Response:
    """Show the item that the visitor has in hand from now on.

    Args:
        visit: of a reviewer.
        note: a sentence on what has become of the answer before.
        status: of HTTP.

    """
    store, reviewer = visit.site.store, visit.visitor.said_by
    item = next_item(visit)
    with store.reading() as connection:
        progress = progress_of(connection, reviewer, now=visit.now)
        last = last_decision(connection, reviewer)
        proposed = None if item is None else item.candidates[0][0]
        references = (
            []
            if item is None or proposed is None
            else surest_faces(connection, proposed.person_id, but=item.key.content_id, limit=_REFERENCES)
        )
        called = "" if item is None else title_of(connection, item.media_id, item.ref.uri)
    answer = visit.page(
        "review.html",
        status=status,
        item=item,
        key="" if item is None else key_text(item.key),
        name=called,
        faces=0 if item is None else max(1, min(FACES, item.faces)),
        references=references,
        progress=progress,
        can_undo=last is not None,
        note=note,
    )
    answer.background = filled(visit)
    return answer


def review(visit: Visit) -> Response:
    """Keep an answer, or take the last one back, and show what is next."""
    engine = visit.site.store.engine
    try:
        if visit.form.get("verdict") == "undo":
            take_back(visit)
        elif (asks := _decide(visit)) is not None:
            return asks
    except ChangedMeanwhileError as error:
        return show_review(visit, note=sentence(error), status=409)
    return RedirectResponse(visit.url("review"), status_code=303, background=BackgroundTask(roll_up_if_due, engine))


def _decide(visit: Visit) -> Response | None:
    """Keep what the form says; where a name means nobody, or several, return the page that asks who is meant."""
    key, decision = key_of(visit.form.get("item", "")), _decision(visit)
    if decision.verdict == "is" and not decision.is_new and (asks := _who_is_meant(visit, decision.name)) is not None:
        return asks

    keep(visit, key, decision)
    return None


def _decision(visit: Visit) -> Decision:
    form = visit.form
    verdict = form.get("verdict", "")
    if verdict not in _VERDICTS:
        raise WebError(400, _ASKED)
    name = " ".join(form.get("name" if verdict == "is" else "proposed", "").split())
    is_new = verdict == "is" and form.get("new") == "1"
    return Decision(cast("Verdict", verdict), "" if verdict == "skip" else checked_length(name), is_new)


def _who_is_meant(visit: Visit, name: str) -> Response | None:
    """Return the page that asks who is meant by a name; None where it is one person's."""
    try:
        insist_on_one(visit, name)
    except UnknownNameError as error:
        return visit.page("review_who.html", error=error, item=visit.form.get("item", ""), status=404)
    return None
