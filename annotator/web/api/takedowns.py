"""What the API takes and tells of takedowns."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from annotator.names import MAX_NAME_CHARS
from annotator.store.ids import LARGEST_ID
from annotator.store.takedowns.listing import KnownTakedown, list_takedowns
from annotator.takedown.report import report_of
from annotator.web.api.endpoints import Cursor, Limit
from annotator.web.cursors import from_cursor, to_cursor
from annotator.web.described import Parameters, Told, checked_body, json_answer, json_body, read_parameters
from annotator.web.errors import WebError
from annotator.web.known import known_takedown
from annotator.web.receiving import is_form_of_parts
from annotator.web.takedown_deeds import (
    MERGED_MEANWHILE,
    asked_about,
    begin,
    is_called,
    key_of,
    look_at,
    number_under_way,
    state_of,
    taking_down_of,
    who_is_meant,
)
from annotator.web.visit import Visit

_ANSWERS_WITHIN_S: Final = 10.0
_MOST_IDS: Final = 1000
_USUAL: Final = 50
_NO_JSON: Final = 'Send application/json: {"confirm": "NAME", "ids": […]}, or nothing at all.'
_COME_AGAIN: Final = {"Retry-After": "10"}


class Confirmation(BaseModel):
    """Who is taken down: never in the address, which others may note."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    confirm: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS, description="the person's name")]
    ids: Annotated[
        list[Annotated[int, Field(ge=0, le=LARGEST_ID)]],
        Field(min_length=1, max_length=_MOST_IDS, description="as they were told with what would go"),
    ]


CONFIRMATION: Final[Mapping[str, Mapping[str, Any]]] = {"application/json": Confirmation.model_json_schema()}


class TakedownsParameters(Parameters):
    """Which page of takedowns."""

    limit: Limit = _USUAL
    cursor: Cursor = ""


class ReportTold(Told):
    """What went, or would go; it names nobody."""

    takedown: int | None = Field(description="its number; null where nothing was done")
    started_at: str | None
    finished_at: str | None
    done: bool
    resumed: bool = Field(description="it was interrupted and went on")
    tombstones: tuple[str, ...]
    steps: dict[str, dict[str, int]]
    left: tuple[str, ...] = Field(description="what is left to do, in sentences")
    places: dict[str, tuple[str, ...]] = Field(
        {}, description="of a look, by step: models that would be written anew, and files that would go"
    )
    warnings: tuple[str, ...] = Field((), description="of a look: what of that somebody else relies on, in sentences")


class TakedownTold(Told):
    """How far a takedown is, or a look at what it would take away."""

    state: Literal["looking", "looked", "going on", "done", "not finished"]
    doing: str | None
    takedown: int | None = Field(description="its number; null until it has begun")
    ids: tuple[int, ...] | None = Field(description="of a look: who would go; confirm gives them back")
    report: ReportTold | None = Field(description="null while it is looked")


class ListedTakedownTold(Told):
    """A takedown, of the list."""

    takedown: int = Field(description="its number")
    state: Literal["going on", "done", "not finished"]
    started_at: datetime
    finished_at: datetime | None


class BeginningTold(Told):
    """A takedown that has no number yet, or never got one."""

    state: Literal["beginning", "not begun"]
    doing: str
    why: str | None = Field(description="a sentence, where it has not begun")


class TakedownsTold(Told):
    """A page of takedowns, newest first."""

    items: tuple[ListedTakedownTold, ...]
    beginning: BeginningTold | None = Field(description="the last one that was confirmed, as long as it has no number")
    next: str | None = Field(description="give it as cursor; null after the last page")


