"""The schema's versions: bring a database up to date, and say whether it is."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, inspect, select, text
from sqlalchemy.exc import DBAPIError

from annotator.errors import ConfigError, StoreUnavailableError
from annotator.store.connection import open_engine, reading, writing
from annotator.store.database_errors import sqlstate, translated
from annotator.store.queue.counts import is_counted, recount
from annotator.store.roles import owner_role, renew_grants
from annotator.store.tables import store_settings

if TYPE_CHECKING:
    from alembic.config import Config

# The newest revision, so that opening a store need not read the migrations; a test compares it with them.
# Revisions are numbers of four digits, so that they sort.
HEAD: Final = "0027"
# Alembic keeps the migration that runs in globals of the process.
_ONE_AT_A_TIME: Final = threading.Lock()
# One migration at a time: the key of Postgres's advisory lock, any fixed number ("annotate" in hexadecimal).
_ADVISORY_LOCK: Final = 0x616E6E6F74617465
# How long a migration waits for another migration, and how often it looks, in seconds. It looks instead of waiting in
# the lock: a waiting statement has a snapshot, and an index made CONCURRENTLY would wait for that one in turn.
_WAIT_FOR_MIGRATION_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.2
# How long a migration waits for a lock of a table, and for one statement, in milliseconds: while it waits, all that
# come after it wait, too. So it gives way after a short time, and tries again after a pause.
_LOCK_TIMEOUT_MS: Final = 2_000
_STATEMENT_TIMEOUT_MS: Final = 60_000
# A migration that is frozen would keep all others, and whoever uses its tables, waiting for ever. Servers before 14 do
# not know the second one.
_MAX_SILENCE_MS: Final = 300_000
_LIMIT_SILENCE: Final = (
    "SELECT set_config(name, :most_ms, false) FROM pg_settings"
    " WHERE name IN ('idle_in_transaction_session_timeout', 'idle_session_timeout')"
)
_TRIES: Final = 10
_PAUSE_S: Final = 1.0
_GIVES_WAY: Final = ("55P03", "40P01")  # lock not available, deadlock
# The row of `store_settings` that says how old a program may be. A migration that only adds leaves it as it is.
_OLDEST_PROGRAM: Final = "min_program_revision"
_NEVER: Final = "9999"
# Partitions are made at run time and are named parent__n1__0 or parent__l1__0.
_PARTITION_MARK: Final = "__"


def upgrade(url: str | Path) -> str:
    """Bring a database to the newest schema; nothing happens where it is. An SQLite file is made where there is none.

    Args:
        url: as of ``annotator.store.connection.database_url``.

    Returns:
        The revision that the database has now; a newer one than this program's stays.

    Raises:
        ConfigError: the URL names no supported database, or the database is not for this program any more.
        StoreUnavailableError: the database does not answer, or its tables are in use all the time.

    """
    engine = open_engine(url)
    try:
        upgrade_engine(engine)
        return check_engine(engine)
    finally:
        engine.dispose()


def upgrade_engine(engine: Engine) -> None:
    """Do the same over an engine that is open."""
    from alembic import command  # noqa: PLC0415 - Alembic takes a while to import, and is needed once per schema

    _make_folder(engine)
    found = current_revision(engine)
    if found is not None and found > HEAD:
        check_engine(engine)
        return
    for left in reversed(range(_TRIES)):
        try:
            with _ONE_AT_A_TIME, migrating(engine) as connection:
                command.upgrade(alembic_config(connection), "head")
        except DBAPIError as exc:
            if sqlstate(exc) not in _GIVES_WAY:
                raise
            if not left:
                raise StoreUnavailableError(
                    "the tables are in use all the time: end long transactions, and run `annotator db upgrade` again"
                ) from exc
            time.sleep(_PAUSE_S)
        else:
            count_once(engine)
            return


def count_once(engine: Engine) -> None:
    """Count all media, unless that has been done: an upgrade that was killed may have left it out."""
    with reading(engine) as connection:
        if is_counted(connection):
            return
    with writing(engine) as connection:
        recount(connection)


def check(url: str | Path) -> str:
    """Say which revision a database has, and insist that this program may use it.

    Raises:
        ConfigError: the schema is missing, older, or so much newer that it is not for this program; the message says
            what to do.
        StoreUnavailableError: the database does not answer.

    """
    engine = open_engine(url)
    try:
        return check_engine(engine)
    finally:
        engine.dispose()


def check_engine(engine: Engine) -> str:
    """Do the same over an engine that is open."""
    found = current_revision(engine)
    if found == HEAD:
        return found
    if found is None:
        raise ConfigError("the database has no tables yet: run `annotator db upgrade`")
    if found < HEAD:
        raise ConfigError(f"the database has schema {found}, this program needs {HEAD}: run `annotator db upgrade`")
    oldest = _oldest_program(engine)
    if oldest > HEAD:
        raise ConfigError(
            f"the database has schema {found} and takes programs from {oldest} on, this one is of {HEAD}:"
            " a newer program made it: install that one"
        )
    return found


def current_revision(engine: Engine) -> str | None:
    """Return the schema's revision, None where there is no schema."""
    if engine.dialect.name == "sqlite" and not _file_exists(engine):
        return None
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
        return None if found is None else str(found)


