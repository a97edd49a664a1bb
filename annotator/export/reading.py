"""Stored media, read for an export: in order of their addresses, a page at a time, in little memory."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, and_, exists, or_, select, text

from annotator.errors import ChangedMeanwhileError
from annotator.export.records import ExportedMedia, ExportedName, ExportedTrack
from annotator.export.selection import Selection, Wanted, resolve
from annotator.store.codec import decode_boxes
from annotator.store.connection import reading
from annotator.store.dialect import given_ids, ids_param, is_postgres
from annotator.store.identities import load_survivors
from annotator.store.reads import considered
from annotator.store.tables import (
    WorkState,
    annotations,
    content_labels_by,
    contents,
    labelled_contents,
    labellings,
    media,
    sources,
    track_labels,
    tracks,
    work,
)
from annotator.store.titles import names_given
from annotator.types import Candidate

_PAGE: Final = 500
"""Media in one statement."""
_FACES_AT_ONCE: Final = 20_000
"""Detected faces whose boxes are in memory, or those of one media that has more: 36 bytes each as they are stored."""


def read_media(engine: Engine, selection: Selection) -> Iterator[ExportedMedia]:
    """Yield media in order of their addresses.

    Each page is one short transaction, so that an export of hours holds nobody up; names of people are as they were
    at its beginning. What comes while it runs is told if its turn is still to come.

    Raises:
        ChangedMeanwhileError: the labels were removed meanwhile.
        ConfigError: nothing is annotated yet, or there is no such model.
        IdentityError: nobody has one of the names.
        SourceNotFoundError: one of the media is not in the database.
        StoreUnavailableError: the database does not answer.

    """
    with reading(engine) as connection:
        wanted = resolve(connection, selection)
        places = sorted((row.uri, row.id) for row in connection.execute(select(sources.c.uri, sources.c.id)))
    for source_uri, source_id in places:
        after: str | None = None
        while True:
            with reading(engine) as connection:
                page = _page(connection, wanted, source_id, after)
                some = _at_once(page)
                told = _tell(connection, wanted, source_uri, some)
            yield from told
            if len(some) == len(page) < _PAGE:
                break
            after = some[-1].key


def _page(connection: Connection, wanted: Wanted, source_id: int, after: str | None) -> Sequence[Any]:
    """Return the next media of a source, with what is known of them beside their tracks."""
    if is_postgres(connection):  # the page and its tracks are of one moment
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    labelling = wanted.labelling
    retired = select(labellings.c.retired_at).where(labellings.c.id == labelling.labelling_id)
    if connection.execute(retired).scalar_one() is not None:
        raise ChangedMeanwhileError(
            f"the labels of {labelling.model} were removed meanwhile: export those of another model"
        )
    content_id = media.c.content_id
    of_labelling = labelled_contents.c.labelling_id == labelling.labelling_id
    statement = (
        select(
            media.c.id,
            media.c.key,
            content_id,
            contents.c.sha256,
            labelled_contents.c.labelled_at,
            annotations.c.width_px,
            annotations.c.height_px,
            annotations.c.duration_ms,
            annotations.c.frames_sampled,
            annotations.c.faces,
            annotations.c.damage,
            work.c.reason,
            work.c.message,
            work.c.finished_at,
        )
        .select_from(media)
        .outerjoin(contents, contents.c.id == content_id)
        .outerjoin(labelled_contents, of_labelling & (labelled_contents.c.content_id == content_id))
        .outerjoin(
            annotations,
            (annotations.c.network_id == labelling.network_id)
            & (annotations.c.content_id == labelled_contents.c.content_id),
        )
        .outerjoin(work, (work.c.network_id == labelling.network_id) & (work.c.media_id == media.c.id))
        .where(media.c.source_id == source_id, media.c.deleted_at.is_(None), _is_wanted(wanted))
        .order_by(media.c.key)
        .limit(_PAGE)
    )
    if after is not None:
        statement = statement.where(media.c.key > after)
    if wanted.media_ids:
        is_given = text(f"media.id {given_ids(connection)}")
        statement = statement.where(is_given.bindparams(ids=ids_param(connection, wanted.media_ids)))
    return connection.execute(statement).all()


def _is_wanted(wanted: Wanted) -> ColumnElement[bool]:
    since = wanted.selection.since
    is_annotated: ColumnElement[bool] = annotations.c.content_id.is_not(None)
    if since is not None:
        is_annotated &= labelled_contents.c.labelled_at >= since
    if wanted.identity_ids:
        label = content_labels_by.c
        return is_annotated & exists().where(
            label.labelling_id == wanted.labelling.labelling_id,
            label.content_id == media.c.content_id,
            label.identity_id.in_(wanted.identity_ids),
            label.confidence >= wanted.selection.min_confidence,
        )
    has_failed = and_(annotations.c.content_id.is_(None), work.c.state >= int(WorkState.FAILED))
    if since is not None:
        has_failed &= work.c.finished_at >= since
    return or_(is_annotated, has_failed)


def _at_once(page: Sequence[Any]) -> Sequence[Any]:
    """Return the first media of a page, one at least, whose boxes are few enough to be in memory together."""
    faces = 0
    for place, row in enumerate(page):
        faces += row.faces or 0
        if place and faces > _FACES_AT_ONCE:
            return page[:place]
    return page


def _tell(connection: Connection, wanted: Wanted, source_uri: str, page: Sequence[Any]) -> list[ExportedMedia]:
    content_ids = sorted({row.content_id for row in page if row.faces is not None})
    found = _tracks(connection, wanted, content_ids)
    given = names_given(connection, {row.id: source_uri + row.key for row in page})
    told = (
        _annotated(row, wanted, source_uri, tuple(found[row.content_id]))
        if row.faces is not None
        else _failed(row, wanted, source_uri)
        for row in page
    )
    return [replace(one, given_name=given.get(one.media_id)) for one in told]


def _tracks(
    connection: Connection, wanted: Wanted, content_ids: Sequence[int]
) -> defaultdict[int, list[ExportedTrack]]:
    """Return the tracks of contents, those of other people left out where some are wanted."""
    labelled = _labels(connection, wanted, content_ids)
    if any(one not in wanted.names for label in labelled.values() for one, _, _ in considered(label)):
        wanted.names.update(load_survivors(connection))  # somebody was added meanwhile
    found: defaultdict[int, list[ExportedTrack]] = defaultdict(list)
    rows = connection.execute(
        select(tracks)
        .where(tracks.c.network_id == wanted.labelling.network_id, tracks.c.content_id.in_(content_ids))
        .order_by(tracks.c.content_id, tracks.c.track_no)
    )
    for row in rows:
        label = labelled.get((row.content_id, row.track_no))
        name = _name(label, wanted)
        if wanted.identity_ids and (name is None or name.identity_id not in wanted.identity_ids):
            continue
        found[row.content_id].append(
            ExportedTrack(
                track_no=row.track_no,
                shot_no=row.shot_no,
                start_ms=row.first_ms,
                end_ms=row.last_ms,
                screen_time_ms=row.screen_ms,
                boxes=decode_boxes(bytes(row.boxes)),
                name=name,
                candidates=() if name is None else _candidates(label, wanted),
                is_picture=row.is_picture,
            )
        )
    return found


def _labels(connection: Connection, wanted: Wanted, content_ids: Sequence[int]) -> dict[tuple[int, int], Any]:
    rows = connection.execute(
        select(track_labels).where(
            track_labels.c.labelling_id == wanted.labelling.labelling_id, track_labels.c.content_id.in_(content_ids)
        )
    )
    return {(row.content_id, row.track_no): row for row in rows}


def _name(label: Any, wanted: Wanted) -> ExportedName | None:  # noqa: ANN401  (a row, or None)
    if label is None or label.confidence < wanted.selection.min_confidence:
        return None
    return ExportedName(*wanted.names[label.identity_id], float(label.confidence))


def _candidates(label: Any, wanted: Wanted) -> tuple[Candidate, ...]:  # noqa: ANN401  (a row)
    return tuple(
        Candidate(wanted.names[one][1], score, confidence)
        for one, score, confidence in considered(label)
        if not wanted.identity_ids or one in wanted.identity_ids
    )


def _annotated(row: Any, wanted: Wanted, source_uri: str, found: tuple[ExportedTrack, ...]) -> ExportedMedia:  # noqa: ANN401  (a row)
    return ExportedMedia(
        media_id=row.id,
        uri=source_uri + row.key,
        sha256=bytes(row.sha256).hex(),
        status="annotated" if row.damage is None else "damaged",
        reason=row.damage,
        message=None,
        model=wanted.labelling.model,
        size_wh=(row.width_px, row.height_px),
        duration_ms=row.duration_ms,
        frames_sampled=row.frames_sampled,
        faces=row.faces,
        annotated_at=row.labelled_at,
        tracks=found,
    )


def _failed(row: Any, wanted: Wanted, source_uri: str) -> ExportedMedia:  # noqa: ANN401  (a row)
    return ExportedMedia(
        media_id=row.id,
        uri=source_uri + row.key,
        sha256=None if row.sha256 is None else bytes(row.sha256).hex(),
        status="failed",
        reason=row.reason or "",
        message=row.message or "",
        model=wanted.labelling.model,
        size_wh=None,
        duration_ms=None,
        frames_sampled=0,
        faces=0,
        annotated_at=row.finished_at,
        tracks=(),
    )
