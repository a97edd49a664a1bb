"""What the API tells of the backlog, and how failures are queued again by it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from annotator.store.queue.failures import FailurePage, list_failures
from annotator.store.queue.status import read_status
from annotator.store.registry import active_network
from annotator.web.api.endpoints import USUAL, Cursor, Limit
from annotator.web.described import Parameters, Told, json_answer, read_parameters
from annotator.web.failures import LONGEST_REASON, MOST_RETRIED, cursor_of, place_of, queue_again
from annotator.web.visit import Visit

Reason = Annotated[str, Field(min_length=1, max_length=LONGEST_REASON)]


class BindsTold(Told):
    """What holds the queue up."""

    what: str = Field(description="in one word or two; stable")
    why: str
    remedy: str


class WorkerTold(Told):
    """A worker that has not ended."""

    worker: str
    queues: tuple[str, ...]
    device: str | None
    in_hand: int
    media_done: int
    seen_s: float = Field(description="how long ago it has said that it lives")
    silent: bool = Field(description="so long ago that it is taken for dead")


class BacklogTold(Told):
    """A backlog that goes on, or ended within the last day."""

    backlog: int
    uri: str
    pending: int
    claimed: int
    done: int
    failed: int
    stop_reason: str | None
    finished_at: datetime | None


class OperationTold(Told):
    """How far the archive is."""

    model: str | None = Field(description="whose names are shown")
    media: int
    pending: int
    claimed: int
    done: int
    failed: int = Field(description="those that are quarantined included")
    failures: dict[str, int] = Field(description="failed media by reason")
    media_per_s: float | None = Field(description="of the last ten minutes; null where it is not known")
    remaining_s: float | None
    binds: BindsTold
    workers: tuple[WorkerTold, ...]
    backlogs: tuple[BacklogTold, ...]


class FailureTold(Told):
    """A media that failed."""

    media_id: int
    uri: str
    reason: str
    message: str
    attempts: int
    failed_at: datetime
    is_quarantined: bool = Field(description="it ended its worker: it is not tried again by itself")


class FailuresTold(Told):
    """A page of failures, newest first."""

    items: tuple[FailureTold, ...]
    next: str | None = Field(description="give it as cursor; null after the last page")


class RetriedTold(Told):
    """What was queued again."""

    media: int
    has_more: bool = Field(description="more may be left: ask once more")


class FailureParameters(Parameters):
    """Which failures."""

    reason: Annotated[Reason, Field(description="one of the reasons that /operation tells")]
    limit: Limit = USUAL
    cursor: Cursor = ""


class RetryParameters(Parameters):
    """Which failures are queued again."""

    reason: Annotated[Reason | None, Field(description="only those that failed for it; default: all")] = None


def tell_operation(visit: Visit) -> Response:
    """Tell how far the archive is, and who works on it."""
    read_parameters(visit, Parameters)
    with visit.site.store.reading() as connection:
        status = read_status(connection, session_timeout_s=visit.site.settings.worker.session_timeout_s)
    told = OperationTold(
        model=status.model,
        media=status.media,
        **_states(status.by_state),
        failures=dict(status.failures),
        media_per_s=status.forecast.media_per_s,
        remaining_s=status.forecast.remaining_s,
        binds=BindsTold(what=status.verdict.binds, why=status.verdict.why, remedy=status.verdict.remedy),
        workers=tuple(
            WorkerTold(
                worker=one.worker,
                queues=one.queues,
                device=one.device,
                in_hand=one.in_hand,
                media_done=one.media_done,
                seen_s=one.seen_s,
                silent=one.is_silent,
            )
            for one in status.sessions
        ),
        backlogs=tuple(
            BacklogTold(
                backlog=one.run_id,
                uri=one.uri,
                **_states(one.by_state),
                stop_reason=one.stop_reason,
                finished_at=one.finished_at,
            )
            for one in status.backlogs
        ),
    )
    return json_answer(visit, told)


def tell_failures(visit: Visit) -> Response:
    """Tell single media that failed for a reason."""
    asked = read_parameters(visit, FailureParameters)
    after = place_of(asked.cursor) if asked.cursor else None
    with visit.site.store.reading() as connection:
        network_id = active_network(connection)
        found = FailurePage((), None)
        if network_id is not None:
            found = list_failures(connection, network_id, asked.reason, limit=asked.limit, after=after)
    more = None if found.next is None else cursor_of(found.next.failed_at, found.next.media_id)
    return json_answer(visit, FailuresTold(items=tuple(map(FailureTold.model_validate, found.failures)), next=more))


def retry_failures(visit: Visit) -> Response:
    """Queue failures again."""
    asked = read_parameters(visit, RetryParameters)
    count = queue_again(visit, asked.reason)
    told = RetriedTold(media=count, has_more=count >= MOST_RETRIED)
    return Response(told.model_dump_json(), media_type="application/json")


def _states(by_state: Mapping[str, int]) -> dict[str, int]:
    told = {name: by_state[name] for name in ("pending", "claimed", "done")}
    return told | {"failed": by_state["failed"] + by_state["quarantined"]}
