"""Counts as of a time, in tables with a row for each labelling: which of two is newer, and how long one rests.

Such a table has the columns ``labelling_id``, ``as_of`` and ``took_ms``.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Table, or_, text

from annotator.store.columns import utc_now
from annotator.store.dialect import is_postgres
from annotator.store.registry import dialect_insert

REST: Final = 20
"""Counting waits for so many times as long as the last one took: it has at most a twentieth of the time."""


def is_resting(connection: Connection, table: Table) -> bool:
    """Say whether the counts of what is shown rest from the last time."""
    if is_postgres(connection):
        passed_ms = "extract(epoch FROM clock_timestamp() - r.as_of) * 1000"
    else:
        passed_ms = "(julianday('now') - julianday(r.as_of)) * 86400000"
    resting = text(
        f"SELECT count(*) FROM {table.name} r JOIN active a ON a.labelling_id = r.labelling_id"  # noqa: S608  (only constants are joined)
        f" WHERE {passed_ms} BETWEEN 0 AND r.took_ms * {REST}"
    )
    return bool(connection.execute(resting).scalar_one())


def note_as_of(connection: Connection, table: Table, labelling_id: int, as_of: datetime) -> bool:
    """Note that counts are as of a time, and wait for others that are being written; say whether none is newer."""
    noted = dialect_insert(connection, table).values(labelling_id=labelling_id, as_of=as_of, took_ms=0)
    new = noted.excluded
    statement = noted.on_conflict_do_update(
        index_elements=[table.c.labelling_id],
        set_={"as_of": new.as_of},
        # A time in the future is no newer state: a clock was set back.
        where=or_(table.c.as_of < new.as_of, table.c.as_of > utc_now()),
    )
    return connection.execute(statement.returning(table.c.labelling_id)).first() is not None
