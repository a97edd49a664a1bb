"""Objects that are gone: known keys of a range that a listing of the range does not have, or that somebody names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, select, text

from annotator.store.dialect import given_ids, ids_param, now
from annotator.store.queue.counts import add_deltas, moved
from annotator.store.tables import WorkState, media

_AT_ONCE: Final = 10_000


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


def mark_gone(connection: Connection, source_id: int, told: KeyRange) -> int:
    """Mark known media of a range that were not listed; what is pending of them is no longer work.

    Args:
        connection: in a writing transaction, with the temporary table ``listed``.
        source_id: where the objects lay.
        told: the range.

    Returns:
        How many are gone.

    """
    where = (
        "source_id = :source AND deleted_at IS NULL AND key >= :prefix AND key > :after"
        " AND NOT EXISTS (SELECT 1 FROM listed WHERE listed.key = media.key)"
    )
    bound: dict[str, Any] = {"source": source_id, "prefix": told.prefix, "after": told.after}
    end = told.until if told.until is not None else end_of_prefix(told.prefix)
    if end is not None:
        where += " AND key <= :end" if told.until is not None else " AND key < :end"
        bound["end"] = end
    # Between two keys that are listed, millions may have gone. Their keys are read where somebody is to look at them.
    key = "key" if told.is_meant is not None else "CASE WHEN lead(key) OVER (ORDER BY key) IS NULL THEN key END"
    slice_of = text(
        f"SELECT id, {key} AS key FROM"  # noqa: S608  (constants)
        f" (SELECT id, key FROM media WHERE {where} ORDER BY key LIMIT {_AT_ONCE}) AS next_ones ORDER BY next_ones.key"
    )
    count = 0
    while rows := connection.execute(slice_of, bound).all():
        gone = sorted(row.id for row in rows if told.is_meant is None or told.is_meant(row.key))
        _mark(connection, gone)
        count += len(gone)
        bound["after"] = rows[-1].key
    return count


def mark_keys_gone(connection: Connection, source_id: int, keys: Sequence[str]) -> int:
    """Mark known media whose objects are no longer there, as :func:`mark_gone` does.

    Args:
        connection: in a writing transaction.
        source_id: where the objects lay.
        keys: some hundreds.

    Returns:
        How many of them were known until now.

    """
    known = select(media.c.id).where(
        media.c.source_id == source_id, media.c.key.in_(keys), media.c.deleted_at.is_(None)
    )
    gone = connection.execute(known.order_by(media.c.id)).scalars().all()
    _mark(connection, gone)
    return len(gone)


def _mark(connection: Connection, media_ids: Sequence[int]) -> None:
    if media_ids:
        marked = f"UPDATE media SET deleted_at = {now(connection)} WHERE id {given_ids(connection)}"  # noqa: S608
        connection.execute(text(marked), {"ids": ids_param(connection, media_ids)})
        _drop_pending(connection, media_ids)


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