def take_down(visit: Visit) -> Response:
    """Tell what would go of a person, or take the person down."""
    read_parameters(visit, Parameters)
    confirmed = _confirmation_of(visit)
    person, whom = who_is_meant(visit)
    taking_down = taking_down_of(visit)
    if confirmed is not None:
        if not is_called(person, confirmed.confirm):
            raise WebError(400, "confirm: that is not the name of the person.")
        if sorted(confirmed.ids) != sorted(whom.identity_ids):
            raise WebError(409, MERGED_MEANWHILE)
        takedown_id = begin(visit, asked_about(whom))
        state = taking_down.state
        if takedown_id is None and state is not None and state.why is not None:
            raise _failed(state.why, is_transient=state.is_transient)
        return _accepted(TakedownTold(state="going on", doing=None, takedown=takedown_id, ids=None, report=None))
    look, key = look_at(visit, whom), key_of(whom)
    if look is None:
        raise WebError(503, "Somebody else is looked at or taken down just now.", headers=_COME_AGAIN)

    def is_over() -> bool:
        look = taking_down.look_of(key)
        return look is None or look.is_over

    if not look.is_over:
        taking_down.wait(is_over, timeout_s=_ANSWERS_WITHIN_S)
        look = taking_down_of(visit).look_of(key)  # None where a takedown has ended meanwhile, or began
    if look is not None and look.why is not None:
        taking_down.forget(key)
        raise _failed(look.why, is_transient=look.is_transient)
    report = None if look is None or look.report is None else ReportTold.model_validate(look.report)
    return _accepted(
        TakedownTold(
            state="looking" if report is None else "looked",
            doing=None if look is None or report is not None else look.doing,
            takedown=None,
            ids=whom.identity_ids,
            report=report,
        )
    )


def tell_takedown(visit: Visit) -> Response:
    """Tell how far a takedown is, and its report."""
    read_parameters(visit, Parameters)
    takedown = known_takedown(visit)
    report = ReportTold.model_validate(report_of(takedown).to_json())
    state = _state_of(takedown, number_under_way(visit))
    mine = state_of(visit)
    is_mine = state == "going on" and mine is not None and mine.takedown_id == takedown.takedown_id
    doing = mine.doing if is_mine and mine is not None else None
    return json_answer(
        visit, TakedownTold(state=state, doing=doing, takedown=takedown.takedown_id, ids=None, report=report)
    )


def tell_takedowns(visit: Visit) -> Response:
    """Tell all takedowns, newest first: who has confirmed one may learn its number here."""
    asked = read_parameters(visit, TakedownsParameters)
    before_id = from_cursor(asked.cursor, int)[0] if asked.cursor else None
    with visit.site.store.reading() as connection:
        found = list_takedowns(connection, limit=asked.limit + 1, before_id=before_id)
    going_on, shown = number_under_way(visit), found[: asked.limit]
    items = tuple(
        ListedTakedownTold(
            takedown=one.takedown_id,
            state=_state_of(one, going_on),
            started_at=one.started_at,
            finished_at=one.finished_at,
        )
        for one in shown
    )
    further = to_cursor(shown[-1].takedown_id) if len(found) > len(shown) else None
    return json_answer(visit, TakedownsTold(items=items, beginning=_beginning(visit), next=further))


def _state_of(takedown: KnownTakedown, going_on: int | None) -> Literal["going on", "done", "not finished"]:
    if takedown.finished_at is not None:
        return "done"
    return "going on" if takedown.takedown_id == going_on else "not finished"


def _beginning(visit: Visit) -> BeginningTold | None:
    state = state_of(visit)
    if state is None or state.takedown_id is not None:
        return None
    return BeginningTold(state="not begun" if state.is_over else "beginning", doing=state.doing, why=state.why)


def _confirmation_of(visit: Visit) -> Confirmation | None:
    """Return what was sent; None where nothing was, or ``{}``: then it is only looked."""
    if is_form_of_parts(visit.request):
        raise WebError(415, _NO_JSON)
    if not visit.received.body.strip():
        return None
    given = json_body(visit, how=_NO_JSON)
    return None if given == {} else checked_body(Confirmation, given)


def _failed(why: str, *, is_transient: bool) -> WebError:
    """Return why nothing was done: what passes by itself may be asked for again."""
    return WebError(503, why, headers=_COME_AGAIN) if is_transient else WebError(409, why)


def _accepted(told: TakedownTold) -> Response:
    return Response(told.model_dump_json(), status_code=202, media_type="application/json")
