"""Who has which item in hand: the most worthwhile one goes to who asks first, and to nobody else for some minutes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, exists, func, or_, select, tuple_, update

from annotator.store.registry import active_labelling, active_network
from annotator.store.review.scanning import LEAST_CONFIDENCE, MOST_CONFIDENCE, is_unsure
from annotator.store.tables import (
    media,
    overruled_labels,
    review_decisions,
    review_items,
    sources,
    track_labels,
    tracks,
)
from annotator.store.web.people import Person, find_people
from annotator.types import MediaRef

LEASE: Final = timedelta(minutes=10)
"""Whoever has an item and says nothing keeps it so long."""

# Items that are out of date are taken from the queue as they come up: with each one all that are among the best, and so
# many times for one that is asked for. After a promotion most of a queue may be out of date.
_LOOKED_AT: Final = 200
_AT_ONCE: Final = 2_000
_COUNTED: Final = 10_000


@dataclass(frozen=True, slots=True)
class ItemKey:
    """Which track.

    Attributes:
        network_id: whose track it is.
        content_id: of which content.
        track_no: which of its tracks.

    """

    network_id: int
    content_id: int
    track_no: int

    def of(self, table: Table) -> ColumnElement[bool]:
        """Return the condition that a row of a table is about it."""
        names = ("network_id", "content_id", "track_no")
        return and_(*(table.c[name] == getattr(self, name) for name in names))


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """A track that somebody is asked about.

    Attributes:
        key: which track.
        media_id: of the first media that shows it.
        ref: where that media is.
        candidates: people with their confidence, best first; at least one.
        is_named: the first one is the track's name; else nobody is sure enough.
        first_ms: when it is seen first.
        last_ms: when its last appearance ends.
        face_px: size of its best face; None where there is none.
        faces: in how many of the frames that were looked at it is found.

    """

    key: ItemKey
    media_id: int
    ref: MediaRef
    candidates: tuple[tuple[Person, float], ...]
    is_named: bool
    first_ms: int
    last_ms: int
    face_px: float | None
    faces: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far reviewing has come.

    Attributes:
        mine: decided by the reviewer today, in UTC.
        of_all: decided by anybody today.
        waiting: in the queue; more than ``most_counted`` are not counted.
        most_counted: up to where they are.

    """

    mine: int
    of_all: int
    waiting: int
    most_counted: int = _COUNTED


def lease_item(connection: Connection, reviewer: str, *, now: datetime) -> ReviewItem | None:
    """Give a reviewer the item in hand, or the most worthwhile one that nobody has; None where nothing is left.

    Args:
        connection: in a transaction that writes.
        reviewer: name of the account.
        now: the time; the item is the reviewer's for ``LEASE`` from then on.

    """
    network_id, labelling_id = active_network(connection), active_labelling(connection)
    if network_id is None or labelling_id is None:
        return None
    for _ in range(_LOOKED_AT):
        row = _in_hand(connection, network_id, reviewer, now) or _best(connection, network_id, reviewer, now)
        if row is None:
            return None
        key = ItemKey(row.network_id, row.content_id, row.track_no)
        item = _item(connection, labelling_id, key, row.candidates)
        if item is not None:
            lease = {"leased_to": reviewer, "leased_until": now + LEASE}
            connection.execute(update(review_items).where(key.of(review_items)).values(**lease))
            return item
        connection.execute(delete(review_items).where(key.of(review_items)))
        _drop_outdated(connection, network_id, labelling_id, now)
    return None


def _drop_outdated(connection: Connection, network_id: int, labelling_id: int, now: datetime) -> None:
    """Take those of the best items that nobody has from the queue that are spoken of, or named for sure, by now."""
    items, labels, spoken = review_items.c, track_labels.c, overruled_labels.c
    best = (
        select(items.content_id, items.track_no)
        .where(*_is_open(network_id), _is_free(now))
        .order_by(items.worth.desc(), items.content_id, items.track_no)
        .limit(_AT_ONCE)
        .subquery()
    )
    has_word = exists().where(
        spoken.labelling_id == labelling_id,
        spoken.content_id == best.c.content_id,
        spoken.track_no == best.c.track_no,
    )
    is_sure = exists().where(
        labels.labelling_id == labelling_id,
        labels.content_id == best.c.content_id,
        labels.track_no == best.c.track_no,
        ~labels.confidence.between(LEAST_CONFIDENCE, MOST_CONFIDENCE),
    )
    outdated = select(best.c.content_id, best.c.track_no).where(or_(has_word, is_sure))
    connection.execute(
        delete(review_items).where(
            *_is_open(network_id), _is_free(now), tuple_(items.content_id, items.track_no).in_(outdated)
        )
    )


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(review_items.c.leased_until.is_(None), review_items.c.leased_until <= now)


