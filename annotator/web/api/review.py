"""Reviewing by the API: the same queue as on the page, one track after the other, each in one hand."""

from typing import Annotated, Literal

from pydantic import Field
from starlette.background import BackgroundTask
from starlette.responses import Response

from annotator.names import MAX_NAME_CHARS
from annotator.store.corrections.saying import Corrected
from annotator.store.review.deciding import Decision
from annotator.store.review.leasing import ReviewItem, progress_of
from annotator.store.rollups import roll_up_if_due
from annotator.web.api.objects import CandidateTold
from annotator.web.correcting import UnknownNameError, insist_on_one
from annotator.web.described import Parameters, Told, read_parameters
from annotator.web.errors import WebError
from annotator.web.reviewing import filled, keep, key_of, key_text, next_item, take_back
from annotator.web.visit import Visit

Item = Annotated[str, Field(pattern=r"^[0-9]{1,9}-[0-9]{1,18}-[0-9]{1,9}$", description="as it was told there")]


class AnswerParameters(Parameters):
    """What is said of a track."""

    item: Item
    verdict: Annotated[
        Literal["right", "wrong", "is", "skip"],
        Field(description="of the person: is right, or wrong; or it is this one; or another reviewer may know"),
    ]
    person: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_NAME_CHARS,
            description="who was proposed, or with is: who it is; not with skip",
        ),
    ] = None
    new: Annotated[bool, Field(description="with is: add the person, if nobody has the name")] = False


class ReviewItemTold(Told):
    """A track that is uncertain."""

    item: str = Field(description="says which, to answer")
    media_id: int
    track: int
    uri: str
    candidates: tuple[CandidateTold, ...] = Field(description="best first: the first one is proposed")
    named: bool = Field(description="the proposed one is the track's name now")
    start_ms: int
    end_ms: int


class ReviewTold(Told):
    """What is in hand, and how far reviewing has come today."""

    item: ReviewItemTold | None = Field(description="null where nothing is left")
    mine: int = Field(description="decided by you today, in UTC")
    of_all: int = Field(description="decided by anybody today")
    waiting: int = Field(description="in the queue, counted up to 10,000")


class AnsweredTold(Told):
    """What became of a track."""

    item: str
    before: str | None = Field(description="who it was; null was unknown, or it was skipped")
    now: str | None = Field(description="who it is now; null is unknown, or it was skipped")


class TakenBackTold(Told):
    """Of which track the last answer was taken back."""

    item: str


def tell_next(visit: Visit) -> Response:
    """Tell the item that the visitor has in hand from now on."""
    read_parameters(visit, Parameters)
    item = next_item(visit)
    with visit.site.store.reading() as connection:
        progress = progress_of(connection, visit.visitor.said_by, now=visit.now)
    told = ReviewTold(
        item=None if item is None else _item(item),
        mine=progress.mine,
        of_all=progress.of_all,
        waiting=progress.waiting,
    )
    headers = {"Cache-Control": "no-store"}  # to ask takes it in hand
    return Response(told.model_dump_json(), media_type="application/json", headers=headers, background=filled(visit))


def answer(visit: Visit) -> Response:
    """Keep an answer."""
    asked = read_parameters(visit, AnswerParameters)
    name = " ".join((asked.person or "").split())
    if (asked.verdict == "skip") != (not name):
        raise WebError(400, "person: say who it is, or who was proposed; with skip say nobody.")
    is_new = asked.verdict == "is" and asked.new
    key = key_of(asked.item)
    if name and not is_new:
        try:
            insist_on_one(visit, name)
        except UnknownNameError as error:
            raise error.to_web_error() from error
    done = keep(visit, key, Decision(asked.verdict, name, is_new))
    before, now = (None, None) if done is None else _names(done)
    return _done(visit, AnsweredTold(item=asked.item, before=before, now=now))


def undo(visit: Visit) -> Response:
    """Take the last answer back."""
    read_parameters(visit, Parameters)
    return _done(visit, TakenBackTold(item=key_text(take_back(visit))))


def _done(visit: Visit, told: Told) -> Response:
    counted = BackgroundTask(roll_up_if_due, visit.site.store.engine)
    return Response(told.model_dump_json(), media_type="application/json", background=counted)


def _names(done: Corrected) -> tuple[str | None, str | None]:
    return (None if done.before is None else done.before.name, None if done.now is None else done.now.name)


def _item(item: ReviewItem) -> ReviewItemTold:
    return ReviewItemTold(
        item=key_text(item.key),
        media_id=item.media_id,
        track=item.key.track_no,
        uri=item.ref.uri,
        candidates=tuple(CandidateTold(name=one.name, confidence=sure) for one, sure in item.candidates),
        named=item.is_named,
        start_ms=item.first_ms,
        end_ms=item.last_ms,
    )
