"""What the API answers."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, Field
from sqlalchemy import Connection
from starlette.responses import Response

from annotator.store.identities import find_identities, ids_of
from annotator.store.merging import list_merged
from annotator.store.titles import title_of, titles_of
from annotator.store.web.families import MediaFamily, family_of_media
from annotator.store.web.finding import FoundMedia, Place, Question, find_media_with
from annotator.store.web.media import list_media, load_media, models_shown
from annotator.store.web.people import (
    Person,
    describe_person,
    find_people,
    list_people,
    suggest_people,
)
from annotator.web.api import objects
from annotator.web.cursors import from_cursor, to_cursor
from annotator.web.described import Parameters, json_answer, read_parameters
from annotator.web.known import known_person, media_of
from annotator.web.labels import MOST_PEOPLE, labelling_of_model, name_of
from annotator.web.visit import Visit

USUAL: Final = 50
MOST: Final = 200
MOST_RELATIVES: Final = 12
"""So many others of its family are told with a media."""


def _in_utc(given: datetime) -> datetime:
    try:
        return given.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("it is before the year 1 or after the year 9999 in UTC") from error


Time = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Limit = Annotated[int, Field(ge=1, le=MOST, description="most items of the page")]
Cursor = Annotated[str, Field(max_length=200, description="next of the page before")]


class PeopleParameters(Parameters):
    """Whom to list."""

    q: Annotated[str, Field(max_length=100, description="the beginning of a name or of one of its words")] = ""
    limit: Limit = USUAL
    cursor: Cursor = ""


class QuestionParameters(Parameters):
    """Whom to look for."""

    person: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=200)], ...],
        Field(min_length=1, max_length=MOST_PEOPLE, description="names or aliases; all of them must be in the media"),
    ]
    in_one_shot: Annotated[bool, Field(description="all of them in one and the same shot")] = False
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    since: Annotated[Time | None, Field(description="labelled then or later")] = None
    before: Annotated[Time | None, Field(description="labelled before")] = None
    model: Annotated[str | None, Field(max_length=200, description="whose names; default: those shown")] = None


class AppearanceParameters(QuestionParameters):
    """Whom to look for, and which page of what is found."""

    limit: Limit = USUAL
    cursor: Cursor = ""


class MediaParameters(Parameters):
    """Which page of media."""

    limit: Limit = USUAL
    cursor: Cursor = ""


def tell_people(visit: Visit) -> Response:
    """Tell people, most seen first, or those whose names begin as typed."""
    asked = read_parameters(visit, PeopleParameters)
    with visit.site.store.reading() as connection:
        if asked.q:
            people = suggest_people(connection, asked.q, limit=asked.limit)
        else:
            after = from_cursor(asked.cursor, int, int) if asked.cursor else None
            people = list_people(connection, limit=asked.limit + 1, after=after)
    shown = people[: asked.limit]
    more = to_cursor(shown[-1].media, shown[-1].person_id) if len(people) > asked.limit else None
    return json_answer(visit, objects.PeopleTold(items=tuple(map(_person, shown)), next=more))


def tell_person(visit: Visit) -> Response:
    """Tell all of one person."""
    read_parameters(visit, Parameters)
    with visit.site.store.reading() as connection:
        told = details_of(connection, known_person(visit, connection))
    return json_answer(visit, told)


def details_of(connection: Connection, person: Person) -> objects.PersonDetailsTold:
    """Return all that is told of one person."""
    details = describe_person(connection, person)
    return objects.PersonDetailsTold(
        **_person(person).model_dump(),
        aliases=details.aliases,
        photographs=details.photographs,
        enrolled=details.enrolled,
        best_confidence=details.best_confidence,
        companions=tuple(
            objects.CompanionTold(person_id=one.person_id, name=one.name, media=media)
            for one, media in details.companions
        ),
        merged=tuple(
            objects.MergedTold(person_id=one.person_id, name=one.name, into=one.into.name)
            for one in list_merged(connection, person.person_id)
        ),
    )


def tell_appearances(visit: Visit) -> Response:
    """Tell media that show one person, or several at once."""
    asked = read_parameters(visit, AppearanceParameters)
    after = Place(*from_cursor(asked.cursor, float, int, int)) if asked.cursor else None
    with visit.site.store.reading() as connection:
        found = find_media_with(connection, question_of(connection, asked), limit=asked.limit + 1, after=after)
        shown = found[: asked.limit]
        people = find_people(connection, [seen.identity_id for one in shown for seen in one.appearances])
        titles = titles_of(connection, [(one.media_id, one.uri) for one in shown])
    more = to_cursor(*_place(shown[-1].place)) if len(found) > asked.limit else None
    told = objects.FoundPageTold(items=tuple(_found(one, people, titles[one.media_id]) for one in shown), next=more)
    return json_answer(visit, told)


def tell_media_list(visit: Visit) -> Response:
    """Tell media, newest first."""
    asked = read_parameters(visit, MediaParameters)
    before_id = from_cursor(asked.cursor, int)[0] if asked.cursor else None
    with visit.site.store.reading() as connection:
        rows = list_media(connection, limit=asked.limit + 1, before_id=before_id)
        shown = rows[: asked.limit]
        titles = titles_of(connection, [(one.media_id, one.ref.uri) for one in shown])
    told = objects.MediaPageTold(
        items=tuple(
            objects.MediaTold(media_id=one.media_id, uri=one.ref.uri, name=titles[one.media_id], sha256=one.sha256)
            for one in shown
        ),
        next=to_cursor(shown[-1].media_id) if len(rows) > asked.limit else None,
    )
    return json_answer(visit, told)


def tell_media(visit: Visit) -> Response:
    """Tell who is in a media, and when."""
    read_parameters(visit, Parameters)
    with visit.site.store.reading() as connection:
        row = media_of(connection, visit.request.path_params["media_id"])
        stored = load_media(connection, row)
        names = [] if stored is None else [label.identity.name for label in stored.result.labels]
        ids = ids_of(connection, names)
        title = title_of(connection, row.media_id, row.ref.uri)
        family = family_of_media(connection, row.media_id, row.content_id, limit=MOST_RELATIVES)
    result = None if stored is None else stored.result
    told = objects.MediaDetailsTold(
        media_id=row.media_id,
        uri=row.ref.uri,
        name=title,
        sha256=row.sha256,
        status="waiting" if result is None else result.status,
        reason=None if result is None else result.reason,
        model=None if result is None else result.model,
        duration_ms=None if result is None else result.duration_ms,
        people=tuple(
            objects.AppearanceTold(
                person_id=ids[label.identity.name],
                name=label.identity.name,
                confidence=label.confidence,
                first_ms=label.start_ms,
                last_ms=label.end_ms,
                screen_ms=label.screen_time_ms,
            )
            for label in (() if result is None else result.labels)
        ),
        tracks=tuple(
            objects.TrackTold(
                track=track.track_no,
                name=name_of(track.label),
                confidence=track.label.candidates[0].confidence if name_of(track.label) else None,
                start_ms=track.start_ms,
                end_ms=track.end_ms,
                screen_ms=track.screen_time_ms,
                candidates=tuple(
                    objects.CandidateTold(name=one.identity.name, confidence=one.confidence)
                    for one in track.label.candidates
                ),
                boxes=tuple(objects.BoxTold(pts_ms=box.pts_ms, xyxy=box.xyxy) for box in track.boxes),
            )
            for track in (() if result is None else result.tracks)
        ),
        family=None if family is None else _family(family, row.content_id),
    )
    return json_answer(visit, told)


def question_of(connection: Connection, asked: QuestionParameters) -> Question:
    """Return what is asked of a database.

    Raises:
        IdentityError: nobody has one of the names.
        WebError: nothing is labelled by the model.

    """
    return Question(
        people=tuple(tuple(find_identities(connection, name)) for name in asked.person),
        is_in_one_shot=asked.in_one_shot,
        min_confidence=asked.min_confidence,
        since=asked.since,
        before=asked.before,
        labelling_id=None if asked.model is None else labelling_of_model(models_shown(connection), asked.model),
    )


def _person(person: Person) -> objects.PersonTold:
    return objects.PersonTold.model_validate(person)


def _family(family: MediaFamily, content_id: int | None) -> objects.FamilyTold:
    return objects.FamilyTold(
        number=family.number,
        size=family.size,
        representative=family.representative,
        media=tuple(
            objects.RelativeTold(media_id=one.media_id, uri=one.uri, same_bytes=one.content_id == content_id)
            for one in family.others
        ),
    )


def _place(place: Place) -> tuple[float, int, int]:
    return place.confidence, place.content_id, place.media_id


def _found(one: FoundMedia, people: dict[int, Person], title: str) -> objects.FoundTold:
    return objects.FoundTold(
        media_id=one.media_id,
        uri=one.uri,
        name=title,
        width_px=one.size_wh[0],
        height_px=one.size_wh[1],
        duration_ms=one.duration_ms,
        labelled_at=one.labelled_at,
        appearances=tuple(
            objects.AppearanceTold(
                person_id=people[seen.identity_id].person_id,
                name=people[seen.identity_id].name,
                confidence=seen.confidence,
                first_ms=seen.first_ms,
                last_ms=seen.last_ms,
                screen_ms=seen.screen_ms,
            )
            for seen in one.appearances
        ),
    )
