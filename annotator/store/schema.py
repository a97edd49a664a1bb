"""The schema's versions: bring a database up to date, and say whether it is."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, inspect, text

from annotator.errors import ConfigError
from annotator.store.connection import open_engine, reading, writing

if TYPE_CHECKING:
    from alembic.config import Config

# The newest revision, so that opening a store need not read the migrations; a test compares it with them.
# Revisions are numbers of four digits, so that they sort.
HEAD: Final = "0002"
# Alembic keeps the migration that runs in globals of the process.
_ONE_AT_A_TIME: Final = threading.Lock()
# One migration at a time: the key of Postgres's advisory lock, any fixed number ("annotate" in hexadecimal).
_ADVISORY_LOCK: Final = 0x616E6E6F74617465
# How long a migration waits for another migration, for a lock of a table, and for one statement, in milliseconds.
_WAIT_FOR_MIGRATION_MS: Final = 60_000
_LOCK_TIMEOUT_MS: Final = 5_000
_STATEMENT_TIMEOUT_MS: Final = 60_000
# Partitions are made at run time and are named parent__n1__0 or parent__l1__0.
_PARTITION_MARK: Final = "__"


def upgrade(url: str | Path) -> str:
    """Bring a database to the newest schema; nothing happens where it is. An SQLite file is made where there is none.

    Args:
        url: as of ``annotator.store.connection.database_url``.

    Returns:
        The revision that the database has now.

    Raises:
        ConfigError: the URL names no supported database, or the database is newer than this program.
        StoreUnavailableError: the database does not answer, or is locked too long.

    """
    engine = open_engine(url)
    try:
        upgrade_engine(engine)
    finally:
        engine.dispose()
    return HEAD


def upgrade_engine(engine: Engine) -> None:
    """Do the same over an engine that is open."""
    from alembic import command  # noqa: PLC0415 - Alembic takes a while to import, and is needed once per schema

    _make_folder(engine)
    found = current_revision(engine)
    if found is not None and found > HEAD:
        raise _wrong_revision(found)
    with _ONE_AT_A_TIME, writing(engine) as connection:
        command.upgrade(alembic_config(connection), "head")


def check(url: str | Path) -> str:
    """Say which revision a database has, and insist that it is the newest.

    Raises:
        ConfigError: the schema is missing, older or newer; the message says what to do.
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
    raise _wrong_revision(found)


def current_revision(engine: Engine) -> str | None:
    """Return the schema's revision, None where there is no schema."""
    if engine.dialect.name == "sqlite" and not _file_exists(engine):
        return None
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
        return None if found is None else str(found)


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
def migrating(connection: Connection) -> Iterator[None]:
    """Hold the lock of migrations, with time limits, until the transaction ends. SQLite's write lock does the same."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = {_WAIT_FOR_MIGRATION_MS}"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
        connection.execute(text(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}"))
        connection.execute(text(f"SET LOCAL statement_timeout = {_STATEMENT_TIMEOUT_MS}"))
    yield


def belongs_to_models(_object: Any, name: str | None, kind: str, reflected: bool, _other: Any) -> bool:  # noqa: ANN401, FBT001 - Alembic's signature
    """Tell Alembic's comparison to leave the partitions out: they are data, not schema."""
    return not (kind == "table" and reflected and name is not None and _PARTITION_MARK in name)


def _wrong_revision(found: str) -> ConfigError:
    remedy = "run `annotator db upgrade`" if found < HEAD else "a newer program made it: install that one"
    return ConfigError(f"the database has schema {found}, this program needs {HEAD}: {remedy}")


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
