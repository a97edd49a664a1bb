"""One media as its page shows it: what it is, its tracks, and what each model has said of it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from annotator.store.labels import Identify
from annotator.store.reads import StoredAnnotation, load_annotations
from annotator.store.registry import active_labelling
from annotator.store.tables import (
    content_labels_by,
    contents,
    identities,
    labelled_contents,
    labellings,
    media,
    sources,
    web_jobs,
)
from annotator.types import MediaRef


@dataclass(frozen=True, slots=True)
class KnownMediaRow:
    """A media that is registered.

    Attributes:
        media_id: its number.
        ref: where it is.
        sha256: of its bytes, hexadecimal; None until it was read.
        content_id: of its bytes; None until it was read.

    """

    media_id: int
    ref: MediaRef
    sha256: str | None
    content_id: int | None


@dataclass(frozen=True, slots=True)
class Labelling:
    """What one model says of a media.

    Attributes:
        labelling_id: its number.
        model: as users see it.
        labelled_at: when.
        is_shown: its names are shown everywhere.
        people: names, surest first, with their confidence.

    """

    labelling_id: int
    model: str
    labelled_at: datetime
    is_shown: bool
    people: tuple[tuple[str, float], ...]


def names_given(connection: Connection, media_ids: Collection[int]) -> dict[int, str]:
    """Return what media were called by whoever gave them first; without those that nobody gave."""
    if not media_ids:
        return {}
    newest_first = (
        select(web_jobs.c.media_id, web_jobs.c.name)
        .where(web_jobs.c.media_id.in_(sorted(media_ids)))
        .order_by(web_jobs.c.id.desc())
    )
    return dict(connection.execute(newest_first).all())


def find_media_row(connection: Connection, media_id: int) -> KnownMediaRow | None:
    """Return a media by its number; None where there is none, or it is gone."""
    row = connection.execute(
        select(media.c.id, (sources.c.uri + media.c.key).label("uri"), media.c.etag, contents.c.sha256, contents.c.id)
        .join_from(media, sources, sources.c.id == media.c.source_id)
        .join(contents, contents.c.id == media.c.content_id, isouter=True)
        .where(media.c.id == media_id, media.c.deleted_at.is_(None))
    ).one_or_none()
    if row is None:
        return None
    sha256 = None if row.sha256 is None else bytes(row.sha256).hex()
    return KnownMediaRow(row[0], MediaRef(row.uri, row.uri, row.etag), sha256, row[4])


def load_media(
    connection: Connection, row: KnownMediaRow, *, identify: Identify | None = None
) -> StoredAnnotation | None:
    """Return what the labelling that is shown says of a media; None where it has said nothing yet.

    Args:
        connection: any.
        row: which media.
        identify: tells the candidates of unknown tracks, which are not stored.

    """
    labelling_id = active_labelling(connection)
    if labelling_id is None:
        return None
    return load_annotations(connection, labelling_id, [row.ref], identify=identify).get(row.ref.uri)


def labellings_of(connection: Connection, row: KnownMediaRow) -> list[Labelling]:
    """Return what each model has said of a media, newest first."""
    if row.content_id is None:
        return []
    shown = active_labelling(connection)
    labelled = connection.execute(
        select(labellings.c.id, labellings.c.model, labelled_contents.c.labelled_at)
        .join_from(labelled_contents, labellings, labellings.c.id == labelled_contents.c.labelling_id)
        .where(labelled_contents.c.content_id == row.content_id, labellings.c.retired_at.is_(None))
        .order_by(labelled_contents.c.labelled_at.desc(), labellings.c.id.desc())
    ).all()
    survivor = identities.alias()
    labels = connection.execute(
        select(
            content_labels_by.c.labelling_id, survivor.c.name, func.max(content_labels_by.c.confidence).label("best")
        )
        .join_from(content_labels_by, identities, identities.c.id == content_labels_by.c.identity_id)
        .join(survivor, survivor.c.id == identities.c.survivor_id)
        .where(
            content_labels_by.c.content_id == row.content_id,
            content_labels_by.c.labelling_id.in_([one.id for one in labelled]),
        )
        .group_by(content_labels_by.c.labelling_id, survivor.c.name)
    ).all()
    people: dict[int, list[tuple[str, float]]] = {one.id: [] for one in labelled}
    for label in labels:
        people[label.labelling_id].append((label.name, label.best))
    return [
        Labelling(
            one.id,
            one.model,
            one.labelled_at,
            one.id == shown,
            tuple(sorted(people[one.id], key=lambda label: (-label[1], label[0]))),
        )
        for one in labelled
    ]


def list_media(connection: Connection, *, limit: int, before_id: int | None = None) -> list[KnownMediaRow]:
    """Return media, newest first.

    Args:
        connection: any.
        limit: at most so many.
        before_id: only what was registered before this one: where the page before ended.

    """
    statement = (
        select(media.c.id, (sources.c.uri + media.c.key).label("uri"), media.c.etag, contents.c.sha256, contents.c.id)
        .join_from(media, sources, sources.c.id == media.c.source_id)
        .join(contents, contents.c.id == media.c.content_id, isouter=True)
        .where(media.c.deleted_at.is_(None))
        .order_by(media.c.id.desc())
        .limit(limit)
    )
    if before_id is not None:
        statement = statement.where(media.c.id < before_id)
    return [
        KnownMediaRow(
            row[0],
            MediaRef(row.uri, row.uri, row.etag),
            None if row.sha256 is None else bytes(row.sha256).hex(),
            row[4],
        )
        for row in connection.execute(statement)
    ]


def models_shown(connection: Connection) -> list[tuple[int, str]]:
    """Return labellings whose names can be searched, with the models' names, newest first."""
    return [
        (row.id, row.model)
        for row in connection.execute(
            select(labellings.c.id, labellings.c.model)
            .where(labellings.c.retired_at.is_(None))
            .order_by(labellings.c.id.desc())
        )
    ]
