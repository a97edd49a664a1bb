"""People: names live in one table, labels point to them. Renaming and merging rewrite no label."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, select, text, union, update

from annotator.errors import IdentityError
from annotator.names import JOINERS, fault_of_name
from annotator.store.columns import utc_now
from annotator.store.dialect import given_ids, ids_param
from annotator.store.near_names import near_keys
from annotator.store.registry import insert_missing
from annotator.store.tables import (
    active,
    content_labels_by,
    enrolled_faces,
    identities,
    identity_aliases,
    labelling_identities,
)
from annotator.store.takedowns.tombstones import insist_on_nobody_taken_down
from annotator.types import Identity

_SUGGESTIONS: Final = 5
_TAKEN: Final = re.compile(r" \(merged into \d+\)$")  # as name_left writes it


@dataclass(frozen=True, slots=True)
class IdentityRecord:
    """A person as ``annotator identities`` lists them.

    Attributes:
        identity: name and Knowledge Graph id.
        aliases: other names that find the person: former names, merged ones.
        photographs: pictures behind the prototype of the active labelling, enrolled ones included; 0 where the active
            labelling does not know the person.
        enrolled: photographs enrolled here.
        contents: contents that the active labelling says show the person.

    """

    identity: Identity
    aliases: tuple[str, ...]
    photographs: int
    enrolled: int
    contents: int


def name_key(name: str) -> str:
    """Return a name without case, accents and spare spaces, for searching.

    >>> name_key("  Beyoncé  Knowles"), name_key("Żółć_Straße")
    ('beyonce knowles', 'zołc strasse')
    """
    if name.isascii():  # as most are; the rest changes nothing else of them
        return " ".join(name.replace("_", " ").lower().split())
    # Folded characters may decompose, and decomposed ones fold: three rounds settle all of Unicode.
    for _ in range(3):
        decomposed = unicodedata.normalize("NFKD", name.replace("_", " ").casefold())
        name = "".join(char for char in decomposed if not unicodedata.combining(char) and char not in JOINERS)
    return " ".join(name.split())


def names_to_ids(connection: Connection) -> dict[str, int]:
    """Return, for every name and alias, the id of the identity that stands for it now."""
    found = dict(connection.execute(select(identities.c.name, identities.c.survivor_id)).all())
    rows = connection.execute(
        select(identity_aliases.c.name, identities.c.survivor_id).join_from(
            identity_aliases, identities, identities.c.id == identity_aliases.c.identity_id
        )
    )
    for name, identity_id in rows:
        found.setdefault(name, identity_id)
    return {name: int(identity_id) for name, identity_id in found.items() if identity_id is not None}


def ids_of(connection: Connection, names: Collection[str]) -> dict[str, int]:
    """Return the ids of those who stand for some names or aliases now; unknown names are left out."""
    return {name: survivor_id for name, (_, survivor_id) in _owners(connection, names).items()}


@dataclass(frozen=True, slots=True)
class LabelIds:
    """Whom a label that a model gives is about.

    Attributes:
        identity_id: whom the labelling knows: who was merged stays apart in labels, so that a merge can be taken back.
        survivor_id: who stands for that one now.

    """

    identity_id: int
    survivor_id: int


def label_ids(connection: Connection, labelling_id: int, names: Collection[str]) -> dict[str, LabelIds]:
    """Return whom a labelling means by some names or aliases; unknown names are left out.

    Of several who became one it means whom it knows: the owner of the name, else the only one. A labelling that knew
    them apart goes on to do so; one that was made of all their photographs together knows who remained.
    """
    owners = _owners(connection, names)
    known: dict[int, set[int]] = {}
    statement = text(
        "SELECT i.id, i.survivor_id FROM labelling_identities k JOIN identities i ON i.id = k.identity_id"  # noqa: S608  (only constants are joined)
        f" WHERE k.labelling_id = :labelling AND i.survivor_id {given_ids(connection)}"
    )
    survivors = ids_param(connection, sorted({survivor_id for _, survivor_id in owners.values()}))
    for row in connection.execute(statement, {"labelling": labelling_id, "ids": survivors}):
        known.setdefault(int(row.survivor_id), set()).add(int(row.id))
    found = {}
    for name, (owner_id, survivor_id) in owners.items():
        ids = known.get(survivor_id, set())
        only = next(iter(ids)) if len(ids) == 1 else survivor_id
        found[name] = LabelIds(owner_id if owner_id in ids else only, survivor_id)
    return found


def _owners(connection: Connection, names: Collection[str]) -> dict[str, tuple[int, int]]:
    """Return who has some names or aliases, and who stands for that one now."""
    if not names:
        return {}
    is_asked = f"name {given_ids(connection, 'names')}"
    statement = text(
        f"SELECT name, id, survivor_id, 1 AS place FROM identities WHERE {is_asked}"  # noqa: S608  (only constants are joined)
        " UNION ALL SELECT a.name, i.id, i.survivor_id, 0 FROM identity_aliases a"
        f" JOIN identities i ON i.id = a.identity_id WHERE a.{is_asked} ORDER BY place"
    )
    found = connection.execute(statement, {"names": ids_param(connection, sorted(names))})
    return {row.name: (int(row.id), int(row.survivor_id)) for row in found}  # names go before aliases: they come last


def register_identities(connection: Connection, people: Iterable[Identity]) -> dict[str, int]:
    """Return the ids of people, by name; those who are new get one.

    A name is looked for among names and aliases; then the Knowledge Graph id decides: a person whose name a newer model
    corrects stays the same person, and the new name becomes an alias.
    """
    wanted = {person.name: person for person in people}
    known = names_to_ids(connection)
    missing = {name: person for name, person in wanted.items() if name not in known}
    same = _by_kg_mid(connection, missing.values(), other_than=wanted)
    for name, identity_id in same.items():
        _add_alias(connection, name, identity_id)
    added = [person for name, person in missing.items() if name not in same]
    if added:
        connection.execute(
            insert_missing(connection, identities).values(created_at=utc_now()),
            [{"name": one.name, "name_key": name_key(one.name), "kg_mid": one.kg_mid} for one in added],
        )
    known = names_to_ids(connection)
    return {name: known[name] for name in wanted}


def set_labelling_identities(connection: Connection, labelling_id: int, photographs: Mapping[int, int]) -> None:
    """Say whom a labelling knows, and from how many photographs; existing rows stay."""
    rows = [
        {"labelling_id": labelling_id, "identity_id": identity_id, "photographs": count}
        for identity_id, count in sorted(photographs.items())
    ]
    if rows:
        connection.execute(insert_missing(connection, labelling_identities), rows)


def register_people(connection: Connection, labelling_id: int, photographs: Mapping[Identity, int]) -> None:
    """Say whom a labelling knows, and from how many photographs; people who are new get ids."""
    register_identities(connection, photographs)
    ids = label_ids(connection, labelling_id, {identity.name for identity in photographs})
    counts: dict[int, int] = {}
    for identity, count in photographs.items():
        identity_id = ids[identity.name].identity_id
        counts[identity_id] = counts.get(identity_id, 0) + count
    set_labelling_identities(connection, labelling_id, counts)


def find_identities(connection: Connection, name: str) -> list[int]:
    """Return the ids of the people whom a name means, at best one: exactly, else without case and accents.

    Raises:
        IdentityError: nobody has the name; the message suggests near ones.

    """
    exact = ids_of(connection, [name]).get(name)
    if exact is not None:
        return [exact]
    key = name_key(name)
    alias = select(identities.c.survivor_id).join_from(
        identity_aliases, identities, identities.c.id == identity_aliases.c.identity_id
    )
    rows = connection.execute(
        union(
            select(identities.c.survivor_id).where(identities.c.name_key == key),
            alias.where(identity_aliases.c.name_key == key),
        )
    )
    found = sorted(int(identity_id) for identity_id in rows.scalars())
    if not found:
        near = suggest(connection, name)
        hint = f": did you mean {' or '.join(near)}?" if near else "; `annotator identities` lists who is known."
        raise IdentityError(f"nobody is called {name!r}{hint}", name=name, suggestions=near)
    return found


def suggest(connection: Connection, name: str) -> tuple[str, ...]:
    """Return at most five known names near to one that is not known: those with all of its words, then alike ones."""
    names = connection.execute(
        select(identities.c.name, identities.c.name_key).where(identities.c.merged_into.is_(None))
    )
    by_key: dict[str, str] = {key: shown for shown, key in names}
    return tuple(by_key[key] for key in near_keys(name_key(name), by_key)[:_SUGGESTIONS])


def rename(connection: Connection, name: str, new_name: str) -> Identity:
    """Give a person another name; the former one stays as an alias.

    Raises:
        IdentityError: nobody or several have the name, or somebody else has the new one.
        TakenDownError: the new name is of somebody who was taken down.

    """
    identity_id = the_one_called(connection, name)
    new_name = checked_name(new_name)
    insist_on_nobody_taken_down(connection, [Identity(new_name)])
    holder = ids_of(connection, [new_name]).get(new_name)
    if holder not in {None, identity_id}:
        raise IdentityError(
            f"somebody else is called {new_name!r} already: merge the two, if they are one person", name=new_name
        )
    row = connection.execute(select(identities.c.name).where(identities.c.id == identity_id)).one()
    if row.name != new_name:
        _free_name(connection, new_name, identity_id)
        connection.execute(
            update(identities).where(identities.c.id == identity_id).values(name=new_name, name_key=name_key(new_name))
        )
        _add_alias(connection, row.name, identity_id)
    return load_identity(connection, identity_id)


def two_people(connection: Connection, name: str, other: str) -> tuple[int, int]:
    """Return the ids of two different people.

    Raises:
        IdentityError: nobody or several have one of the names, or both mean one person.

    """
    first, second = the_one_called(connection, name), the_one_called(connection, other)
    if first == second:
        raise IdentityError(f"{name!r} and {other!r} are one person already", name=name)
    return first, second


def load_identity(connection: Connection, identity_id: int) -> Identity:
    """Return name and Knowledge Graph id."""
    row = connection.execute(select(identities.c.name, identities.c.kg_mid).where(identities.c.id == identity_id)).one()
    return Identity(row.name, row.kg_mid)


def load_identities(connection: Connection) -> dict[int, Identity]:
    """Return every person by id; the id of a merged person gives the one who took over."""
    return {identity_id: person for identity_id, (_, person) in load_survivors(connection).items()}


def one_person(connection: Connection, person_id: int) -> list[int]:
    """Return all identities that are one person with this one, who stands for them first."""
    survivor = select(identities.c.survivor_id).where(identities.c.id == person_id).scalar_subquery()
    mine = select(identities.c.id).where(identities.c.survivor_id == survivor)
    return list(connection.execute(mine.order_by(identities.c.merged_into.is_not(None), identities.c.id)).scalars())


def load_survivors(connection: Connection) -> dict[int, tuple[int, Identity]]:
    """Return, by every id, id and person of whoever stands for it now: of a merged person, the one who took over."""
    survivor = identities.alias()
    rows = connection.execute(
        select(identities.c.id, identities.c.survivor_id, survivor.c.name, survivor.c.kg_mid).join_from(
            identities, survivor, survivor.c.id == identities.c.survivor_id
        )
    )
    return {identity_id: (survivor_id, Identity(name, kg_mid)) for identity_id, survivor_id, name, kg_mid in rows}


def former_names(connection: Connection) -> dict[str, Identity]:
    """Return the names that no longer are anybody's, with the person they mean: what a gallery must rename or merge."""
    people = load_identities(connection)
    return {
        name: people[identity_id]
        for name, identity_id in names_to_ids(connection).items()
        if people[identity_id].name != name
    }


