"""What nobody looks at any more: worker sessions that ended long ago, and counts of nothing."""

from typing import Final

from sqlalchemy import Connection, text

from annotator.store.dialect import earlier, is_postgres

_SESSIONS_S: Final = 7 * 86_400.0


def forget_sessions(connection: Connection, *, limit: int) -> int:
    """Delete worker sessions that ended more than a week ago; what one has in hand has long been taken back by then.

    Args:
        connection: in a writing transaction.
        limit: most of them.

    Returns:
        How many; call again when as many were.

    """
    old = f"SELECT id FROM worker_sessions WHERE ended_at < {earlier(connection, 'after_s')} ORDER BY id LIMIT :limit"  # noqa: S608
    statement = text(f"DELETE FROM worker_sessions WHERE id IN ({old})")  # noqa: S608  (constants)
    return connection.execute(statement, {"after_s": _SESSIONS_S, "limit": limit}).rowcount


def forget_empty_counts(connection: Connection, *, limit: int) -> int:
    """Delete counts of no media and no cost; the next media with their properties makes them anew.

    Args:
        connection: in a writing transaction.
        limit: most of them.

    Returns:
        How many; call again when as many were.

    """
    # Who sums up at the same time and has just added to one keeps it: the condition is looked at again.
    empty = (
        "SELECT network_id, run_id, lane, state, reason FROM work_counts WHERE media = 0 AND cost_ms = 0 LIMIT :limit"
    )
    if is_postgres(connection):
        empty += " FOR UPDATE SKIP LOCKED"
    statement = text(
        f"DELETE FROM work_counts WHERE (network_id, run_id, lane, state, reason) IN ({empty})"  # noqa: S608  (constants)
        " AND media = 0 AND cost_ms = 0"
    )
    return connection.execute(statement, {"limit": limit}).rowcount
