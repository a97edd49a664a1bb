"""Opening a database: which driver, which pragmas; and transactions that read or write."""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from annotator.errors import ConfigError
from annotator.store.database_errors import READ_ONLY_SQLSTATE, translated

# How long SQLite waits for another process's transaction, in seconds; a batch takes a few milliseconds.
SQLITE_BUSY_TIMEOUT_S: Final = 30.0
_ASK_AGAIN_S: Final = 0.005
# How long a connection attempt to Postgres may take, in seconds.
CONNECT_TIMEOUT_S: Final = 10
# A server whose machine vanishes without a word is given up after about a minute, in an answer as in a question; the
# kernel would wait for a quarter of an hour, or for ever. What the URL says of these goes first.
_FIND_THE_DEAD: Final = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "application_name": "annotator",
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_WRITES: Final = "annotator_writes"
_RESTS_SINCE: Final = "annotator_rests_since"
_REST_S: Final = 1.0
# The row of `store_settings` that says how large an SQLite file was when its statistics were made, in pages of 4 KiB;
# by how much it must have grown until they are made anew; and below which size they always are.
_ANALYSED: Final = "statistics_pages"
_GROWN: Final = 1.25
_SMALL_PAGES: Final = 2_000


def database_url(url: str | Path) -> URL:
    """Return the SQLAlchemy URL of a path of an SQLite file, ``sqlite:///…`` or ``postgresql://…``.

    Raises:
        ConfigError: it is none of these.

    """
    if isinstance(url, Path) or "://" not in url:
        return URL.create("sqlite+pysqlite", database=str(url))
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as exc:
        raise ConfigError(
            "the database must be the path of an SQLite file or postgresql://USER@HOST/NAME; it cannot be read as a URL"
        ) from exc
    if parsed.drivername.partition("+")[0] in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg2")
    if parsed.drivername.partition("+")[0] == "sqlite":
        return parsed.set(drivername="sqlite+pysqlite")
    raise ConfigError(
        f"the database must be the path of an SQLite file or postgresql://USER@HOST/NAME, got {parsed.drivername}://…"
    )


def sqlite_path(url: str | Path) -> Path | None:
    """Return the file of an SQLite database; None for Postgres, in memory, and SQLite's own URIs.

    Raises:
        ConfigError: as ``database_url``.

    >>> sqlite_path("sqlite:///clips.db"), sqlite_path("postgresql://ann@db/clips")
    (PosixPath('clips.db'), None)
    """
    parsed = database_url(url)
    name = parsed.database
    if parsed.get_backend_name() != "sqlite" or not name or name == ":memory:" or name.startswith("file:"):
        return None
    return Path(name).expanduser()


def open_engine(url: str | Path, *, pool_size: int = 5, max_silence_s: float | None = None) -> Engine:
    """Return an engine for an SQLite file or a Postgres database; nothing is connected yet.

    Args:
        url: as of ``database_url``.
        pool_size: connections that are kept open.
        max_silence_s: after so much silence within a transaction Postgres ends it. Else a process that is frozen, or
            whose machine vanishes without a word, holds its locks for hours, and others wait for them.

    Raises:
        ConfigError: the URL names no supported database.

    """
    parsed = database_url(url)
    try:
        if parsed.get_backend_name() == "sqlite":
            return _sqlite_engine(parsed)
        engine = create_engine(
            parsed,
            pool_size=pool_size,
            # Many rows a round trip also where SQLAlchemy has no form for it: INSERT … ON CONFLICT without RETURNING.
            executemany_mode="values_plus_batch",
            hide_parameters=True,  # errors are logged, and names of people and hashes of passwords are in no log
            connect_args={name: value for name, value in _FIND_THE_DEAD.items() if name not in parsed.query},
        )
    except NoSuchModuleError as exc:
        raise ConfigError(f"no driver for {parsed.drivername}") from exc
    event.listen(engine, "handle_error", _leave_what_only_reads)
    _ask_what_rested(engine)
    if max_silence_s is not None:
        _limit_silence(engine, round(max_silence_s * 1000))
    return engine


def _leave_what_only_reads(context: ExceptionContext) -> None:
    """Let go of all connections to a server that only reads: after a failover, new ones reach the one that writes."""
    if getattr(context.original_exception, "pgcode", None) == READ_ONLY_SQLSTATE:
        context.is_disconnect = True