def _oldest_program(engine: Engine) -> str:
    """Return the lowest revision of a program that may use a database which is newer than this program."""
    with reading(engine) as connection:
        wanted = select(store_settings.c.value).where(store_settings.c.name == _OLDEST_PROGRAM)
        return str(connection.execute(wanted).scalar_one_or_none() or _NEVER)


def migrations_path() -> Path:
    """Return the folder of the migrations, in an installed package or in a checkout.

    Raises:
        ConfigError: neither is there.

    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_migrations", package.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise ConfigError("the migrations are missing from this installation: install the package again")


def alembic_config(connection: Connection) -> "Config":
    """Return Alembic's settings for a connection that is open and in a transaction."""
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(migrations_path()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@contextlib.contextmanager
def migrating(engine: Engine) -> Iterator[Connection]:
    """Give a connection for migrations, one at a time.

    On SQLite all is one transaction. On Postgres each migration is one, with time limits, so that what it makes is free
    before the next one waits for a lock.

    Raises:
        StoreUnavailableError: the database does not answer, or another migration takes too long.

    """
    if engine.dialect.name != "postgresql":
        with writing(engine) as connection:
            yield connection
        return
    with translated(engine, keep=_GIVES_WAY), engine.connect() as connection:
        _wait_for_turn(connection)
        try:
            connection.execute(text(f"SET lock_timeout = {_LOCK_TIMEOUT_MS}"))
            connection.execute(text(f"SET statement_timeout = {_STATEMENT_TIMEOUT_MS}"))
            connection.execute(text(_LIMIT_SILENCE), {"most_ms": str(_MAX_SILENCE_MS)})
            role = owner_role(connection)
            if role is not None:  # what it makes belongs to the role, whoever migrates next
                connection.execute(text(f"SET ROLE {role}"))
            connection.commit()
            yield connection
            renew_grants(connection)
            connection.commit()
        finally:
            # Lock, limits and role are the session's: it is closed, not given back to the pool.
            connection.invalidate()


def _wait_for_turn(connection: Connection) -> None:
    deadline_s = time.monotonic() + _WAIT_FOR_MIGRATION_S
    taken = text(f"SELECT pg_try_advisory_lock({_ADVISORY_LOCK})")
    while not connection.execute(taken).scalar_one():
        connection.rollback()
        if time.monotonic() > deadline_s:
            raise StoreUnavailableError("another `annotator db upgrade` is at work: wait until it has ended")
        time.sleep(_LOOK_EVERY_S)
    connection.commit()


def belongs_to_models(_object: Any, name: str | None, kind: str, reflected: bool, _other: Any) -> bool:  # noqa: ANN401, FBT001 - Alembic's signature
    """Tell Alembic's comparison to leave the partitions out: they are data, not schema."""
    return not (kind == "table" and reflected and name is not None and _PARTITION_MARK in name)


def _file_exists(engine: Engine) -> bool:
    name = engine.url.database
    if name is None or name == ":memory:":
        return False
    # SQLite's own URIs (file:…?mode=ro) say themselves whether the file must be there.
    return name.startswith("file:") or Path(name).exists()


def _make_folder(engine: Engine) -> None:
    name = engine.url.database
    if engine.dialect.name == "sqlite" and name and name != ":memory:" and not name.startswith("file:"):
        try:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            why = f"the folder of the database {name} cannot be made ({exc.strerror})"
            raise ConfigError(f"{why}: name another file with --database") from exc
