"""What was found as files, for programs."""

from typing import Annotated, Literal

from pydantic import Field
from starlette.responses import Response

from annotator.store.web.finding import find_media_with
from annotator.web.api.endpoints import QuestionParameters, question_of
from annotator.web.described import Parameters, read_parameters
from annotator.web.exporting import (
    JSON_LINES,
    MOST_MEDIA,
    TYPES,
    Shape,
    TableShape,
    Wish,
    export_all,
    export_media,
    selected,
)
from annotator.web.known import known_media
from annotator.web.visit import Visit

OF_MEDIA = (JSON_LINES, TYPES["csv"], TYPES["parquet"], TYPES["webvtt"])
OF_SEARCH = (JSON_LINES, TYPES["csv"], TYPES["parquet"])

Rows = Annotated[Literal["people", "tracks"], Field(description="what a row of CSV or Parquet is")]


class MediaExportParameters(Parameters):
    """In which shape a media is exported."""

    shape: Annotated[Shape, Field(description="docs/exports.md shows each")] = "jsonl"
    rows: Rows = "people"
    person: Annotated[
        str | None, Field(max_length=200, description="this person alone; with webvtt as chapters instead of captions")
    ] = None


class ExportParameters(QuestionParameters):
    """Whom to look for, and in which shape what is found is exported."""

    shape: Annotated[TableShape, Field(description="docs/exports.md shows each")] = "jsonl"
    rows: Rows = "people"


def send_media(visit: Visit) -> Response:
    """Send what was found in a media."""
    asked = read_parameters(visit, MediaExportParameters)
    row = known_media(visit)
    return export_media(visit, row, Wish(asked.shape, asked.rows, asked.person))


def send_found(visit: Visit) -> Response:
    """Send all media that show one person, or several at once; whole, with whoever else is in them."""
    asked = read_parameters(visit, ExportParameters)
    with visit.site.store.reading() as connection:
        found = find_media_with(connection, question_of(connection, asked), limit=MOST_MEDIA + 1)
    chosen = selected((one.media_id for one in found), min_confidence=asked.min_confidence, model=asked.model)
    return export_all(visit, chosen, Wish(asked.shape, asked.rows), name="export")
