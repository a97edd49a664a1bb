"""Objects that are gone: their media are marked, and what is pending of them is no longer work."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, text

from annotator.store.dialect import given_ids, ids_param, is_postgres, now
from annotator.store.queue.counts import add_deltas, moved
from annotator.store.tables import WorkState, media


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Keys of which a listing has told all: what is known there and was not listed is gone.

    Attributes:
        prefix: what keys begin with.
        after: the range begins behind this key.
        until: its last key; None for the end of the prefix.
        is_meant: a filter of keys; what it refuses is not looked at.

    """

    prefix: str
    after: str
    until: str | None
    is_meant: Callable[[str], bool] | None = None


def mark_gone(connection: Connection, media_ids: Sequence[int]) -> int:
    """Mark media as gone; what is pending of them is no longer work.

    Args:
        connection: in a writing transaction.
        media_ids: some thousands.

    Returns:
        How many were there until now: what somebody else marks at the same time is marked once.

    """
    if not media_ids:
        return 0
    held = f"SELECT id FROM media WHERE id {given_ids(connection)} AND deleted_at IS NULL ORDER BY id"  # noqa: S608
    if is_postgres(connection):  # in one order, so that two who mark the same wait for each other, and not in a circle
        held += " FOR UPDATE"
    there = connection.execute(text(held), {"ids": ids_param(connection, media_ids)}).scalars().all()
    if there:
        marked = f"UPDATE media SET deleted_at = {now(connection)} WHERE id {given_ids(connection)}"  # noqa: S608
        connection.execute(text(marked), {"ids": ids_param(connection, there)})
        _drop_pending(connection, there)
    return len(there)


def mark_keys_gone(connection: Connection, source_id: int, keys: Sequence[str]) -> int:
    """Mark known media whose objects are no longer there, as :func:`mark_gone` does.

    Args:
        connection: in a writing transaction.
        source_id: where the objects lay.
        keys: some hundreds.

    Returns:
        How many of them were known until now.

    """
    known = select(media.c.id).where(media.c.source_id == source_id, media.c.key.in_(keys))
    return mark_gone(connection, connection.execute(known).scalars().all())


def _drop_pending(connection: Connection, media_ids: Sequence[int]) -> None:
    for network_id in connection.execute(text("SELECT id FROM networks")).scalars().all():
        pending = text(
            f"DELETE FROM work WHERE network_id = :n AND media_id {given_ids(connection)} AND state = 0"  # noqa: S608
            " RETURNING run_id, lane, cost_ms"
        )
        rows = connection.execute(pending, {"n": network_id, "ids": ids_param(connection, media_ids)}).all()
        add_deltas(connection, moved(rows, network_id=network_id, left=WorkState.PENDING, reached=None))


def end_of_prefix(prefix: str) -> str | None:
    """Return the first key that is behind all keys with a prefix, in the order of bytes; None where there is none.

    >>> end_of_prefix("gifs/"), end_of_prefix("")
    ('gifs0', None)
    """
    for place in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[place]) + 1
        if code <= 0x10FFFF:  # behind the last one comes what follows the shorter prefix
            return prefix[:place] + chr(0xE000 if 0xD800 <= code <= 0xDFFF else code)
    return None
