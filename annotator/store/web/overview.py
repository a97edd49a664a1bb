"""What there is, in a few numbers that cost nothing at any size."""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from annotator.store.registry import active_labelling
from annotator.store.tables import (
    active,
    annotations,
    content_labels_by,
    identities,
    labellings,
    media,
    sources,
    tracks,
)


@dataclass(frozen=True, slots=True)
class Overview:
    """What there is.

    Attributes:
        media: how many are in which state, by the word of the view ``media_states``.
        people: who can be named.
        model: whose names are shown; None in an empty database.

    """

    media: dict[str, int]
    people: int
    model: str | None


@dataclass(frozen=True, slots=True)
class NewMedia:
    """A media that was looked at lately.

    Attributes:
        media_id: its number.
        uri: where it is.
        content_id: of its bytes.
        people: who is in it, as labels hold them, surest first, with confidence.
        longest_track: the number of the track that is seen longest; None where no face was found.

    """

    media_id: int
    uri: str
    content_id: int
    people: tuple[tuple[int, float], ...]
    longest_track: int | None


def newest_media(connection: Connection, *, limit: int) -> list[NewMedia]:
    """Return media whose bytes were read last for the first time, newest first; of those with the same bytes one.

    Args:
        connection: any.
        limit: at most so many; fewer where media of these are gone.

    """
    labelling_id = active_labelling(connection)
    network = select(labellings.c.network_id).where(labellings.c.id == labelling_id).scalar_subquery()
    newest = (
        select(annotations.c.content_id)
        .where(annotations.c.network_id == network)
        .order_by(annotations.c.content_id.desc())
        .limit(limit)
        .subquery()
    )
    first = (
        select(func.min(media.c.id).label("id"))
        .where(media.c.content_id.in_(select(newest.c.content_id)), media.c.deleted_at.is_(None))
        .group_by(media.c.content_id)
        .subquery()
    )
    rows = connection.execute(
        select(media.c.id, (sources.c.uri + media.c.key).label("uri"), media.c.content_id)
        .join_from(media, first, first.c.id == media.c.id)
        .join(sources, sources.c.id == media.c.source_id)
        .order_by(media.c.content_id.desc())
    ).all()
    content_ids = [row.content_id for row in rows]
    labels = content_labels_by.c
    people: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for content_id, identity_id, confidence in connection.execute(
        select(labels.content_id, labels.identity_id, labels.confidence)
        .where(labels.labelling_id == labelling_id, labels.content_id.in_(content_ids))
        .order_by(labels.confidence.desc(), labels.identity_id)
    ):
        people[content_id].append((identity_id, confidence))
    longest: dict[int, int] = {}
    for content_id, track_no in connection.execute(
        select(tracks.c.content_id, tracks.c.track_no)
        .where(tracks.c.network_id == network, tracks.c.content_id.in_(content_ids))
        .order_by(tracks.c.screen_ms.desc(), tracks.c.track_no)
    ):
        longest.setdefault(content_id, track_no)
    return [
        NewMedia(row.id, row.uri, row.content_id, tuple(people[row.content_id]), longest.get(row.content_id))
        for row in rows
    ]


def overview_of(connection: Connection) -> Overview:
    """Return what there is, of the active labelling."""
    states = connection.execute(text("SELECT status, sum(media) AS media FROM media_states GROUP BY status"))
    people = select(func.count()).select_from(identities).where(identities.c.merged_into.is_(None))
    model = select(labellings.c.model).join(active, active.c.labelling_id == labellings.c.id)
    return Overview(
        media={row.status: int(row.media) for row in states},
        people=connection.execute(people).scalar_one(),
        model=connection.execute(model).scalar_one_or_none(),
    )
