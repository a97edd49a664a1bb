"""What the API takes and tells of what people say of tracks."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from starlette.background import BackgroundTask
from starlette.responses import Response

from annotator.store.corrections.listing import Correction, list_corrections_of
from annotator.store.corrections.saying import Corrected
from annotator.store.rollups import roll_up_if_due
from annotator.web.correcting import Saying, UnknownNameError, say
from annotator.web.described import Parameters, Told, json_answer, read_parameters
from annotator.web.known import known_media
from annotator.web.visit import Visit


class CorrectionParameters(Parameters):
    """What is said of a track."""

    verdict: Annotated[Literal["is", "is not"], Field(description="whether it is this person, or is not")]
    person: Annotated[str, Field(min_length=1, max_length=200, description="name or alias")]
    new: Annotated[bool, Field(description="with is: add the person, if nobody has the name")] = False


class CorrectedTold(Told):
    """What became of a track."""

    track: int
    before: str | None = Field(description="who it was; null was unknown")
    now: str | None = Field(description="who it is now; null is unknown")
    words: int = Field(description="how many words were said or taken back")


class CorrectionTold(Told):
    """What somebody has said of a track."""

    correction: int
    track: int | None = Field(description="of what is shown; null where that has no track there")
    verdict: Literal["is", "is not"]
    person: str
    said_by: str
    said_at: datetime
    withdrawn_at: datetime | None
    overtaken: bool = Field(description="a newer word on the same track says something else")


class CorrectionsTold(Told):
    """What was ever said of a media's tracks, in the order of saying."""

    items: tuple[CorrectionTold, ...]


def tell_corrections(visit: Visit) -> Response:
    """Tell what people have said of a media's tracks."""
    read_parameters(visit, Parameters)
    row = known_media(visit)
    with visit.site.store.reading() as connection:
        said = [] if row.content_id is None else list_corrections_of(connection, row.content_id)
    return json_answer(visit, CorrectionsTold(items=tuple(map(_correction, said))))


def correct(visit: Visit) -> Response:
    """Say of a track who it is, or is not."""
    asked = read_parameters(visit, CorrectionParameters)
    if asked.verdict == "is":
        return _say(visit, Saying(is_person=asked.person, is_new=asked.new))
    return _say(visit, Saying(is_not=asked.person))


def withdraw(visit: Visit) -> Response:
    """Take back all that was said of a track."""
    read_parameters(visit, Parameters)
    return _say(visit, Saying())


def _say(visit: Visit, saying: Saying) -> Response:
    try:
        done = say(visit, known_media(visit), visit.request.path_params["track_no"], saying)
    except UnknownNameError as error:
        raise error.to_web_error() from error
    counted = BackgroundTask(roll_up_if_due, visit.site.store.engine)
    return Response(_corrected(done).model_dump_json(), media_type="application/json", background=counted)


def _corrected(done: Corrected) -> CorrectedTold:
    before, now = (None if one is None else one.name for one in (done.before, done.now))
    return CorrectedTold(track=done.track_no, before=before, now=now, words=done.words)


def _correction(one: Correction) -> CorrectionTold:
    return CorrectionTold(
        correction=one.correction_id,
        track=one.track_no,
        verdict=one.verdict,
        person=one.identity.name,
        said_by=one.said_by,
        said_at=one.said_at,
        withdrawn_at=one.withdrawn_at,
        overtaken=one.is_overtaken,
    )
