"""Changing people by the API: the same deeds as on their pages, put on record in the same words."""

from typing import Annotated

from pydantic import Field
from sqlalchemy import Connection
from starlette.responses import Response

from annotator.names import MAX_NAME_CHARS
from annotator.store.corrections.splitting import MOST_AT_ONCE
from annotator.store.ids import LARGEST_ID
from annotator.store.merging import HeldKgMid
from annotator.store.registry import active_network
from annotator.store.web.people import Person, ids_of_people
from annotator.store.web.tracks_of_people import tracks_of_person
from annotator.web import changing
from annotator.web.api.endpoints import Cursor, Limit, details_of
from annotator.web.api.objects import Confidence, KgMidTold, UnmergedTold
from annotator.web.correcting import UnknownNameError
from annotator.web.cursors import from_cursor, to_cursor
from annotator.web.described import Parameters, Told, json_answer, read_parameters
from annotator.web.errors import WebError
from annotator.web.forms import track_key
from annotator.web.known import known_person, person_of
from annotator.web.visit import Visit

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
PersonId = Annotated[int, Field(ge=0, le=LARGEST_ID)]


class ChangeParameters(Parameters):
    """What is changed of a person."""

    name: Annotated[Name | None, Field(description="what the person is called; the former name goes on finding")] = None
    add_name: Annotated[Name | None, Field(description="also finds the person")] = None
    remove_name: Annotated[Name | None, Field(description="finds the person no more")] = None
    kg_mid: Annotated[
        str | None, Field(max_length=60, description="Knowledge Graph id; empty for nobody known there")
    ] = None


class MergeParameters(Parameters):
    """Who is the same person."""

    into: Annotated[PersonId, Field(description="who remains")]


class UnmergeParameters(Parameters):
    """Which merge is taken back."""

    merged: Annotated[PersonId, Field(description="whom it gave up: of merged, in what is told of a person")]
    name: Annotated[Name | None, Field(description="what that one is called; default: as before")] = None


class TracksParameters(Parameters):
    """Which page of tracks."""

    limit: Annotated[Limit, Field(description="most media of the page")] = 50
    cursor: Cursor = ""


class SplitParameters(Parameters):
    """Which tracks are somebody else."""

    track: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[0-9]{1,18}-[0-9]{1,4}$")], ...],
        Field(min_length=1, max_length=MOST_AT_ONCE, description="of tracks, as they are told there"),
    ]
    into: Annotated[Name | None, Field(description="whose they are: name or alias; default: nobody knows")] = None
    new: Annotated[bool, Field(description="add the person, if nobody has the name")] = False


class PersonTrackTold(Told):
    """A track that has a person's name."""

    track: str = Field(description="says which, to split")
    media_id: int
    track_no: int
    confidence: Confidence
    start_ms: int


class PersonTracksTold(Told):
    """A page of tracks, those of the surest media first."""

    items: tuple[PersonTrackTold, ...]
    next: str | None = Field(description="give it as cursor; null after the last page")


class SplitTold(Told):
    """What became of tracks."""

    tracks: int
    into: str | None = Field(description="whose they are; null where nobody knows")


def change(visit: Visit) -> Response:
    """Change what a person is called, and who that is in the Knowledge Graph; all or nothing."""
    asked = read_parameters(visit, ChangeParameters)
    if not asked.model_fields_set:
        raise WebError(400, "Say what is to be changed: name, add_name, remove_name or kg_mid.")
    if asked.remove_name is not None:
        changing.insist_that_name_may_go(visit, asked.remove_name)

    def deed(connection: Connection, person: Person) -> None:
        if asked.name is not None:
            changing.rename_person(visit, connection, person, asked.name)
            person = person_of(connection, person.person_id)
        if asked.add_name is not None:
            changing.add_further_name(visit, connection, person, asked.add_name)
        if asked.remove_name is not None:
            changing.remove_further_name(visit, connection, person, asked.remove_name)
        if asked.kg_mid is not None:
            changing.change_graph_id(visit, connection, person, asked.kg_mid.strip() or None)

    changing.change(visit, _person_id(visit), deed)
    return _told(visit, _person_id(visit))


def merge(visit: Visit) -> Response:
    """Make two people one."""
    into = read_parameters(visit, MergeParameters).into

    def deed(connection: Connection, person: Person) -> None:
        other = person_of(connection, into)
        if other.person_id != into:
            raise WebError(409, f"Who is to remain was merged into {other.name} meanwhile: ask again.")
        changing.merge_person(visit, connection, person, other)

    changing.change(visit, _person_id(visit), deed)
    return _told(visit, into)


def unmerge(visit: Visit) -> Response:
    """Make two people of one again."""
    asked = read_parameters(visit, UnmergeParameters)

    def deed(connection: Connection, person: Person) -> HeldKgMid | None:
        return changing.unmerge_person(visit, connection, person, asked.merged, name=asked.name)

    held = changing.change(visit, _person_id(visit), deed)
    with visit.site.store.reading() as connection:
        person = details_of(connection, person_of(connection, asked.merged))
    told = UnmergedTold(**dict(person), kg_mid_stays_with=None if held is None else KgMidTold.model_validate(held))
    background = changing.labelled_anew(visit, {_person_id(visit), asked.merged})
    return Response(told.model_dump_json(), media_type="application/json", background=background)


def tell_tracks(visit: Visit) -> Response:
    """Tell the tracks that have a person's name."""
    asked = read_parameters(visit, TracksParameters)
    after = from_cursor(asked.cursor, float, int) if asked.cursor else None
    with visit.site.store.reading() as connection:
        person = known_person(visit, connection)
        ids = ids_of_people(connection, [person.person_id])
        page = tracks_of_person(connection, ids, contents=asked.limit, after=after)
    items = tuple(
        PersonTrackTold(
            track=f"{one.content_id}-{one.track_no}",
            media_id=one.media_id,
            track_no=one.track_no,
            confidence=one.confidence,
            start_ms=one.first_ms,
        )
        for one in page.tracks
    )
    return json_answer(visit, PersonTracksTold(items=items, next=None if page.next is None else to_cursor(*page.next)))


def split(visit: Visit) -> Response:
    """Say of some of a person's tracks that they are somebody else."""
    asked = read_parameters(visit, SplitParameters)
    keys = {track_key(one) for one in asked.track}
    with visit.site.store.reading() as connection:
        network_id = active_network(connection)
    try:
        whose = changing.split_person(
            visit, _person_id(visit), keys, into=asked.into, is_new=asked.new, network_id=network_id
        )
    except UnknownNameError as error:
        raise error.to_web_error() from error
    told = SplitTold(tracks=len(keys), into=None if whose is None else whose.name)
    return Response(told.model_dump_json(), media_type="application/json", background=changing.counted(visit))


def _person_id(visit: Visit) -> int:
    return int(visit.request.path_params["person_id"])


def _told(visit: Visit, person_id: int) -> Response:
    """Tell a person as it is after a deed."""
    with visit.site.store.reading() as connection:
        told = details_of(connection, person_of(connection, person_id))
    return Response(told.model_dump_json(), media_type="application/json", background=changing.counted(visit))
