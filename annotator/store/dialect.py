"""The few words that SQLite and Postgres say differently in the statements of the queue."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, func
from sqlalchemy.sql.elements import ColumnElement

from annotator.store.columns import SQLITE_MICROS, SQLITE_TIME, sqlite_time


def is_postgres(connection: Connection) -> bool:
    """Say which of the two it is."""
    return connection.dialect.name == "postgresql"


def given_ids(connection: Connection, name: str = "ids") -> str:
    """Return the condition «is one of the ids (or names) of the parameter»; :func:`ids_param` gives the parameter."""
    return f"= ANY(:{name})" if is_postgres(connection) else f"IN (SELECT value FROM json_each(:{name}))"  # noqa: S608


def ids_param(connection: Connection, ids: Sequence[int] | Sequence[str]) -> Any:  # noqa: ANN401  (what the driver takes)
    """Return the value of a parameter of ids or names: an array, or JSON."""
    return list(ids) if is_postgres(connection) else json.dumps(list(ids))


def now(connection: Connection) -> str:
    """Return the database's clock."""
    return "now()" if is_postgres(connection) else sqlite_time()


def later(connection: Connection, parameter: str) -> str:
    """Return the expression «so many seconds from now»; NULL seconds give NULL."""
    return _shifted(connection, f":{parameter}")


def earlier(connection: Connection, parameter: str) -> str:
    """Return the expression «so many seconds ago»."""
    return _shifted(connection, f"-:{parameter}")


def later_column(connection: Connection, column: str) -> str:
    """Return the expression «so many seconds from now» of a column of seconds; NULL gives NULL."""
    return _shifted(connection, column)


def _shifted(connection: Connection, seconds: str) -> str:
    if is_postgres(connection):
        return f"(now() + ({seconds}) * interval '1 second')"
    return sqlite_time(seconds)


def later_value(connection: Connection, delay_s: float) -> ColumnElement[Any]:
    """Return the expression «so many seconds from now» for SQLAlchemy's statements."""
    if is_postgres(connection):
        return func.now() + timedelta(seconds=delay_s)
    return func.strftime(SQLITE_TIME, "now", f"{delay_s} seconds").concat(SQLITE_MICROS)
