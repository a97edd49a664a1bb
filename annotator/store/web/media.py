"""One media as its page shows it: what it is, its tracks, and what each model has said of it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection, select

from annotator.store.corrections.applying import SURE
from annotator.store.ids import LARGEST_BIG_ID
from annotator.store.labels import Identify
from annotator.store.reads import StoredAnnotation, load_annotations
from annotator.store.registry import active_labelling
from annotator.store.tables import (
    contents,
    identities,
    labelled_contents,
    labellings,
    media,
    overruled_labels,
    sources,
    track_labels,
)
from annotator.types import MediaRef

_Whom = TypeVar("_Whom", int, str)


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
        people: names that the model gives, whatever people have said of them, surest first, with their confidence. It
            is None where only the name is kept that a person has given.

    """

    labelling_id: int
    model: str
    labelled_at: datetime
    is_shown: bool
    people: tuple[tuple[str, float | None], ...]


def find_media_row(connection: Connection, media_id: int) -> KnownMediaRow | None:
    """Return a media by its number; None where there is none, or it is gone."""
    if media_id > LARGEST_BIG_ID:
        return None
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
    people = _named_by_models(connection, row.content_id, [one.id for one in labelled])
    return [
        Labelling(
            one.id,
            one.model,
            one.labelled_at,
            one.id == shown,
            tuple(sorted(people[one.id].items(), key=lambda label: (-(label[1] or 0.0), label[0]))),
        )
        for one in labelled
    ]


def _named_by_models(
    connection: Connection, content_id: int, labelling_ids: Collection[int]
) -> dict[int, dict[str, float | None]]:
    """Return whom models name in a content, by labelling; where people have spoken of a track, what the model says."""
    names: dict[int, dict[int, float | None]] = {labelling_id: {} for labelling_id in labelling_ids}
    spoken_of = set()
    said, now = overruled_labels.c, track_labels.c
    for row in connection.execute(
        select(overruled_labels).where(said.content_id == content_id, said.labelling_id.in_(labelling_ids))
    ):
        spoken_of.add((row.labelling_id, row.track_no))
        if row.candidates:
            identity_id, _, confidence = row.candidates[0]
            _note(names[row.labelling_id], identity_id, confidence)
    for row in connection.execute(
        select(now.labelling_id, now.track_no, now.identity_id, now.score, now.confidence).where(
            now.content_id == content_id, now.labelling_id.in_(labelling_ids)
        )
    ):
        if (row.labelling_id, row.track_no) not in spoken_of:
            is_a_persons = row.score == row.confidence == SURE
            _note(names[row.labelling_id], row.identity_id, None if is_a_persons else row.confidence)
    return _by_survivor(connection, names)


def _note(confidences: dict[_Whom, float | None], whom: _Whom, confidence: float | None) -> None:
    """Keep the highest confidence that somebody was named with."""
    known = confidences.get(whom)
    confidences[whom] = confidence if known is None else max(known, confidence or 0.0)


def _by_survivor(
    connection: Connection, names: dict[int, dict[int, float | None]]
) -> dict[int, dict[str, float | None]]:
    ids = {identity_id for its_own in names.values() for identity_id in its_own}
    survivor = identities.alias()
    called = dict(
        connection.execute(
            select(identities.c.id, survivor.c.name)
            .join_from(identities, survivor, survivor.c.id == identities.c.survivor_id)
            .where(identities.c.id.in_(sorted(ids)))
        ).all()
    )
    told: dict[int, dict[str, float | None]] = {labelling_id: {} for labelling_id in names}
    for labelling_id, its_own in names.items():
        for identity_id, confidence in its_own.items():
            if identity_id in called:  # who was taken down is nobody's name any more
                _note(told[labelling_id], called[identity_id], confidence)
    return told


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
