"""Media that show one person or several: filtered, surest first, page by page, at any size."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, FromClause, Select, and_, exists, func, or_, select, text, tuple_

from annotator.store.dialect import is_postgres
from annotator.store.tables import (
    active,
    annotations,
    content_labels_by,
    labellings,
    media,
    sources,
    track_labels,
    tracks,
)
from annotator.store.web.people import ids_of_people

_FEW: Final = 5_000
"""So many labels of somebody are looked at in some milliseconds."""

_BY_SETS: Final = ("bitmapscan", "sort", "hashjoin", "mergejoin")
_FOLLOW_INDEXES: Final = "; ".join(f"SET LOCAL enable_{way} = off" for way in _BY_SETS)
"""Postgres believes that nearly nothing is found, and gathers all of two famous people, to sort it: in the order of an
index, a page is full long before."""

_AS_BEFORE: Final = "; ".join(f"SET LOCAL enable_{way} = DEFAULT" for way in _BY_SETS)


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for.

    Attributes:
        people: who must be in the media, all of them; of each, the ids that mean the person. The labels of the first
            one give the order.
        is_in_one_shot: all of them in one and the same shot.
        min_confidence: of each of their labels, in [0, 1].
        since: only what was labelled then or later; None takes all.
        before: only what was labelled before; None takes all.
        labelling_id: whose names; None is the labelling that is shown.

    """

    people: tuple[tuple[int, ...], ...]
    is_in_one_shot: bool = False
    min_confidence: float = 0.0
    since: datetime | None = None
    before: datetime | None = None
    labelling_id: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of a search ended; the next one goes on behind it, whatever is added meanwhile.

    Attributes:
        confidence: of the first person's label.
        content_id: of the content.
        media_id: of the media.

    """

    confidence: float
    content_id: int
    media_id: int


@dataclass(frozen=True, slots=True)
class Appearance:
    """One person in one media.

    Attributes:
        identity_id: as the label holds it.
        confidence: of the label.
        first_ms: start of the first appearance.
        last_ms: end of the last one.
        screen_ms: displayed time with the person.

    """

    identity_id: int
    confidence: float
    first_ms: int
    last_ms: int
    screen_ms: int


@dataclass(frozen=True, slots=True)
class FoundMedia:
    """A media that shows whom is looked for.

    Attributes:
        media_id: its number.
        uri: where it is.
        size_wh: of its frames, in pixels.
        duration_ms: how long it is; None for a picture.
        labelled_at: when it got its names.
        appearances: of those looked for, in their order.
        place: where a page that ends here goes on.

    """

    media_id: int
    uri: str
    size_wh: tuple[int, int]
    duration_ms: int | None
    labelled_at: datetime
    appearances: tuple[Appearance, ...]
    place: Place


def find_media_with(
    connection: Connection, question: Question, *, limit: int, after: Place | None = None
) -> list[FoundMedia]:
    """Return media that show people, surest first.

    Args:
        connection: any.
        question: what is looked for.
        limit: at most so many.
        after: where the page before ended.

    """
    ids = [ids_of_people(connection, meant) for meant in question.people]
    shown = _labelling(connection, question.labelling_id)
    if not ids or not all(ids) or shown is None:
        return []
    if is_postgres(connection):
        connection.execute(text(_FOLLOW_INDEXES))
    rare = _rare_person(connection, question, shown, ids)
    statement = _statement(question, shown, ids, rare=rare, limit=limit, after=after)
    found = [_found(row, len(ids)) for row in connection.execute(statement)]
    if is_postgres(connection):
        connection.execute(text(_AS_BEFORE))
    return found


class _Labelling(NamedTuple):
    id: int
    network_id: int


def _labelling(connection: Connection, labelling_id: int | None) -> _Labelling | None:
    """Return whose names are looked at. Told as numbers, the database plans with their partitions alone."""
    asked = select(active.c.labelling_id).scalar_subquery() if labelling_id is None else labelling_id
    row = connection.execute(select(labellings.c.id, labellings.c.network_id).where(labellings.c.id == asked)).first()
    return None if row is None else _Labelling(*row)


def _rare_person(
    connection: Connection, question: Question, shown: _Labelling, ids: Sequence[Sequence[int]]
) -> int | None:
    """Return which of several people has so few labels that all of them can be looked at, where the first one has more.

    Without that, all that shows somebody famous would be looked through for the few media that show the other one, too.
    """
    if len(ids) < 2:
        return None
    table = content_labels_by.c
    counts = []
    for its_ids in ids:
        some = select(table.content_id).where(
            table.labelling_id == shown.id,
            table.identity_id.in_(its_ids),
            table.confidence >= question.min_confidence,
        )
        counts.append(connection.execute(select(func.count()).select_from(some.limit(_FEW).subquery())).scalar_one())
    rare = counts.index(min(counts))
    return rare if counts[rare] < counts[0] else None


def _statement(
    question: Question,
    shown: _Labelling,
    ids: Sequence[Sequence[int]],
    *,
    rare: int | None,
    limit: int,
    after: Place | None,
) -> Select[*tuple[Any, ...]]:
    """Return the query: the media of a page, and then what is told of them.

    Args:
        question: what is looked for.
        shown: whose names.
        ids: of each person.
        rare: the person whose labels are looked at first; None leaves it to the database.
        limit: at most so many.
        after: where the page before ended.

    """
    labels: list[FromClause] = [content_labels_by.alias(f"person_{number}") for number in range(len(ids))]
    if rare is not None:
        # Postgres would begin with somebody famous, of whom it expects few labels.
        all_of_rare = select(content_labels_by).where(
            content_labels_by.c.labelling_id == shown.id, content_labels_by.c.identity_id.in_(ids[rare])
        )
        labels[rare] = all_of_rare.cte(f"person_{rare}").prefix_with("MATERIALIZED", dialect="postgresql")
    first = labels[0].c
    columns = [
        column.label(f"{column.name}_{number}")
        for number, one in enumerate(labels)
        for column in (one.c.identity_id, one.c.confidence, one.c.first_ms, one.c.last_ms, one.c.screen_ms)
    ]
    page: Select[*tuple[Any, ...]] = select(
        media.c.id.label("media_id"), media.c.source_id, media.c.key, first.content_id, first.labelled_at, *columns
    ).select_from(labels[0])
    for one in labels[1:]:
        page = page.join(one, (one.c.labelling_id == first.labelling_id) & (one.c.content_id == first.content_id))
    # A sum leaves no other way to media than from the last label: they are looked for when all people are in them.
    page = page.join(media, (media.c.content_id == labels[-1].c.content_id + 0) & media.c.deleted_at.is_(None))
    for number, (one, its_ids) in enumerate(zip(labels, ids, strict=True)):
        # No index holds a sum: the others are found by the contents of the rare one.
        identity_id = one.c.identity_id if rare is None or number == rare else one.c.identity_id + 0
        page = page.where(identity_id.in_(its_ids), one.c.confidence >= question.min_confidence)
        if len(its_ids) > 1:
            page = page.where(~_has_surer_label(one, its_ids))
    page = page.where(labels[rare or 0].c.labelling_id == shown.id)
    if question.since is not None:
        page = page.where(first.labelled_at >= question.since)
    if question.before is not None:
        page = page.where(first.labelled_at < question.before)
    if question.is_in_one_shot and len(ids) > 1:
        page = page.where(_in_one_shot(shown, labels, ids))
    if after is not None:
        rest = tuple_(first.content_id, media.c.id) > tuple_(after.content_id, after.media_id)
        page = page.where(first.confidence <= after.confidence, or_(first.confidence < after.confidence, rest))
    of_page = page.order_by(first.confidence.desc(), first.content_id, media.c.id).limit(limit).subquery("page")
    about = annotations.c
    return (
        select(
            of_page, (sources.c.uri + of_page.c.key).label("uri"), about.width_px, about.height_px, about.duration_ms
        )
        .join(sources, sources.c.id == of_page.c.source_id)
        .join(annotations, (about.network_id == shown.network_id) & (about.content_id == of_page.c.content_id))
        .order_by(of_page.c.confidence_0.desc(), of_page.c.content_id, of_page.c.media_id)
    )


def _has_surer_label(one: Any, its_ids: Sequence[int]) -> Any:  # noqa: ANN401 - SQL expressions
    """Return whether another one of the people whom a name means has a surer label in the same content."""
    other = content_labels_by.alias()
    return exists().where(
        other.c.labelling_id == one.c.labelling_id,
        other.c.content_id == one.c.content_id,
        other.c.identity_id.in_(its_ids),
        or_(
            other.c.confidence > one.c.confidence,
            and_(other.c.confidence == one.c.confidence, other.c.identity_id < one.c.identity_id),
        ),
    )


def _in_one_shot(shown: _Labelling, labels: Sequence[Any], ids: Sequence[Sequence[int]]) -> Any:  # noqa: ANN401 - SQL
    """Return whether there is a shot with a track of each of them.

    Each track hangs on the label of its own person: so no database looks at tracks before it knows that all of them are
    in the media, which few are.
    """
    condition = []
    shots = []
    for number, (one, its_ids) in enumerate(zip(labels, ids, strict=True)):
        label, track = track_labels.alias(f"label_{number}"), tracks.alias(f"track_{number}")
        condition += [
            label.c.labelling_id == one.c.labelling_id,
            label.c.content_id == one.c.content_id,
            label.c.identity_id.in_(its_ids),
            track.c.network_id == shown.network_id,
            track.c.content_id == one.c.content_id,
            track.c.track_no == label.c.track_no,
        ]
        shots.append(track.c.shot_no)
    condition += [shot == shots[0] for shot in shots[1:]]
    # The offset keeps Postgres from joining it to the rest: it would look at all tracks of one of them first.
    return exists(select(1).where(*condition).offset(0))


def _found(row: Any, people: int) -> FoundMedia:  # noqa: ANN401 - a row of _statement
    values = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    return FoundMedia(
        media_id=row.media_id,
        uri=row.uri,
        size_wh=(row.width_px, row.height_px),
        duration_ms=row.duration_ms,
        labelled_at=row.labelled_at,
        appearances=tuple(
            Appearance(
                identity_id=values[f"identity_id_{number}"],
                confidence=values[f"confidence_{number}"],
                first_ms=values[f"first_ms_{number}"],
                last_ms=values[f"last_ms_{number}"],
                screen_ms=values[f"screen_ms_{number}"],
            )
            for number in range(people)
        ),
        place=Place(row.confidence_0, row.content_id, row.media_id),
    )
