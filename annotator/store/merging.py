"""Two identities that are one person, and how that is taken back.

A merge is a pointer: labels, photographs, aliases and what was said of tracks keep the identity that they were of, and
whoever reads asks who stands for it now. So taking it back takes the pointer away. Only the sums of contents that show
both are made from their tracks again, then as now.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, false, insert, or_, select, update

from annotator.errors import BusyError, IdentityError
from annotator.store.appearances import load_boxes, summed_up
from annotator.store.columns import utc_now
from annotator.store.corrections.applying import contents_about, reapply_corrections
from annotator.store.identities import load_identity, name_key, name_without_rest, one_person, rename, two_people
from annotator.store.labels import network_of
from annotator.store.locks import change_corrections
from annotator.store.promotions import who_is_this
from annotator.store.registry import batched
from annotator.store.tables import (
    content_labels_by,
    identities,
    identity_aliases,
    labellings,
    merges,
    networks,
    track_labels,
)
from annotator.store.takedowns.tombstones import ids_under_way
from annotator.types import Identity

_AT_ONCE: Final = 500  # contents whose boxes are in memory


@dataclass(frozen=True, slots=True)
class MergedPerson:
    """Somebody who was merged into somebody else, and can be taken out again.

    Attributes:
        person_id: the identity that was given up.
        name: what it was called; None where who remained has taken that name since.
        into: who it was merged into at that time.
        merged_at: when; None where that was before it was kept.
        merged_by: user and machine, or an account of the web application; None as before.

    """

    person_id: int
    name: str | None
    into: Identity
    merged_at: datetime | None
    merged_by: str | None


@dataclass(frozen=True, slots=True)
class HeldKgMid:
    """A Knowledge Graph id that stays with somebody else when a merge is taken back.

    Attributes:
        person_id: whose it is by now.
        name: what that one is called.
        kg_mid: the id.

    """

    person_id: int
    name: str
    kg_mid: str

    @property
    def sentence(self) -> str:
        """What is told of it."""
        return f"{self.name} has the Knowledge Graph id {self.kg_mid} by now, and keeps it."


def merge(connection: Connection, name: str, into: str, *, merged_by: str | None = None) -> Identity:
    """Let one person stand for another: the other's name, aliases, photographs and labels are the person's own now.

    What somebody has said of a track, that it is one of them, or is not, holds of both now.

    Args:
        connection: in a transaction that writes.
        name: who is given up.
        into: who remains.
        merged_by: who says so; by default the user of this machine.

    Returns:
        Who remains.

    Raises:
        IdentityError: one of the names means nobody or several, or both mean one person.
        BusyError: one of the two is being taken down.

    """
    change_corrections(connection, connection.execute(select(networks.c.id)).scalars().all())
    _keep_former_merges(connection)
    given_up, remains = two_people(connection, name, into)
    _insist_on_no_takedown(connection, [*one_person(connection, given_up), *one_person(connection, remains)])
    kg_mid = load_identity(connection, given_up).kg_mid
    gives_kg_mid = kg_mid is not None and load_identity(connection, remains).kg_mid is None
    if gives_kg_mid:
        connection.execute(update(identities).where(identities.c.id == remains).values(kg_mid=kg_mid))
    connection.execute(
        insert(merges).values(
            identity_id=given_up,
            into_id=remains,
            gave_kg_mid=gives_kg_mid,
            merged_at=utc_now(),
            merged_by=merged_by or who_is_this(),
        )
    )
    _point(connection, one_person(connection, given_up), remains)
    group = one_person(connection, remains)
    for labelling_id in _labellings(connection):
        _sum_up(connection, labelling_id, _with_several(connection, labelling_id, group), group)
    reapply_corrections(connection, contents_about(connection, group))
    return load_identity(connection, remains)


def unmerge(
    connection: Connection,
    person_id: int,
    *,
    name: str | None = None,
    when_held: Callable[[HeldKgMid], object] = lambda _: None,
) -> Identity:
    """Take a merge back: labels, photographs, names and words that were of whom it gave up are so again, at once.

    Whoever was merged into that one before goes along. What was named, enrolled or said of who remained since the merge
    stays: what a model has named meanwhile is told apart when it is labelled anew. A Knowledge Graph id that somebody
    else has by now is that one's.

    Args:
        connection: in a transaction that writes.
        person_id: the identity that was given up.
        name: what it is called from now on; by default what it was called before.
        when_held: is called where somebody else has the Knowledge Graph id by now, and keeps it.

    Returns:
        Who is somebody of their own again.

    Raises:
        IdentityError: nobody was merged under this id, or the name is somebody's by now.
        TakenDownError: the name is of somebody who was taken down.
        BusyError: one of these people is being taken down.

    """
    change_corrections(connection, connection.execute(select(networks.c.id)).scalars().all())
    _keep_former_merges(connection)
    former = _find(connection, person_id)
    if former.name is None and name is None:
        raise IdentityError(
            f"{former.into.name} has the name of the other one by now: say what that one is called",
            name=former.into.name,
        )
    both = one_person(connection, person_id)
    _insist_on_no_takedown(connection, both)
    again = _subtree(connection, person_id)
    _take_kg_mid_back(connection, person_id)
    held = _leave_kg_mid_to_its_holder(connection, person_id)
    if held is not None:
        when_held(held)
    connection.execute(delete(merges).where(merges.c.identity_id == person_id))
    _point(connection, again, person_id)
    for labelling_id in _labellings(connection):
        _sum_up(connection, labelling_id, _with_both(connection, labelling_id, both, again), both)
    reapply_corrections(connection, contents_about(connection, both))
    own = load_identity(connection, person_id)
    if name is None:
        return own
    called = rename(connection, own.name, name)
    if former.name is None:  # what was left of the name was nobody's
        connection.execute(delete(identity_aliases).where(identity_aliases.c.name == own.name))
    return called


def list_merged(connection: Connection, person_id: int) -> list[MergedPerson]:
    """Return who was merged into a person, one after the other, the last one first."""
    return [one for _, one in _select_merged(connection, identities.c.survivor_id == person_id)]


def list_all_merged(connection: Connection) -> dict[str, list[MergedPerson]]:
    """Return who was merged, by the name of who stands for them now, the last one first."""
    found: dict[str, list[MergedPerson]] = {}
    for survivor, one in _select_merged(connection, identities.c.merged_into.is_not(None)):
        found.setdefault(survivor, []).append(one)
    return found


def _select_merged(connection: Connection, which: ColumnElement[bool]) -> list[tuple[str, MergedPerson]]:
    """Return people who were merged, each with the name of who stands for it now, the last one first."""
    into, survivor = identities.alias(), identities.alias()
    rows = connection.execute(
        select(
            merges,
            identities.c.name,
            into.c.name.label("into_name"),
            into.c.kg_mid.label("into_kg_mid"),
            survivor.c.name.label("survivor"),
        )
        .join_from(merges, identities, identities.c.id == merges.c.identity_id)
        .join(into, into.c.id == merges.c.into_id)
        .join(survivor, survivor.c.id == identities.c.survivor_id)
        .where(which)
        .order_by(merges.c.merged_at.desc().nulls_last(), merges.c.identity_id.desc())
    )
    return [
        (
            row.survivor,
            MergedPerson(
                row.identity_id,
                row.name if name_without_rest(row.name) == row.name else None,
                Identity(name_without_rest(row.into_name), row.into_kg_mid),
                row.merged_at,
                row.merged_by,
            ),
        )
        for row in rows
    ]


def find_merged(connection: Connection, name: str) -> int:
    """Return the id of somebody who was merged, by a name or alias of that one: exactly, else without case and accents.

    What the database has as the name goes first: it tells those apart whose names were taken by who remained.

    Raises:
        IdentityError: nobody who was merged has the name, or several have it.

    """
    called = select(identities.c.id, identities.c.name, identity_aliases.c.name.label("alias")).join_from(
        identities, identity_aliases, identity_aliases.c.identity_id == identities.c.id, isouter=True
    )
    rows = connection.execute(called.where(identities.c.merged_into.is_not(None))).all()  # few are
    names = [(row.id, one) for row in rows for one in (name_without_rest(row.name), row.alias) if one is not None]
    found: set[int] = {row.id for row in rows if row.name == name}
    found = found or {person_id for person_id, one in names if one == name}
    found = found or {person_id for person_id, one in names if name_key(one) == name_key(name)}
    if not found:
        raise IdentityError(
            f"nobody who was merged was called {name!r}: `annotator identities` lists who is", name=name
        )
    if len(found) > 1:
        exact = " or ".join(sorted({repr(row.name) for row in rows if row.id in found}))
        raise IdentityError(f"several people who were merged were called {name!r}: write {exact}", name=name)
    return found.pop()


def _find(connection: Connection, person_id: int) -> MergedPerson:
    survivor = select(identities.c.survivor_id).where(identities.c.id == person_id)
    found = connection.execute(survivor).scalar_one_or_none()
    mine = [] if found is None else [one for one in list_merged(connection, found) if one.person_id == person_id]
    if not mine:
        raise IdentityError("nobody was merged under this number, or it was taken back already", name=str(person_id))
    return mine[0]


def _insist_on_no_takedown(connection: Connection, identity_ids: Collection[int]) -> None:
    """Leave people as they are whose takedown has begun: it has looked who they are, and goes on by that."""
    if not ids_under_way(connection).isdisjoint(identity_ids):
        raise BusyError(
            "a takedown of one of these people is under way, or was interrupted and waits to be called again; nothing"
            " was changed"
        )


def _labellings(connection: Connection) -> Sequence[int]:
    return connection.execute(select(labellings.c.id).order_by(labellings.c.id)).scalars().all()


def _point(connection: Connection, identity_ids: Collection[int], survivor_id: int) -> None:
    """Let somebody stand for some identities, and for itself."""
    wanted = identities.c.id.in_(sorted(identity_ids))
    others = wanted & (identities.c.id != survivor_id)
    connection.execute(update(identities).where(others).values(merged_into=survivor_id))
    connection.execute(update(identities).where(identities.c.id == survivor_id).values(merged_into=None))


def _subtree(connection: Connection, person_id: int) -> set[int]:
    """Return an identity and all that were merged into it, one after the other."""
    found, new = {person_id}, {person_id}
    while new:
        rows = connection.execute(select(merges.c.identity_id).where(merges.c.into_id.in_(sorted(new)))).scalars()
        new = set(rows) - found
        found |= new
    return found


def _keep_former_merges(connection: Connection) -> None:
    """Keep whom programs of before have merged since ``merges`` is there: they kept nothing of it."""
    i = identities.c
    missing = select(i.id, i.merged_into, false()).where(
        i.merged_into.is_not(None), i.id.not_in(select(merges.c.identity_id))
    )
    connection.execute(insert(merges).from_select(["identity_id", "into_id", "gave_kg_mid"], missing))


def _take_kg_mid_back(connection: Connection, person_id: int) -> None:
    """Take the Knowledge Graph id of somebody away from those who have got it by the merge.

    Of a merge of before it was kept, whoever remained and has the same id is taken to have got it so.
    """
    kg_mid = load_identity(connection, person_id).kg_mid
    step = connection.execute(select(merges).where(merges.c.identity_id == person_id)).one_or_none()
    while kg_mid is not None and step is not None and (step.gave_kg_mid or step.merged_at is None):
        same = (identities.c.id == step.into_id, identities.c.kg_mid == kg_mid)
        connection.execute(update(identities).where(*same).values(kg_mid=None))
        step = connection.execute(select(merges).where(merges.c.identity_id == step.into_id)).one_or_none()


def _leave_kg_mid_to_its_holder(connection: Connection, person_id: int) -> HeldKgMid | None:
    """Let somebody have no Knowledge Graph id where it is somebody else's by now: two would be taken for one by it."""
    kg_mid = load_identity(connection, person_id).kg_mid
    theirs = (identities.c.kg_mid == kg_mid, identities.c.id != person_id, identities.c.merged_into.is_(None))
    if kg_mid is None:
        return None
    holder = connection.execute(select(identities.c.id, identities.c.name).where(*theirs).limit(1)).one_or_none()
    if holder is None:
        return None
    connection.execute(update(identities).where(identities.c.id == person_id).values(kg_mid=None))
    return HeldKgMid(holder.id, holder.name, kg_mid)


