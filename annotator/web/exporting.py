"""Exports as answers: streamed piece by piece, in the forms of ``annotator export``."""

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.responses import Response, StreamingResponse

from annotator.errors import IdentityError
from annotator.export.parquet import NEEDS_EXTRA, can_write_parquet
from annotator.export.reading import read_media
from annotator.export.rows import RowKind
from annotator.export.selection import Selection, resolve
from annotator.export.streaming import FORMS, stream
from annotator.export.webvtt import captions, chapters
from annotator.store.titles import title_of
from annotator.store.web.media import KnownMediaRow
from annotator.web.errors import WebError
from annotator.web.visit import Visit

Shape = Literal["jsonl", "csv", "parquet", "webvtt", "rekognition", "video-intelligence", "video-indexer"]
TableShape = Literal["jsonl", "csv", "parquet", "rekognition", "video-intelligence", "video-indexer"]

WORDS: Final[dict[Shape, str]] = {
    "webvtt": "WebVTT",
    "jsonl": "JSON Lines",
    "csv": "CSV",
    "parquet": "Parquet",
    "rekognition": "Amazon Rekognition",
    "video-intelligence": "Google Video Intelligence",
    "video-indexer": "Azure Video Indexer",
}
"""What people call the shapes, in the order of the page."""

JSON_LINES: Final = "application/x-ndjson"
TYPES: Final[dict[str, str]] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "webvtt": "text/vtt; charset=utf-8",
}
"""What a browser is told that a shape is; the others are lines of JSON."""

_LONGEST_FILE_NAME: Final = 100
"""Letters of a name without its ending: names of four people would be more than proxies take in a header."""

MOST_MEDIA: Final = 10_000
"""Of a search that is exported: each statement names them all. `annotator export` has no such limit."""


@dataclass(frozen=True, slots=True)
class Wish:
    """In which shape something is exported.

    Attributes:
        shape: which.
        rows: what a row of a table is.
        person: whom alone the file tells, by name or alias; of WebVTT her or his appearances, as chapters. None is
            everybody, of WebVTT captions with the names of all.

    """

    shape: Shape
    rows: RowKind = "people"
    person: str | None = None


def shapes_offered() -> dict[Shape, str]:
    """Return the shapes that this installation can send, with what people call them."""
    return {shape: words for shape, words in WORDS.items() if shape != "parquet" or can_write_parquet()}


def export_media(visit: Visit, row: KnownMediaRow, wish: Wish) -> Response:
    """Send one media.

    Args:
        visit: who asks.
        row: which media.
        wish: in which shape.

    Raises:
        WebError: it is a still picture or could not be annotated, and has no WebVTT; or it does not show the person.
        AnnotatorError: as of ``annotator.export.reading``.

    """
    with visit.site.store.reading() as connection:
        name = title_of(connection, row.media_id, row.ref.uri)
    selection = Selection(people=() if wish.person is None else (wish.person,), media=(str(row.media_id),))
    if wish.person is not None and not _shows_somebody(visit, selection):
        raise IdentityError(f"{wish.person} is not in it", name=wish.person)
    if wish.shape != "webvtt":
        return export_all(visit, selection, wish, name=name)
    text = _text_track(visit, selection)
    return Response(text, headers=_headers(name, FORMS["webvtt"].suffix, TYPES["webvtt"]))


def export_all(visit: Visit, selection: Selection, wish: Wish, *, name: str) -> Response:
    """Send media, in order of their addresses.

    Raises:
        WebError: what the shape needs is not installed.
        AnnotatorError: as of ``annotator.export.selection``.

    """
    if wish.shape == "parquet" and not can_write_parquet():
        raise WebError(400, f"{NEEDS_EXTRA}, where the web application runs.")
    engine = visit.site.store.engine
    with visit.site.store.reading() as connection:
        resolve(connection, selection)  # what is wrong with it is told before anything is sent
    pieces = stream(engine, wish.shape, selection, rows=wish.rows)
    suffix = FORMS[wish.shape].suffix if wish.shape in TYPES else ".jsonl"
    headers = _headers(name, suffix, TYPES.get(wish.shape, JSON_LINES))
    return StreamingResponse(made_in(visit.site.export_threads, pieces), headers=headers)


async def made_in(threads: CapacityLimiter, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield pieces that are made in few threads: each may hold thousands of rows, and pages need threads, too."""
    while (piece := await run_sync(next, pieces, None, limiter=threads)) is not None:
        yield piece


def selected(media_ids: Iterable[int], *, min_confidence: float, model: str | None) -> Selection:
    """Return the selection of what a search has found.

    Raises:
        WebError: these are too many.

    """
    given = tuple(map(str, media_ids))
    if len(given) > MOST_MEDIA:
        raise WebError(
            400,
            f"These are over {MOST_MEDIA:,} media: ask for fewer, by confidence or day, or use `annotator export`.",
        )
    return Selection(media=given, min_confidence=min_confidence, model=model)


def _shows_somebody(visit: Visit, selection: Selection) -> bool:
    return next(iter(read_media(visit.site.store.engine, selection)), None) is not None


def _text_track(visit: Visit, selection: Selection) -> str:
    media = next(iter(read_media(visit.site.store.engine, selection)), None)
    if media is None or media.duration_ms is None:
        raise WebError(404, "It has no WebVTT: it is a still picture, or was not annotated.")
    people = media.people()
    return chapters(media, people[0]) if selection.people and len(people) == 1 else captions(media, people)


def _headers(name: str, suffix: str, media_type: str) -> dict[str, str]:
    """Return the headers of a file: in its name, nothing is invisible, turns the ending round or leads elsewhere."""
    shown = "".join(letter if letter.isprintable() and letter not in "/\\" else "_" for letter in name)
    file_name = quote(shown[:_LONGEST_FILE_NAME] + suffix, safe="")
    return {"Content-Type": media_type, "Content-Disposition": f"attachment; filename*=UTF-8''{file_name}"}
