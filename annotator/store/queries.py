"""What users ask: who is where."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, or_, select, tuple_

from annotator.store.identities import find_identities, load_identities
from annotator.store.tables import active, content_labels_by, identities, labellings, media, sources
from annotator.types import Identity


@dataclass(frozen=True, slots=True)
class Found:
    """A media that shows a person; the columns of the view ``content_labels``.

    Attributes:
        media_uri: where the media is.
        identity: who.
        confidence: of the label.
        first_seen_ms: first appearance.
        last_seen_ms: end of the last appearance.
        screen_time_ms: displayed time with the person.
        model: what named the person.
        annotated_at: when.

    """

    media_uri: str
    identity: Identity
    confidence: float
    first_seen_ms: int
    last_seen_ms: int
    screen_time_ms: int
    model: str
    annotated_at: datetime


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page of a search ended; pages continue after it, whatever is added meanwhile."""

    confidence: float
    content_id: int
    media_id: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some of what a search found, surest first.

    Attributes:
        found: at most as many as asked for.
        next: give it to the next call; None after the last page.

    """

    found: tuple[Found, ...]
    next: Cursor | None


def search(
    connection: Connection,
    name: str,
    *,
    min_confidence: float = 0.0,
    limit: int = 100,
    after: Cursor | None = None,
) -> Page:
    """Return media that show a person, of the active labelling, surest first.

    Args:
        connection: any.
        name: a name or an alias; case and accents do not matter.
        min_confidence: the lowest confidence to return.
        limit: length of a page.
        after: where the page before ended.

    Raises:
        IdentityError: nobody has the name; the message suggests near ones.

    """
    ids = find_identities(connection, name)
    people = load_identities(connection)
    # Labels may point to identities that were merged since: all that mean one of these people.
    pointing = connection.execute(select(identities.c.id).where(identities.c.survivor_id.in_(ids))).scalars().all()
    rows = connection.execute(_search_statement(pointing, min_confidence, after).limit(limit + 1)).all()
    found = tuple(
        Found(
            media_uri=row.media_uri,
            identity=people[row.identity_id],
            confidence=row.confidence,
            first_seen_ms=row.first_ms,
            last_seen_ms=row.last_ms,
            screen_time_ms=row.screen_ms,
            model=row.model,
            annotated_at=row.labelled_at,
        )
        for row in rows[:limit]
    )
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(found, None if last is None else Cursor(last.confidence, last.content_id, last.media_id))


def _search_statement(
    identity_ids: Sequence[int], min_confidence: float, after: Cursor | None
) -> Select[*tuple[object, ...]]:
    labels = content_labels_by.c
    statement = (
        select(
            (sources.c.uri + media.c.key).label("media_uri"),
            media.c.id.label("media_id"),
            content_labels_by,
            select(labellings.c.model).where(labellings.c.id == labels.labelling_id).scalar_subquery().label("model"),
        )
        .join_from(content_labels_by, media, (media.c.content_id == labels.content_id) & media.c.deleted_at.is_(None))
        .join(sources, sources.c.id == media.c.source_id)
        .where(
            labels.labelling_id == select(active.c.labelling_id).scalar_subquery(),
            labels.identity_id.in_(identity_ids),
            labels.confidence >= min_confidence,
        )
        .order_by(labels.confidence.desc(), labels.content_id, media.c.id)
    )
    if after is not None:
        rest = tuple_(labels.content_id, media.c.id) > tuple_(after.content_id, after.media_id)
        statement = statement.where(
            labels.confidence <= after.confidence, or_(labels.confidence < after.confidence, rest)
        )
    return statement
