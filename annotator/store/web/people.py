"""People as pages and the API show them: found by what is typed, listed, and one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, Subquery, func, or_, select, union

from annotator.store.identities import name_key
from annotator.store.ids import LARGEST_ID
from annotator.store.tables import (
    active,
    co_appearances_by,
    enrolled_faces,
    identities,
    identity_aliases,
    identity_counts_by,
    labelling_identities,
)

_ESCAPE: Final = "\\"
_COMPANIONS: Final = 8  # people with whom somebody is seen most


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can be named.

    Attributes:
        person_id: of the person who took over, where somebody was merged.
        name: as people write it.
        kg_mid: Knowledge Graph id; None where it is not known.
        media: in how many the person is seen, as of the last roll-up.
        screen_ms: displayed time in all of them.

    """

    person_id: int
    name: str
    kg_mid: str | None
    media: int
    screen_ms: int


@dataclass(frozen=True, slots=True)
class PersonDetails:
    """What else is known of a person.

    Attributes:
        person: the person.
        aliases: other names that find the person.
        photographs: behind the prototype of the model that is shown.
        enrolled: photographs that were added here.
        best_confidence: of the surest label; None where the person is seen nowhere.
        companions: who is seen with the person most often, with the number of media.

    """

    person: Person
    aliases: tuple[str, ...]
    photographs: int
    enrolled: int
    best_confidence: float | None
    companions: tuple[tuple[Person, int], ...]


def suggest_people(connection: Connection, typed: str, *, limit: int = 10) -> list[Person]:
    """Return who may be meant by the beginning of a name or of one of its words, most seen first.

    Args:
        connection: any.
        typed: the beginning; case and accents do not matter.
        limit: at most so many.

    """
    key = name_key(typed)
    if not key:
        return []
    escaped = key.replace(_ESCAPE, _ESCAPE * 2).replace("%", rf"{_ESCAPE}%").replace("_", rf"{_ESCAPE}_")

    def matches(column: Any) -> Any:  # noqa: ANN401 - an SQL expression
        begins, begins_word = f"{escaped}%", f"% {escaped}%"
        return or_(column.like(begins, escape=_ESCAPE), column.like(begins_word, escape=_ESCAPE))

    found = union(
        select(identities.c.survivor_id.label("id")).where(matches(identities.c.name_key)),
        select(identities.c.survivor_id.label("id"))
        .join_from(identity_aliases, identities, identities.c.id == identity_aliases.c.identity_id)
        .where(matches(identity_aliases.c.name_key)),
    ).subquery()
    counts = _counts()
    statement = (
        _people(counts).where(identities.c.id.in_(select(found.c.id))).order_by(*_most_seen(counts)).limit(limit)
    )
    return [_person(row) for row in connection.execute(statement)]


def list_people(connection: Connection, *, limit: int, after: tuple[int, int] | None = None) -> list[Person]:
    """Return people, most seen first.

    Args:
        connection: any.
        limit: at most so many.
        after: media and id of the person where the page before ended.

    """
    counts = _counts()
    statement = _people(counts).order_by(*_most_seen(counts)).limit(limit)
    if after is not None:
        seen = func.coalesce(counts.c.media, 0)
        statement = statement.where(or_(seen < after[0], (seen == after[0]) & (identities.c.id > after[1])))
    return [_person(row) for row in connection.execute(statement)]


def find_person(connection: Connection, person_id: int) -> Person | None:
    """Return a person by id; of somebody who was merged, who took over. None where there is nobody."""
    if person_id > LARGEST_ID:
        return None
    counts = _counts()
    survivor = select(identities.c.survivor_id).where(identities.c.id == person_id).scalar_subquery()
    row = connection.execute(_people(counts).where(identities.c.id == survivor)).one_or_none()
    return None if row is None else _person(row)


def find_people(connection: Connection, person_ids: Sequence[int]) -> dict[int, Person]:
    """Return people by the ids that labels hold; of those who were merged, who took over."""
    survivors = {
        row.id: row.survivor_id
        for row in connection.execute(
            select(identities.c.id, identities.c.survivor_id).where(identities.c.id.in_(person_ids))
        )
    }
    counts = _counts()
    rows = connection.execute(_people(counts).where(identities.c.id.in_(set(survivors.values()))))
    by_id = {row.id: _person(row) for row in rows}
    return {one: by_id[survivor] for one, survivor in survivors.items()}


