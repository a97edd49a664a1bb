"""What the API takes and tells of takedowns."""

from typing import Annotated, Literal

from pydantic import Field
from starlette.responses import Response

from annotator.takedown.report import report_of
from annotator.web.api.operation import Parameters, Told, json_answer, read_parameters
from annotator.web.errors import WebError
from annotator.web.pages.takedowns import (
    asked_about,
    begin,
    is_called,
    is_going_on,
    known_person,
    known_takedown,
    look_at,
    taking_down_of,
)
from annotator.web.visit import Visit

_ANSWERS_WITHIN_S = 10.0


class TakedownParameters(Parameters):
    """Whether anything is done."""

    confirm: Annotated[
        str | None, Field(max_length=200, description="the person's name; without, it only tells what would go")
    ] = None


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


class TakedownTold(Told):
    """How far a takedown is, or a look at what it would take away."""

    state: Literal["looking", "looked", "going on", "done", "not finished"]
    doing: str | None
    takedown: int | None = Field(description="its number; null until it has begun")
    report: ReportTold | None = Field(description="null while it is looked")


def take_down(visit: Visit) -> Response:
    """Tell what would go of a person, or take the person down."""
    asked = read_parameters(visit, TakedownParameters)
    person, whom = known_person(visit)
    taking_down = taking_down_of(visit)
    if asked.confirm is not None:
        if not is_called(person, asked.confirm):
            raise WebError(400, "confirm: that is not the name of the person.")
        takedown_id = begin(visit, asked_about(whom))
        state = taking_down.state
        if takedown_id is None and state is not None and state.why is not None:
            raise WebError(409, state.why)
        return _accepted(TakedownTold(state="going on", doing=None, takedown=takedown_id, report=None))
    if look_at(visit, whom) is None:
        raise WebError(503, "Somebody else is looked at or taken down just now.", headers={"Retry-After": "10"})

    def is_over() -> bool:
        look = look_at(visit, whom)
        return look is None or look.is_over

    taking_down.wait(is_over, timeout_s=_ANSWERS_WITHIN_S)
    look = look_at(visit, whom)
    if look is not None and look.why is not None:
        raise WebError(409, look.why)
    if look is None or look.report is None:
        return _accepted(
            TakedownTold(state="looking", doing=None if look is None else look.doing, takedown=None, report=None)
        )
    report = ReportTold.model_validate(look.report)
    return _accepted(TakedownTold(state="looked", doing=None, takedown=None, report=report))


def tell_takedown(visit: Visit) -> Response:
    """Tell how far a takedown is, and its report."""
    read_parameters(visit, Parameters)
    takedown = known_takedown(visit)
    report = ReportTold.model_validate(report_of(takedown).to_json())
    state: Literal["done", "going on", "not finished"] = "done"
    if takedown.finished_at is None:
        state = "going on" if is_going_on(visit, takedown) else "not finished"
    return json_answer(visit, TakedownTold(state=state, doing=None, takedown=takedown.takedown_id, report=report))


def _accepted(told: TakedownTold) -> Response:
    return Response(told.model_dump_json(), status_code=202, media_type="application/json")
