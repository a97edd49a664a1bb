"""Annotating by the API: media are taken, and a program asks how far they are."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from annotator.store.web.jobs import Job, find_job, list_jobs
from annotator.web.described import Parameters, Told, checked_body, json_answer, json_body, read_parameters
from annotator.web.giving import ask_for, stop, words_of
from annotator.web.known import known_job
from annotator.web.receiving import is_form_of_parts
from annotator.web.visit import Visit
from annotator.web.waiting import LONGEST_S

_MOST: Final = 100
_ASK_AGAIN_S: Final = "1"
_HOW: Final = 'Send files as multipart/form-data, or an address as application/json: {"url": "https://…"}.'


class JobTold(Told):
    """A media that is to be annotated."""

    job_id: int
    name: str = Field(description="of the file that was sent, or the address")
    state: str = Field(description="waiting, running, done or failed")
    stage: str | None = Field(description="of one that runs: starting, fetching, decoding, looking or saving")
    words: str = Field(description="how far it is, for people")
    ahead: int = Field(description="how many are done before it")
    frames: int = Field(description="in which faces were looked for so far")
    created_at: datetime
    finished_at: datetime | None
    media_id: int | None = Field(description="what it became: ask /api/v1/media for who is in it")
    reason: str | None = Field(description="short and stable, where it failed")
    message: str | None = Field(description="a sentence, where it failed, or what it waits for")


class JobsTold(Told):
    """Media that are to be annotated."""

    items: tuple[JobTold, ...]


class JobsParameters(Parameters):
    """Which jobs."""

    limit: Annotated[int, Field(ge=1, le=_MOST, description="most items")] = _MOST


class JobParameters(Parameters):
    """How long it may take."""

    wait: Annotated[
        int,
        Field(
            ge=0,
            le=LONGEST_S,
            description="seconds that the answer may wait for the job to be in another state; where many wait, none",
        ),
    ] = 0


class WantedAddress(BaseModel):
    """What is to be annotated, where it is no file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    url: str = Field(max_length=2000, pattern=r"^https?://[A-Za-z0-9]", description="without a password in it")


_URL: Final[Mapping[str, Any]] = WantedAddress.model_json_schema()["properties"]["url"]
WANTED: Final[Mapping[str, Mapping[str, Any]]] = {
    "application/json": WantedAddress.model_json_schema(),
    "multipart/form-data": {
        "type": "object",
        "properties": {
            "file": {
                "type": "array",
                "items": {"type": "string", "format": "binary"},
                "description": "pictures and videos",
            },
            "url": {**_URL, "pattern": f"^$|{_URL['pattern']}"},  # a form has the field, filled or not
        },
    },
}


def annotate(visit: Visit) -> Response:
    """Take files, or an address, to be annotated."""
    read_parameters(visit, Parameters)
    is_form = is_form_of_parts(visit.request)
    ids = ask_for(visit, visit.received.fields.get("url", "").strip() if is_form else _address_of(visit))
    with visit.site.store.reading() as connection:
        jobs = [job for job_id in ids if (job := find_job(connection, job_id)) is not None]
    answer = json_answer(visit, JobsTold(items=tuple(map(_told, jobs))))
    answer.status_code = 202
    answer.headers["Retry-After"] = _ASK_AGAIN_S
    if len(ids) == 1:
        answer.headers["Location"] = visit.url("job_details", job_id=ids[0])
    return answer


def wait_for_change(visit: Visit) -> Callable[[], Awaitable[None]] | None:
    """Return what waits until a job is in another state; None where nothing is to be waited for."""
    asked = read_parameters(visit, JobParameters)
    if not asked.wait:
        return None
    job, site = known_job(visit), visit.site
    if job.is_over:
        return None
    return partial(
        site.job_changes.wait,
        visit.request,
        visit.visitor.name,
        site.store,
        job_id=job.job_id,
        seen=job.state,
        within_s=asked.wait,
    )


def tell_job(visit: Visit) -> Response:
    """Tell how far a media is."""
    read_parameters(visit, JobParameters)
    job = known_job(visit)
    answer = json_answer(visit, _told(job))
    if not job.is_over:
        answer.headers["Retry-After"] = _ASK_AGAIN_S
    return answer


def stop_waiting(visit: Visit) -> Response:
    """Stop a media that waits, and tell what has become of it."""
    read_parameters(visit, Parameters)
    stop(visit)
    return json_answer(visit, _told(known_job(visit)))


def tell_jobs(visit: Visit) -> Response:
    """Tell how far the media of who asks are, newest first."""
    asked = read_parameters(visit, JobsParameters)
    with visit.site.store.reading() as connection:
        jobs = list_jobs(connection, visit.visitor.name, limit=asked.limit)
    return json_answer(visit, JobsTold(items=tuple(map(_told, jobs))))


def _address_of(visit: Visit) -> str:
    return checked_body(WantedAddress, json_body(visit, how=_HOW)).url.strip()


def _told(job: Job) -> JobTold:
    names = [name for name in JobTold.model_fields if name != "words"]
    return JobTold(words=words_of(job), **{name: getattr(job, name) for name in names})