def ids_of_people(connection: Connection, person_ids: Sequence[int]) -> list[int]:
    """Return all ids that labels may hold for people: their own, and those of who was merged into them."""
    statement = select(identities.c.id).where(identities.c.survivor_id.in_(person_ids)).order_by(identities.c.id)
    return list(connection.execute(statement).scalars())


def aliases_of(connection: Connection, person_ids: Sequence[int]) -> list[str]:
    """Return the further names of a person by all ids that mean it, without those of who was merged: these stay."""
    aliases = select(identity_aliases.c.name).where(identity_aliases.c.identity_id.in_(person_ids))
    return list(connection.execute(aliases.order_by(identity_aliases.c.name)).scalars())


def describe_person(connection: Connection, person: Person) -> PersonDetails:
    """Return what else is known of a person."""
    ids = ids_of_people(connection, [person.person_id])
    former = select(identities.c.name).where(
        identities.c.survivor_id == person.person_id, identities.c.id != person.person_id
    )
    aliases = select(identity_aliases.c.name).where(identity_aliases.c.identity_id.in_(ids))
    labelling = select(active.c.labelling_id).scalar_subquery()
    photographs = select(func.coalesce(func.sum(labelling_identities.c.photographs), 0)).where(
        labelling_identities.c.labelling_id == labelling, labelling_identities.c.identity_id.in_(ids)
    )
    enrolled = select(func.count(enrolled_faces.c.photo_sha256.distinct())).where(enrolled_faces.c.identity_id.in_(ids))
    best = select(func.max(identity_counts_by.c.best_confidence)).where(
        identity_counts_by.c.labelling_id == labelling, identity_counts_by.c.identity_id.in_(ids)
    )
    return PersonDetails(
        person=person,
        aliases=tuple(sorted(set(connection.execute(union(former, aliases)).scalars()) - {person.name})),
        photographs=int(connection.execute(photographs).scalar_one()),
        enrolled=int(connection.execute(enrolled).scalar_one()),
        best_confidence=connection.execute(best).scalar_one(),
        companions=_companions(connection, ids),
    )


def _companions(connection: Connection, ids: Sequence[int]) -> tuple[tuple[Person, int], ...]:
    together = co_appearances_by.c
    media = func.sum(together.media)
    rows = connection.execute(
        select(identities.c.survivor_id, media.label("media"))
        .join_from(co_appearances_by, identities, identities.c.id == together.other_identity_id)
        .where(
            together.labelling_id == select(active.c.labelling_id).scalar_subquery(),
            together.identity_id.in_(ids),
            identities.c.survivor_id.not_in(ids),
        )
        .group_by(identities.c.survivor_id)
        .order_by(media.desc(), identities.c.survivor_id)
        .limit(_COMPANIONS)
    ).all()
    people = find_people(connection, [row.survivor_id for row in rows])
    return tuple((people[row.survivor_id], int(row.media)) for row in rows)


def _counts() -> Subquery:
    """Return how often each person is seen, under the id of who took over."""
    return (
        select(
            identities.c.survivor_id.label("id"),
            func.sum(identity_counts_by.c.media).label("media"),
            func.sum(identity_counts_by.c.screen_ms).label("screen_ms"),
        )
        .join_from(identity_counts_by, identities, identities.c.id == identity_counts_by.c.identity_id)
        .where(identity_counts_by.c.labelling_id == select(active.c.labelling_id).scalar_subquery())
        .group_by(identities.c.survivor_id)
        .subquery()
    )


def _people(counts: Subquery) -> Select[*tuple[Any, ...]]:
    return (
        select(
            identities.c.id,
            identities.c.name,
            identities.c.kg_mid,
            func.coalesce(counts.c.media, 0).label("media"),
            func.coalesce(counts.c.screen_ms, 0).label("screen_ms"),
        )
        .join_from(identities, counts, counts.c.id == identities.c.id, isouter=True)
        .where(identities.c.merged_into.is_(None))
    )


def _most_seen(counts: Subquery) -> tuple[Any, ...]:
    return func.coalesce(counts.c.media, 0).desc(), identities.c.id


def _person(row: Any) -> Person:  # noqa: ANN401 - a row of _people
    return Person(row.id, row.name, row.kg_mid, int(row.media), int(row.screen_ms))
