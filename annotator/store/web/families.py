"""Which media show the same clip as another one, and who was found in these alone."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, Select, func, literal, select

from annotator.store.registry import active_labelling
from annotator.store.tables import content_families, content_labels_by, identities, media, sources

_ALL_IDS: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class OtherMedia:
    """A media that shows the same clip as the one that is asked about.

    Attributes:
        media_id: its number.
        uri: where it is.
        content_id: of its bytes; where it is that of the media asked about, both have one annotation.

    """

    media_id: int
    uri: str
    content_id: int


@dataclass(frozen=True, slots=True)
class MediaFamily:
    """The media that show one clip, of which at least two are there.

    Attributes:
        number: names it: the smallest of its content ids.
        size: how many media it has; those that are gone do not count.
        representative: the media that was registered first.
        others: without the media that was asked about, newest first; not more than were asked for.

    """

    number: int
    size: int
    representative: int
    others: tuple[OtherMedia, ...]


@dataclass(frozen=True, slots=True)
class FoundElsewhere:
    """Somebody who is named in another media of a family, and not in the one that is asked about.

    Attributes:
        person_id: who.
        name: the person's.
        confidence: the best of the family, in [0, 1].
        media_id: the media where it is so; the newest, where several have its bytes.
        uri: where that media is.

    """

    person_id: int
    name: str
    confidence: float
    media_id: int
    uri: str


def family_of_media(
    connection: Connection, media_id: int, content_id: int | None, *, limit: int, before_id: int | None = None
) -> MediaFamily | None:
    """Return the family of a media: those that are one clip with it, and those of the same bytes.

    Args:
        connection: any.
        media_id: which media.
        content_id: of its bytes; None where they were not read.
        limit: at most so many others, at least one.
        before_id: only others that were registered before this one: where the page before ended.

    Returns:
        None where there is no other, or none before ``before_id``.

    """
    if content_id is None:
        return None
    number = _number(connection, content_id)
    # The whole family is gone through, from its contents to their media: so it is counted, and ordered by nothing else.
    members = (
        select(
            media.c.id,
            media.c.source_id,
            media.c.key,
            media.c.content_id,
            func.count().over().label("size"),
            func.min(media.c.id).over().label("first_id"),
        )
        .where(_shows_the_clip(media.c.content_id, number, content_id), media.c.deleted_at.is_(None))
        .cte("members")
    )
    rows = connection.execute(
        select(members, (sources.c.uri + members.c.key).label("uri"))
        .join(sources, sources.c.id == members.c.source_id)
        .where(members.c.id != media_id, members.c.id < (_ALL_IDS if before_id is None else before_id))
        .order_by(members.c.id.desc())
        .limit(limit)
    ).all()
    if not rows:
        return None
    return MediaFamily(
        number=content_id if number is None else number,
        size=rows[0].size,
        representative=rows[0].first_id,
        others=tuple(OtherMedia(row.id, row.uri, row.content_id) for row in rows),
    )


def found_elsewhere(connection: Connection, content_id: int, *, limit: int) -> list[FoundElsewhere]:
    """Return who is named in other media of a family and not in these bytes, by the labelling that is shown.

    Args:
        connection: any.
        content_id: of the bytes that are asked about.
        limit: at most so many people, surest first.

    """
    number, labelling_id = _number(connection, content_id), active_labelling(connection)
    if number is None or labelling_id is None:
        return []
    labels = content_labels_by
    named_here = _survivors(labelling_id).where(labels.c.content_id == content_id)
    newest = (
        select(func.max(media.c.id))
        .where(media.c.content_id == labels.c.content_id, media.c.deleted_at.is_(None))
        .correlate(labels)
        .scalar_subquery()
    )
    surest_first = (labels.c.confidence.desc(), labels.c.content_id)
    ranked = (
        _survivors(labelling_id)
        .add_columns(
            labels.c.confidence,
            newest.label("media_id"),
            func.row_number().over(partition_by=identities.c.survivor_id, order_by=surest_first).label("place"),
        )
        .where(
            _shows_the_clip(labels.c.content_id, number, content_id),
            labels.c.content_id != content_id,
            identities.c.survivor_id.not_in(named_here),
            select(literal(1))
            .where(media.c.content_id == labels.c.content_id, media.c.deleted_at.is_(None))
            .correlate(labels)
            .exists(),
        )
        .subquery("ranked")
    )
    person = identities.alias("person")
    rows = connection.execute(
        select(ranked, person.c.name, (sources.c.uri + media.c.key).label("uri"))
        .join(person, person.c.id == ranked.c.survivor_id)
        .join(media, media.c.id == ranked.c.media_id)
        .join(sources, sources.c.id == media.c.source_id)
        .where(ranked.c.place == 1)
        .order_by(ranked.c.confidence.desc(), person.c.name)
        .limit(limit)
    )
    return [FoundElsewhere(row.survivor_id, row.name, row.confidence, row.media_id, row.uri) for row in rows]


def _number(connection: Connection, content_id: int) -> int | None:
    """Return the family of a content; None where no clip but itself is known to be the same."""
    wanted = select(content_families.c.family_id).where(content_families.c.content_id == content_id)
    return connection.execute(wanted).scalar_one_or_none()


def _shows_the_clip(column: ColumnElement[int], number: int | None, content_id: int) -> ColumnElement[bool]:
    if number is None:
        return column == content_id
    return column.in_(select(content_families.c.content_id).where(content_families.c.family_id == number))


def _survivors(labelling_id: int) -> Select[tuple[int]]:
    """Return a query of who labels name, after whoever was merged."""
    return (
        select(identities.c.survivor_id)
        .join_from(content_labels_by, identities, identities.c.id == content_labels_by.c.identity_id)
        .where(content_labels_by.c.labelling_id == labelling_id)
    )
