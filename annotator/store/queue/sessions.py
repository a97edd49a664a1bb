"""Which worker sessions live: the one rule by which the feeder, the charges and the numbers go."""

from sqlalchemy import ColumnElement, Connection

from annotator.store.dialect import later_value
from annotator.store.tables import worker_sessions


def is_open() -> ColumnElement[bool]:
    """Return the condition that a session has not ended."""
    return worker_sessions.c.ended_at.is_(None)


def is_living(connection: Connection, *, timeout_s: float) -> ColumnElement[bool]:
    """Return the condition that a session lives, by the database's clock.

    Args:
        connection: any.
        timeout_s: silence after which a session does not count as living.

    """
    return is_open() & (worker_sessions.c.seen_at >= later_value(connection, -timeout_s))