def list_identities(connection: Connection) -> list[IdentityRecord]:
    """Return everybody, by name, with the counts of the active labelling."""
    labelling = select(active.c.labelling_id).scalar_subquery()
    photographs = _counts(
        connection,
        select(identities.c.survivor_id, func.sum(labelling_identities.c.photographs))
        .join_from(labelling_identities, identities, identities.c.id == labelling_identities.c.identity_id)
        .where(labelling_identities.c.labelling_id == labelling)
        .group_by(identities.c.survivor_id),
    )
    enrolled = _counts(
        connection,
        select(identities.c.survivor_id, func.count(enrolled_faces.c.photo_sha256.distinct()))
        .join_from(enrolled_faces, identities, identities.c.id == enrolled_faces.c.identity_id)
        .group_by(identities.c.survivor_id),
    )
    labels = _counts(
        connection,
        select(identities.c.survivor_id, func.count(content_labels_by.c.content_id.distinct()))
        .join_from(content_labels_by, identities, identities.c.id == content_labels_by.c.identity_id)
        .where(content_labels_by.c.labelling_id == labelling)
        .group_by(identities.c.survivor_id),
    )
    aliases: dict[int, list[str]] = {}
    people = load_identities(connection)
    ids = names_to_ids(connection)
    for name, identity_id in sorted(ids.items()):
        if people[identity_id].name != name:
            aliases.setdefault(identity_id, []).append(name)
    survivors = {identity_id: people[identity_id] for identity_id in set(ids.values())}
    return [
        IdentityRecord(
            identity=identity,
            aliases=tuple(aliases.get(identity_id, ())),
            photographs=photographs.get(identity_id, 0),
            enrolled=enrolled.get(identity_id, 0),
            contents=labels.get(identity_id, 0),
        )
        for identity_id, identity in sorted(survivors.items(), key=lambda item: (name_key(item[1].name), item[1].name))
    ]


