"""Search: media that show one person, or several at once."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.responses import Response

from annotator.errors import IdentityError
from annotator.store.identities import find_identities
from annotator.store.titles import titles_of
from annotator.store.web.best_tracks import best_tracks
from annotator.store.web.finding import FoundMedia, Place, Question, find_media_with
from annotator.store.web.media import models_shown
from annotator.store.web.people import find_people
from annotator.web.cursors import from_cursor, to_cursor
from annotator.web.errors import WebError
from annotator.web.exporting import shapes_offered
from annotator.web.labels import MOST_PEOPLE, labelling_of_model
from annotator.web.pages.media import is_video
from annotator.web.visit import Visit

_CARDS: Final = 24
_CONFIDENCES: Final = (0.0, 0.5, 0.8, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class Asked:
    """The form of the page, as its address has it."""

    people: tuple[str, ...]
    is_in_one_shot: bool
    min_confidence: float
    since: str
    until: str
    model: str

    @classmethod
    def of(cls, visit: Visit) -> "Asked":
        """Return what the address asks.

        Raises:
            WebError: a confidence cannot be.

        """
        query = visit.request.query_params
        names = tuple(dict.fromkeys(name.strip()[:200] for name in query.getlist("person") if name.strip()))
        try:
            least = float(query.get("min_confidence") or 0)
        except ValueError:
            least = -1.0
        if not 0 <= least <= 1:
            raise WebError(400, "min_confidence must be a number from 0 to 1.")
        return cls(
            people=names[:MOST_PEOPLE],
            is_in_one_shot=query.get("in_one_shot") == "1",
            min_confidence=least,
            since=query.get("since", "")[:10],
            until=query.get("until", "")[:10],
            model=query.get("model", "")[:200],
        )

    def query(self, **more: str) -> str:
        """Return the address's query that asks the same."""
        given: list[tuple[str, str]] = [("person", name) for name in self.people]
        given += [("in_one_shot", "1")] * self.is_in_one_shot
        given += [("min_confidence", f"{self.min_confidence:g}")] * (self.min_confidence > 0)
        named = {"since": self.since, "until": self.until, "model": self.model} | more
        return urlencode(given + [(name, value) for name, value in named.items() if value])


def show_search(visit: Visit) -> Response:
    """Show the form, and what it finds."""
    asked = Asked.of(visit)
    cursor = visit.request.query_params.get("cursor", "")
    after = Place(*from_cursor(cursor, float, int, int)) if cursor else None
    found: list[FoundMedia] = []
    unknown: IdentityError | None = None
    with visit.site.store.reading() as connection:
        models = models_shown(connection)
        if asked.people:
            try:
                found = find_media_with(connection, question_of(connection, asked), limit=_CARDS + 1, after=after)
            except IdentityError as error:
                unknown = error
        shown = found[:_CARDS]
        seen_ids = [seen.identity_id for one in shown for seen in one.appearances]
        titles = titles_of(connection, [(one.media_id, one.uri) for one in shown])
        names = find_people(connection, seen_ids)
        # Another model may number its tracks otherwise; pictures are of those that are shown.
        faces = {} if asked.model else best_tracks(connection, {one.place.content_id for one in shown}, seen_ids)
    next_query = None
    if len(found) > _CARDS:
        last = shown[-1].place
        next_query = asked.query(cursor=to_cursor(last.confidence, last.content_id, last.media_id))
    return visit.page(
        "search.html",
        status=200 if unknown is None else 404,
        asked=asked,
        fields=[*asked.people, *[""] * (max(2, len(asked.people)) - len(asked.people))],
        found=[(one, titles[one.media_id], is_video(one.uri)) for one in shown],
        names=names,
        faces=faces,
        models=[name for _, name in models],
        confidences=_CONFIDENCES,
        unknown=unknown,
        next_query=next_query,
        is_first=after is None,
        plain_query=asked.query(),
        exports=[(words, asked.query(shape=shape)) for shape, words in shapes_offered().items() if shape != "webvtt"],
        without=[
            (name, Asked(tuple(one for one in asked.people if one != name), *_rest(asked)).query())
            for name in asked.people
        ],
    )


def question_of(connection: Connection, asked: Asked) -> Question:
    """Return what the form asks of a database.

    Raises:
        IdentityError: nobody has one of the names.
        WebError: a day or a model cannot be.

    """
    return Question(
        people=tuple(tuple(find_identities(connection, name)) for name in asked.people),
        is_in_one_shot=asked.is_in_one_shot,
        min_confidence=asked.min_confidence,
        since=_day(asked.since),
        before=_day(asked.until, days=1),
        labelling_id=labelling_of_model(models_shown(connection), asked.model) if asked.model else None,
    )


def _rest(asked: Asked) -> tuple[bool, float, str, str, str]:
    return asked.is_in_one_shot, asked.min_confidence, asked.since, asked.until, asked.model


def _day(given: str, *, days: int = 0) -> datetime | None:
    if not given:
        return None
    try:
        return datetime.strptime(given, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=days)
    except (ValueError, OverflowError) as error:
        raise WebError(400, f"A day is written 2026-11-27, got {given!r}.") from error
