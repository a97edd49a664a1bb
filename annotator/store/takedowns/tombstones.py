"""Tombstones as rows: who must not be known any more, asked by whoever is about to learn a name."""

import secrets
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sqlalchemy import Connection, func, select

from annotator.errors import TakenDownError
from annotator.recognition.tombstone import SALT_BYTES, keys_of, name_digest
from annotator.store.columns import utc_now
from annotator.store.registry import insert_missing
from annotator.store.tables import store_settings, takedowns, tombstones
from annotator.types import Identity

_SALT: Final = "tombstone_salt"
_THREADS: Final = 4  # scrypt lets other threads run; each takes 16 MiB


def digests_of(connection: Connection, people: Iterable[Identity]) -> list[bytes]:
    """Return the tombstones that people have or would have, 32 bytes each, sorted; the salt is drawn where none is.

    Args:
        connection: in a transaction that writes.
        people: under all of their names.

    """
    there = insert_missing(connection, store_settings).values(name=_SALT, value=secrets.token_hex(SALT_BYTES))
    connection.execute(there)
    salt = _salt(connection)
    if salt is None:
        raise LookupError("the salt of the tombstones was written and is not there")
    return sorted({name_digest(key, salt=salt) for person in people for key in keys_of(person)})


def digests_there(connection: Connection, people: Iterable[Identity]) -> frozenset[bytes]:
    """Return the tombstones that people have or would have, 32 bytes each; none where nobody was ever taken down."""
    salt = _salt(connection)
    if salt is None:
        return frozenset()
    return frozenset(name_digest(key, salt=salt) for key in sorted({key for one in people for key in keys_of(one)}))


def add_tombstones(connection: Connection, digests: Sequence[bytes], *, takedown_id: int) -> int:
    """Keep people from being learnt again, by digests of ``digests_of``; return how many are new."""
    rows = [{"digest": digest, "takedown_id": takedown_id} for digest in digests]
    before = _count(connection)
    if rows:
        connection.execute(insert_missing(connection, tombstones).values(created_at=utc_now()), rows)
    return _count(connection) - before


def takedowns_so_far(connection: Connection) -> tuple[int, int]:
    """Return how many takedowns have begun, and how many have ended: names that are kept longer may be those of any."""
    counted = select(func.count(takedowns.c.id), func.count(takedowns.c.finished_at))
    begun, ended = connection.execute(counted).one()
    return int(begun), int(ended)


def has_tombstone(connection: Connection, person: Identity) -> bool:
    """Say whether somebody was taken down, by name or Knowledge Graph id."""
    return bool(taken_down(connection, [person]))


def taken_down(connection: Connection, people: Collection[Identity]) -> frozenset[str]:
    """Return the names of those people who were taken down.

    A name takes 40 ms of a processor; where nobody was ever taken down, nothing is reckoned.

    Args:
        connection: in a transaction.
        people: as few as possible: those whom the database does not know yet.

    """
    salt = _salt(connection)
    if salt is None or not people or not _count(connection):
        return frozenset()
    digests = {bytes(one) for one in connection.execute(select(tombstones.c.digest)).scalars()}

    def is_there(person: Identity) -> bool:
        return any(name_digest(key, salt=salt) in digests for key in keys_of(person))

    listed = list(people)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="tombstones") as pool:
        return frozenset(
            person.name for person, is_gone in zip(listed, pool.map(is_there, listed), strict=True) if is_gone
        )


def ids_under_way(connection: Connection) -> frozenset[int]:
    """Return the identities whose takedown has begun and has not ended: the database knows them still."""
    found = connection.execute(select(takedowns.c.identity_ids).where(takedowns.c.finished_at.is_(None)))
    return frozenset(int(one) for ids in found.scalars() for one in ids)


def insist_on_nobody_taken_down(connection: Connection, people: Collection[Identity]) -> None:
    """Let nobody be learnt who was taken down.

    Raises:
        TakenDownError: somebody was; it does not say who.

    """
    if taken_down(connection, people):
        raise TakenDownError(
            "somebody who was to be learnt has been taken down: `annotator takedown` was asked to forget this person;"
            " nothing was changed"
        )


def _salt(connection: Connection) -> bytes | None:
    found = connection.execute(
        select(store_settings.c.value).where(store_settings.c.name == _SALT)
    ).scalar_one_or_none()
    return None if found is None else bytes.fromhex(found)


def _count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(tombstones)).scalar_one()
