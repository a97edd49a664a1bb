"""Known media that a listing under way has not found: noted with what it has found, some thousand at a time.

What becomes of them is decided when all is listed: ``annotator.store.backlog.settling``.
"""

from typing import Any, Final

from sqlalchemy import Connection, select, text

from annotator.store.backlog.gone import KeyRange, end_of_prefix
from annotator.store.registry import insert_missing
from annotator.store.tables import missing_media

AT_ONCE: Final = 10_000
"""Media that are noted, or marked, in one transaction."""


class TooManyMissingError(Exception):
    """More are missing than one transaction notes: take a part of the listing.

    Attributes:
        until: the last key of a part that has as many as one transaction notes.

    """

    def __init__(self, until: str) -> None:
        """Take the key."""
        super().__init__(until)
        self.until = until


def note_missing(connection: Connection, run_id: int, source_id: int, told: KeyRange) -> int:
    """Note known media of a range that were not listed.

    Args:
        connection: in a writing transaction, with the temporary table ``listed``.
        run_id: the backlog that lists.
        source_id: where the objects lie.
        told: the range.

    Returns:
        How many.

    Raises:
        TooManyMissingError: there are more than :data:`AT_ONCE`; roll back, and take a shorter range.

    """
    condition, bound = known_media(source_id, told)
    # Between two keys that are listed, millions may have gone. Their keys are read where somebody is to look at them.
    key = "key" if told.is_meant is not None else f"CASE WHEN row_number() OVER (ORDER BY key) = {AT_ONCE} THEN key END"
    first = (
        f"SELECT id, key FROM media WHERE {condition}"  # noqa: S608  (constants)
        " AND NOT EXISTS (SELECT 1 FROM listed WHERE listed.key = media.key)"
        f" ORDER BY key LIMIT {AT_ONCE + 1}"
    )
    statement = text(f"SELECT id, {key} AS key FROM ({first}) AS first_ones ORDER BY first_ones.key")  # noqa: S608
    rows = connection.execute(statement, bound).all()
    if len(rows) > AT_ONCE:
        raise TooManyMissingError(rows[AT_ONCE - 1].key)
    ids = [row.id for row in rows if told.is_meant is None or told.is_meant(row.key)]
    if ids:
        rows_of_run = [{"media_id": one, "run_id": run_id} for one in sorted(ids)]
        connection.execute(insert_missing(connection, missing_media), rows_of_run)
    return len(ids)


def forget_listed(connection: Connection, source_id: int, low: str, high: str) -> None:
    """Take back that media are missing which are listed now, by whatever backlog noted it.

    Args:
        connection: in a writing transaction, with the temporary table ``listed``.
        source_id: where the objects lie.
        low: the first key that is listed.
        high: the last one.

    """
    if connection.execute(select(missing_media.c.media_id).limit(1)).first() is None:
        return
    found = text(
        "DELETE FROM missing_media WHERE media_id IN (SELECT media.id FROM listed JOIN media"
        " ON media.source_id = :source AND media.key = listed.key AND media.key BETWEEN :low AND :high)"
    )
    connection.execute(found, {"source": source_id, "low": low, "high": high})


def known_media(source_id: int, told: KeyRange) -> tuple[str, dict[str, Any]]:
    """Return the condition of known media of a range, and its parameters."""
    where = "source_id = :source AND deleted_at IS NULL AND key >= :prefix AND key > :after"
    bound: dict[str, Any] = {"source": source_id, "prefix": told.prefix, "after": told.after}
    end = told.until if told.until is not None else end_of_prefix(told.prefix)
    if end is not None:
        where += " AND key <= :end" if told.until is not None else " AND key < :end"
        bound["end"] = end
    return where, bound


def forget_missing(connection: Connection, *, limit: int) -> int:
    """Delete what backlogs have noted that were stopped, or whose listing is refused.

    Args:
        connection: in a writing transaction.
        limit: most of it.

    Returns:
        How many; call again when as many were.

    """
    left = (
        "SELECT m.media_id, m.run_id FROM missing_media m JOIN runs r ON r.id = m.run_id"
        " WHERE r.stopped_at IS NOT NULL OR r.listed_at IS NOT NULL LIMIT :limit"
    )
    statement = text(f"DELETE FROM missing_media WHERE (media_id, run_id) IN ({left})")  # noqa: S608  (constants)
    return connection.execute(statement, {"limit": limit}).rowcount