def _counts(connection: Connection, statement: "object") -> dict[int, int]:
    rows = connection.execute(statement)  # type: ignore[call-overload]  # any SELECT of an id and a number
    return {int(identity_id): int(count) for identity_id, count in rows}


def _by_kg_mid(
    connection: Connection, people: Collection[Identity], *, other_than: Mapping[str, Identity]
) -> dict[str, int]:
    """Return ids of people known under another name: exactly one of that id, whose name nobody else in hand has."""
    by_mid: dict[str, list[Row[Any]]] = {person.kg_mid: [] for person in people if person.kg_mid is not None}
    statement = text(
        "SELECT id, name, kg_mid FROM identities"  # noqa: S608  (only constants are joined)
        f" WHERE merged_into IS NULL AND kg_mid {given_ids(connection, 'mids')}"
    )
    for row in connection.execute(statement, {"mids": ids_param(connection, sorted(by_mid))}):
        by_mid[row.kg_mid].append(row)
    return {
        person.name: int(rows[0].id)
        for person in people
        if person.kg_mid is not None and len(rows := by_mid[person.kg_mid]) == 1 and rows[0].name not in other_than
    }


def the_one_called(connection: Connection, name: str) -> int:
    """Return the id of the person whom a name means.

    Raises:
        IdentityError: nobody or several have it.

    """
    found = find_identities(connection, name)
    if len(found) > 1:
        names = " and ".join(load_identity(connection, identity_id).name for identity_id in found)
        raise IdentityError(f"{name!r} may mean {names}: write the name exactly", name=name)
    return found[0]