def progress_of(connection: Connection, reviewer: str, *, now: datetime) -> Progress:
    """Return how far reviewing has come today."""
    table = review_decisions.c
    since = now.replace(hour=0, minute=0, second=0, microsecond=0)
    mine = func.count().filter(table.decided_by == reviewer)
    today = select(mine, func.count()).where(
        table.decided_at >= since, table.undone_at.is_(None), table.verdict != "skip"
    )
    decided = connection.execute(today).one()
    network_id = active_network(connection)
    some = select(review_items.c.track_no).where(*_is_open(network_id)).limit(_COUNTED).subquery()
    waiting = connection.execute(select(func.count()).select_from(some)).scalar_one()
    return Progress(decided[0], decided[1], waiting)


def _is_open(network_id: int | None) -> tuple[ColumnElement[bool], ...]:
    return review_items.c.network_id == network_id, review_items.c.decided_at.is_(None)


def _in_hand(connection: Connection, network_id: int, reviewer: str, now: datetime) -> Any:  # noqa: ANN401 - a row
    mine = (review_items.c.leased_to == reviewer, review_items.c.leased_until > now)
    statement = select(review_items).where(*_is_open(network_id), *mine).order_by(review_items.c.leased_until)
    return connection.execute(statement.limit(1).with_for_update()).one_or_none()


def _best(connection: Connection, network_id: int, reviewer: str, now: datetime) -> Any:  # noqa: ANN401 - a row
    """Return the best item that nobody has and the reviewer has not skipped, locked; what others lock is passed by."""
    items, skipped = review_items.c, review_decisions.c
    was_skipped = exists().where(
        skipped.network_id == items.network_id,
        skipped.content_id == items.content_id,
        skipped.track_no == items.track_no,
        skipped.decided_by == reviewer,
        skipped.verdict == "skip",
        skipped.undone_at.is_(None),
    )
    statement = (
        select(review_items)
        .where(*_is_open(network_id), _is_free(now), ~was_skipped)
        .order_by(items.worth.desc(), items.content_id, items.track_no)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(statement).one_or_none()


def _item(
    connection: Connection, labelling_id: int, key: ItemKey, of_unknown: Sequence[Sequence[Any]] | None
) -> ReviewItem | None:
    """Return an item as it is now; None where it needs no look any more, or nothing can be looked at."""
    labels, spoken = track_labels.c, overruled_labels.c
    has_word = exists().where(
        spoken.labelling_id == labelling_id, spoken.content_id == key.content_id, spoken.track_no == key.track_no
    )
    track = connection.execute(select(tracks).where(key.of(tracks), ~has_word)).one_or_none()
    shown = first_media(connection, key.content_id)
    if track is None or shown is None:
        return None
    label = connection.execute(
        select(track_labels).where(
            labels.labelling_id == labelling_id, labels.content_id == key.content_id, labels.track_no == key.track_no
        )
    ).one_or_none()
    candidates = [(one[0], one[2]) for one in of_unknown or ()] if label is None else _candidates(label)
    if not candidates or not is_unsure(candidates[0][1]):
        return None
    people = find_people(connection, [one for one, _ in candidates])
    known = tuple((people[one], float(confidence)) for one, confidence in candidates if one in people)
    if not known:  # whoever it might be was taken down
        return None
    return ReviewItem(
        key,
        shown[0],
        shown[1],
        known,
        is_named=label is not None,
        first_ms=track.first_ms,
        last_ms=track.last_ms,
        face_px=track.face_px,
        faces=track.faces,
    )


def _candidates(label: Any) -> list[tuple[int, float]]:  # noqa: ANN401 - a row
    found = [(label.identity_id, label.confidence)]
    if label.runner_up_id is not None:
        found.append((label.runner_up_id, label.runner_up_confidence))
    return found + [(one[0], one[2]) for one in label.candidates or ()]


def first_media(connection: Connection, content_id: int) -> tuple[int, MediaRef] | None:
    """Return the first media that holds a content, with its id; None where all are gone."""
    row = connection.execute(
        select(media.c.id, (sources.c.uri + media.c.key).label("uri"), media.c.etag)
        .join_from(media, sources, sources.c.id == media.c.source_id)
        .where(media.c.content_id == content_id, media.c.deleted_at.is_(None))
        .order_by(media.c.id)
        .limit(1)
    ).one_or_none()
    return None if row is None else (row.id, MediaRef(row.uri, row.uri, row.etag))