def _with_several(connection: Connection, labelling_id: int, group: Sequence[int]) -> Sequence[int]:
    """Return the contents in which several of a group have sums."""
    times = Counter(_contents_of(connection, labelling_id, group))
    return sorted(content_id for content_id, several in times.items() if several > 1)


def _with_both(
    connection: Connection, labelling_id: int, group: Collection[int], again: Collection[int]
) -> Sequence[int]:
    """Return the contents in which a track of some of a group is in the sum of one of the others."""
    sums, labels = content_labels_by.c, track_labels.c
    mine, others = sorted(again), sorted(set(group) - set(again))
    mixed = or_(
        sums.identity_id.in_(others) & labels.identity_id.in_(mine),
        sums.identity_id.in_(mine) & labels.identity_id.in_(others),
    )
    in_one_content = (labels.labelling_id == sums.labelling_id) & (labels.content_id == sums.content_id)
    both = select(sums.content_id).join_from(content_labels_by, track_labels, in_one_content)
    found: list[int] = []
    for some in batched(sorted(set(_contents_of(connection, labelling_id, group))), _AT_ONCE):
        here = both.where(sums.labelling_id == labelling_id, sums.content_id.in_(some), mixed).distinct()
        found += connection.execute(here).scalars()
    return sorted(found)


