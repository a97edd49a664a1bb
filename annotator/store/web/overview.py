"""What there is, in a few numbers that cost nothing at any size."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, exists, func, select, text

from annotator.store.registry import active_labelling, active_network
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

# The media of all that was read lately may be gone: the first page does not wait until all are seen.
_MOST_LOOKED_AT: Final = 5_000


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
        limit: at most so many. Those that are gone from their source are passed over, 5,000 at most.

    """
    labelling_id, network_id = active_labelling(connection), active_network(connection)
    if labelling_id is None or network_id is None:
        return []
    shown = _newest_that_are_there(connection, network_id, limit)
    content_ids = list(shown)
    uris = dict(
        connection.execute(
            select(media.c.id, sources.c.uri + media.c.key)
            .join(sources, sources.c.id == media.c.source_id)
            .where(media.c.id.in_(list(shown.values())))
        ).all()
    )
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
        .where(tracks.c.network_id == network_id, tracks.c.content_id.in_(content_ids))
        .order_by(tracks.c.screen_ms.desc(), tracks.c.track_no)
    ):
        longest.setdefault(content_id, track_no)
    return [
        NewMedia(media_id, uris[media_id], content_id, tuple(people[content_id]), longest.get(content_id))
        for content_id, media_id in shown.items()
    ]


def _newest_that_are_there(connection: Connection, network_id: int, limit: int) -> dict[int, int]:
    """Return a media of each content that was read last for the first time, by content, newest first."""
    annotated = annotations.c
    # Any media will do: thousands may have the same bytes, and are not read for one of them.
    one_media = (
        select(media.c.id)
        .where(media.c.content_id == annotated.content_id, media.c.deleted_at.is_(None))
        .limit(1)
        .scalar_subquery()
    )
    newest = (
        select(annotated.content_id, one_media.label("media_id"))
        .where(annotated.network_id == network_id)
        .order_by(annotated.content_id.desc())
    )
    found: dict[int, int] = {}
    looked_at, before = 0, None
    while len(found) < limit and looked_at < _MOST_LOOKED_AT:
        size = min(max(limit, looked_at), _MOST_LOOKED_AT - looked_at)
        further = newest if before is None else newest.where(annotated.content_id < before)
        rows = connection.execute(further.limit(size)).all()
        found |= {row.content_id: row.media_id for row in rows if row.media_id is not None}
        if len(rows) < size:
            break
        before = rows[-1].content_id
        looked_at += size
    return dict(list(found.items())[:limit])


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


def is_named_since(connection: Connection, time: datetime) -> bool:
    """Say whether somebody was named, by what is shown, in clips after a time."""
    columns = content_labels_by.c
    later = (columns.labelling_id == active_labelling(connection)) & (columns.labelled_at > time)
    return bool(connection.execute(select(exists().where(later))).scalar_one())
