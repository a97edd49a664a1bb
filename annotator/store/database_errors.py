"""What errors of a database mean: it does not answer, a transaction lost, the values are at fault. No secret shows."""

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import URL, Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from annotator.errors import AnnotatorError, ConfigError, StoreUnavailableError

MAX_CONFLICTS: Final = 5
"""So often in a row a transaction may lose against others before it is treated as any other error."""

# The transaction writes, and the server only reads.
READ_ONLY_SQLSTATE: Final = "25006"
# Postgres's classes of errors that say «not now»: connection, resources, operator intervention, system; and read-only.
# 25P03: the server has ended a transaction in which nothing was heard of this process for too long.
_UNAVAILABLE_SQLSTATES: Final = ("08", "53", "57", "58", READ_ONLY_SQLSTATE, "25P03", "55P03")
# Errors of Postgres after which the same transaction may be tried again at once.
_CONFLICT_SQLSTATES: Final = ("40001", "40P01")
# Its classes of errors that are about values: cardinality, data, constraints; and a row too large for an index.
_VALUES_SQLSTATES: Final = ("21", "22", "23", "54000")
# What libpq says of a certificate that fails its check.
_NOT_TRUSTED: Final = ("certificate verify failed", "root certificate file", "server certificate for")


@contextlib.contextmanager
def translated(engine: Engine, *, keep: tuple[str, ...] = ()) -> Iterator[None]:
    """Turn errors that say «the database does not answer» into the package's own; others pass.

    Args:
        engine: of the database.
        keep: codes of Postgres's errors that pass in any case.

    Raises:
        StoreUnavailableError: as said, or all connections of the pool are taken.
        ConfigError: the file is something else than an SQLite database, or a damaged one.

    """
    try:
        yield
    except AnnotatorError:
        raise
    except PoolTimeoutError as exc:
        raise StoreUnavailableError(
            f"the database {shown(engine.url)} was not asked: all connections of this process are taken"
        ) from exc
    except DBAPIError as exc:
        if sqlstate(exc) in keep:
            raise
        where = shown(engine.url)
        code = getattr(exc.orig, "sqlite_errorcode", None) or 0
        if code == sqlite3.SQLITE_NOTADB:
            raise ConfigError(f"{engine.url.database} is not an SQLite database: name another file") from exc
        if code & 0xFF == sqlite3.SQLITE_CORRUPT:  # the low byte, see below
            raise ConfigError(
                f"{engine.url.database} is damaged: restore it from a copy, or name another file"
            ) from exc
        if is_unavailable(exc):
            raise StoreUnavailableError(f"the database {where} {_why(exc)}") from exc
        raise


def shown(url: URL) -> str:
    """Return a URL for messages: without passwords, wherever they stand.

    >>> from sqlalchemy import make_url
    >>> shown(make_url("postgresql://ann:secret@db/clips?password=secret&sslpassword=secret&sslmode=require"))
    'postgresql://ann:***@db/clips?sslmode=require'
    """
    secret = [name for name in url.query if "pass" in name.lower()]
    return url.difference_update_query(secret).render_as_string(hide_password=True)


def sqlstate(exc: DBAPIError) -> str | None:
    """Return Postgres's five-letter code of an error, None where there is none (SQLite, or the connection is gone)."""
    code: Any = getattr(exc.orig, "pgcode", None)
    return str(code) if code is not None else None


def is_conflict(exc: DBAPIError) -> bool:
    """Say whether a transaction lost against another one (deadlock, serialization) and may be run again at once."""
    return sqlstate(exc) in _CONFLICT_SQLSTATES


def blames_values(exc: DBAPIError) -> bool:
    """Say whether an error is about the values of a statement, rather than about the database or the statement.

    A missing right, a missing table, a damaged index are no fault of what was to be written.
    """
    code = sqlstate(exc)
    if code is not None:
        return code.startswith(_VALUES_SQLSTATES)
    return isinstance(exc, IntegrityError | DataError | ProgrammingError)  # SQLite's, or the driver itself refuses


def is_unavailable(exc: DBAPIError) -> bool:
    """Say whether an error means that the database does not answer now, rather than that the statement is at fault."""
    code = sqlstate(exc)
    if code is not None:
        return code.startswith(_UNAVAILABLE_SQLSTATES)
    if isinstance(exc.orig, sqlite3.OperationalError):
        busy = getattr(exc.orig, "sqlite_errorcode", None)
        # The low byte is the primary code; an extended code refines it.
        return busy is not None and busy & 0xFF in {
            sqlite3.SQLITE_BUSY,
            sqlite3.SQLITE_LOCKED,
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_FULL,
            sqlite3.SQLITE_READONLY,
        }
    return exc.connection_invalidated or isinstance(exc, OperationalError | InterfaceError)


def _why(exc: DBAPIError) -> str:
    said = _first_line(exc)
    if any(words in said for words in _NOT_TRUSTED):
        return (
            f"is not the one that is meant, or its certificate is not trusted ({said}): sslrootcert=FILE in"
            " ANNOTATOR_DATABASE_URL must name the authority that has signed it"
        )
    return f"does not answer: {said}"


def _first_line(exc: DBAPIError) -> str:
    return str(exc.orig).strip().partition("\n")[0]