def _contents_of(connection: Connection, labelling_id: int, group: Collection[int]) -> Sequence[int]:
    """Return the contents in which some people have sums, once for each of them.

    It is asked for without order, and not counted there: SQLite would read the whole labelling, which is in order of
    contents.
    """
    sums = content_labels_by.c
    shown = select(sums.content_id).where(sums.labelling_id == labelling_id, sums.identity_id.in_(sorted(group)))
    return connection.execute(shown).scalars().all()


def _sum_up(connection: Connection, labelling_id: int, content_ids: Sequence[int], group: Sequence[int]) -> None:
    """Make the sums of a group's people in contents anew, from their tracks."""
    stands = select(identities.c.id, identities.c.survivor_id).where(identities.c.id.in_(group))
    survivors = {row.id: row.survivor_id for row in connection.execute(stands)}
    network_id = network_of(connection, labelling_id)
    sums, labels = content_labels_by.c, track_labels.c
    for some in batched(content_ids, _AT_ONCE):
        boxes = load_boxes(connection, network_id, some)
        mine = (labels.labelling_id == labelling_id, labels.content_id.in_(some), labels.identity_id.in_(group))
        columns = select(labels.content_id, labels.track_no, labels.identity_id, labels.confidence)
        shown = defaultdict(list)
        for content_id, track_no, identity_id, confidence in connection.execute(columns.where(*mine)):
            shown[content_id, survivors[identity_id]].append((boxes[content_id][track_no].shares, confidence))
        connection.execute(
            delete(content_labels_by).where(
                sums.labelling_id == labelling_id, sums.content_id.in_(some), sums.identity_id.in_(group)
            )
        )
        rows = [
            {"labelling_id": labelling_id, "content_id": content_id, "identity_id": person_id} | summed_up(one)
            for (content_id, person_id), one in sorted(shown.items())
        ]
        if rows:
            connection.execute(insert(content_labels_by).values(labelled_at=utc_now()), rows)