def checked_name(name: str) -> str:
    """Return a name without spare spaces.

    Raises:
        IdentityError: it cannot be one (:func:`annotator.names.fault_of_name`).

    """
    cleaned = " ".join(name.split())
    fault = fault_of_name(cleaned)
    if fault is not None:
        raise IdentityError(f"{cleaned[:40]!r} is no name: {fault}", name=name)
    return cleaned


def _add_alias(connection: Connection, name: str, identity_id: int) -> None:
    connection.execute(
        insert_missing(connection, identity_aliases).values(name=name, name_key=name_key(name), identity_id=identity_id)
    )


def name_left(name: str, survivor_id: int) -> str:
    """Return what is left of the name of somebody who was merged, where who remained has taken it.

    >>> name_left("Ada", 7), name_without_rest(name_left("Ada", 7)), name_without_rest("Ada")
    ('Ada (merged into 7)', 'Ada', 'Ada')
    """
    return f"{name} (merged into {survivor_id})"


def name_without_rest(name: str) -> str:
    """Return a name as it was before it was taken, or as it is."""
    return _TAKEN.sub("", name)


def _free_name(connection: Connection, name: str, identity_id: int) -> None:
    """Take a name back from an alias, or from an identity that was merged into this one."""
    connection.execute(delete(identity_aliases).where(identity_aliases.c.name == name))
    merged = name_left(name, identity_id)
    connection.execute(
        update(identities)
        .where(identities.c.name == name, identities.c.merged_into == identity_id)
        .values(name=merged, name_key=name_key(merged))
    )