def _ask_what_rested(engine: Engine) -> None:
    """Ask a connection that has rested whether it lives, before anybody relies on it.

    One that was used a moment ago is not asked, as SQLAlchemy's own ``pool_pre_ping`` would: workers take one for every
    transaction, and whoever loses one in the middle of his work must be able to begin again anyhow.
    """

    @event.listens_for(engine, "checkin")
    def _note(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info[_RESTS_SINCE] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ask(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:  # noqa: ANN401  (psycopg2's)
        now_s = time.monotonic()
        if now_s - record.info.get(_RESTS_SINCE, now_s) < _REST_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error  # what died with the server died together


def _limit_silence(engine: Engine, max_silence_ms: int) -> None:
    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: ConnectionPoolEntry) -> None:  # noqa: ANN401  (psycopg2's)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('idle_in_transaction_session_timeout', %s, false)", (str(max_silence_ms),)
            )
        connection.commit()


def _sqlite_engine(url: URL) -> Engine:
    if url.database and url.database.startswith("~"):
        url = url.set(database=str(Path(url.database).expanduser()))
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_S}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
        # sqlite3 must not begin transactions by itself: it would begin them too late (not before reads and DDL).
        connection.isolation_level = None
        _write_ahead(connection)
        for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer takes its lock at the start: a read that turns into a write cannot wait for another writer.
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch the file to a write-ahead log, once for all who open it: readers and the writer need not wait then.

    Of those who first open a new file at the same time SQLite refuses some at once instead of letting them wait: two
    that hold a read lock and want the file for themselves would wait for each other for ever. They ask again.
    """
    until_s = time.monotonic() + SQLITE_BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until_s:
                raise
            time.sleep(_ASK_AGAIN_S)
        else:
            return


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection in a transaction that only reads.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    with translated(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Give a connection in a transaction that writes; it is committed at the end and rolled back on an exception.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    with translated(engine), engine.connect() as connection:
        connection.execution_options(**{_WRITES: True})
        with connection.begin():
            yield connection


@contextlib.contextmanager
def writing_without_waiting(engine: Engine) -> Iterator[Connection]:
    """Give a connection as :func:`writing` does, for what may as well be left out where another one is writing.

    Raises:
        StoreUnavailableError: another one is writing, or the database does not answer.

    """
    with translated(engine), engine.connect() as connection:
        connection.execution_options(**{_WRITES: True})
        with _never_busy(connection), connection.begin():
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql("SET LOCAL lock_timeout = '1ms'")  # 0 would be for ever
            yield connection


@contextlib.contextmanager
def _never_busy(connection: Connection) -> Iterator[None]:
    """Let SQLite refuse at once where it would wait; before a transaction, since its first statement takes the lock."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.dbapi_connection
    (usual_ms,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        driver.execute(f"PRAGMA busy_timeout = {usual_ms}")


@contextlib.contextmanager
def several(engine: Engine) -> Iterator[Callable[..., contextlib.AbstractContextManager[Connection]]]:
    """Give what opens transactions one after the other on one connection: a temporary table outlives each of them.

    Call it with ``writes=False`` for one that only reads.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    with translated(engine), engine.connect() as connection:

        @contextlib.contextmanager
        def transaction(*, writes: bool = True) -> Iterator[Connection]:
            connection.execution_options(**{_WRITES: writes})
            with connection.begin():
                yield connection

        yield transaction


def refresh_statistics(engine: Engine) -> None:
    """Tell SQLite's query planner how the tables look now, where they have grown by a quarter since it was told.

    Without it, SQLite scans all labels for those of one person. It reads each index, half a second for a million media:
    an estimate from a sample takes all rows of a network for a handful. Postgres does the same by itself (autovacuum).
    Where another process writes just now, nothing happens: its own statistics come at its end.
    """
    with contextlib.suppress(DBAPIError), engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        known = connection.exec_driver_sql("SELECT value FROM store_settings WHERE name = ?", (_ANALYSED,)).scalar()
        if pages < _SMALL_PAGES or known is None or pages > int(known) * _GROWN:
            connection.exec_driver_sql("ANALYZE")
            connection.exec_driver_sql("INSERT OR REPLACE INTO store_settings VALUES (?, ?)", (_ANALYSED, str(pages)))
            connection.commit()
