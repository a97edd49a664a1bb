"""Takedowns as the database has them: what went, what is left to do, and no word of who it was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from annotator.store.ids import LARGEST_ID
from annotator.store.tables import identities, takedowns, tombstones
from annotator.store.takedowns.tombstones import digests_there
from annotator.store.takedowns.whom import Person


@dataclass(frozen=True, slots=True)
class KnownTakedown:
    """A takedown.

    Attributes:
        takedown_id: its number.
        started_at: when it began.
        finished_at: when it ended; None where it goes on, or was killed.
        done_by: who has begun it.
        is_resumed: it was killed and went on.
        tombstones: of the person, hexadecimal, sorted; none of a face that nobody has named.
        steps: how much went in each, in the order in which they were begun.
        ended: those of the steps that have ended.
        folders: how many the command was given to be swept, of one that is not finished.
        left: what is left to do, in sentences: as far as steps have told it, until it is finished; empty where a former
            program has done it.

    """

    takedown_id: int
    started_at: datetime
    finished_at: datetime | None
    done_by: str
    is_resumed: bool
    tombstones: tuple[str, ...]
    steps: Mapping[str, Mapping[str, int]]
    ended: frozenset[str]
    folders: int
    left: tuple[str, ...]


def list_takedowns(connection: Connection, *, limit: int, before_id: int | None = None) -> list[KnownTakedown]:
    """Return takedowns, newest first.

    Args:
        connection: any.
        limit: at most so many.
        before_id: only older ones than this: where the page before ended.

    """
    wanted = select(takedowns).order_by(takedowns.c.id.desc()).limit(limit)
    if before_id is not None:
        wanted = wanted.where(takedowns.c.id < before_id)
    return [_told(connection, row) for row in connection.execute(wanted).all()]


def find_takedown(connection: Connection, takedown_id: int) -> KnownTakedown | None:
    """Return a takedown by its number; None where there is none."""
    if takedown_id > LARGEST_ID:
        return None
    row = connection.execute(select(takedowns).where(takedowns.c.id == takedown_id)).one_or_none()
    return None if row is None else _told(connection, row)


def newest_unfinished(connection: Connection) -> int | None:
    """Return the number of the newest takedown that has not ended; None where all have."""
    newest = select(func.max(takedowns.c.id)).where(takedowns.c.finished_at.is_(None))
    found: int | None = connection.execute(newest).scalar_one()
    return found


def is_of(connection: Connection, takedown: KnownTakedown, person: Person) -> bool:
    """Say whether a takedown is of somebody.

    As long as the database knows whose it is, that decides: another person may have a name of the same letters. Later
    the tombstones do, of which each takes 40 ms.

    Args:
        connection: any.
        takedown: of somebody with a name.
        person: under all names that are known.

    """
    ids = connection.execute(
        select(takedowns.c.identity_ids).where(takedowns.c.id == takedown.takedown_id)
    ).scalar_one()
    there = set(connection.execute(select(identities.c.id).where(identities.c.id.in_(list(ids)))).scalars())
    if there:
        return not there.isdisjoint(person.identity_ids)
    return not {one.hex() for one in digests_there(connection, person.identities)}.isdisjoint(takedown.tombstones)


def tombstones_of(connection: Connection, row: Any) -> set[str]:  # noqa: ANN401 - a row
    """Return the tombstones of a takedown's row, hexadecimal.

    One that a former program has begun does not say so itself; of somebody who was taken down before it has none then.
    """
    if row.tombstones is not None:
        return set(row.tombstones)
    found = connection.execute(select(tombstones.c.digest).where(tombstones.c.takedown_id == row.id)).scalars()
    return {bytes(one).hex() for one in found}


def _told(connection: Connection, row: Any) -> KnownTakedown:  # noqa: ANN401 - a row
    done: Sequence[Any] = row.done or ()
    return KnownTakedown(
        takedown_id=int(row.id),
        started_at=row.started_at,
        finished_at=row.finished_at,
        done_by=row.done_by,
        is_resumed=bool(row.is_resumed),
        tombstones=tuple(sorted(tombstones_of(connection, row))),
        steps={str(step): dict(counts) for step, counts, _ in done},
        ended=frozenset(str(step) for step, _, is_ended in done if is_ended),
        folders=len(row.folders or ()),
        left=tuple(row.left_to_do or ()),
    )
