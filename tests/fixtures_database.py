"""Both databases for tests: SQLite files, and a real PostgreSQL from a wheel, one server per test process.

Databases are copies of a template with the newest schema, so a test pays for a copy, not for the migrations.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from annotator.stack.child import free_port
from annotator.stack.postgres import PostgresChild
from annotator.store import Store, upgrade
from annotator.store.connection import open_engine
from tests.quick_disk import quick_folder

BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.servers)]
_TEMPLATE = "annotator_template"


class PostgresForTests:
    """A server, and fresh databases on it."""

    def __init__(self, folder: Path) -> None:
        self._server = PostgresChild(folder, free_port())
        url = make_url(self._server.url).set(drivername="postgresql+psycopg2")
        self._admin = create_engine(url, isolation_level="AUTOCOMMIT")
        # Nothing of a test outlives the machine.
        for setting in ("fsync = off", "full_page_writes = off", "synchronous_commit = off", "max_wal_size = '2GB'"):
            self.run(f"ALTER SYSTEM SET {setting}")
        self.run("SELECT pg_reload_conf()")
        # A client hashes the password 4,096 times for each connection otherwise.
        with self._admin.connect() as connection:
            connection.execute(text("SET scram_iterations = 1"))
            connection.execute(text(f"ALTER ROLE {url.username} PASSWORD '{url.password}'"))

    def run(self, statement: str) -> None:
        """Run a statement outside a transaction, as the superuser."""
        with self._admin.connect() as connection:
            connection.execute(text(statement))

    def create(self, name: str, *, template: str = "template0") -> str:
        """Make a database and return its URL."""
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return make_url(self._server.url).set(database=name).render_as_string(hide_password=False)

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def stop(self) -> None:
        """Stop the server."""
        self._admin.dispose()
        self._server.process.stop(timeout_s=15.0)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresForTests]:
    """A real PostgreSQL server, for this process's tests."""
    with quick_folder(tmp_path_factory.mktemp("postgres-server")) as folder:
        server = PostgresForTests(folder)
        yield server
        server.stop()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresForTests) -> str:
    """The name of a database with the newest schema, to be copied."""
    upgrade(postgres_server.create(_TEMPLATE))
    return _TEMPLATE


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("sqlite-template") / "template.db"
    upgrade(path)
    return path


@pytest.fixture
def make_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Call it with a dialect (and ``empty=True`` for one without tables) for the URL of a fresh database."""
    made: list[tuple[PostgresForTests, str]] = []

    def make(dialect: str, *, empty: bool = False, template: str | None = None) -> str:
        name = f"test_{uuid4().hex}"
        if dialect == "sqlite":
            path = tmp_path / f"{name}.db"
            if not empty:
                shutil.copy(request.getfixturevalue("sqlite_template"), path)
            return f"sqlite:///{path}"
        server = request.getfixturevalue("postgres_server")
        made.append((server, name))
        newest = "template0" if empty else request.getfixturevalue("postgres_template")
        return server.create(name, template=template or newest)

    yield make
    for server, name in made:
        server.drop(name)


@pytest.fixture(scope="session")
def _filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str, Callable[[str], Any]], tuple[str, Any]]:
    """Fill a database once for all tests of this process; give its name or path, and what filling it has returned."""
    made: dict[tuple[str, str], tuple[str, Any]] = {}

    def filled(dialect: str, name: str, fill: Callable[[str], Any]) -> tuple[str, Any]:
        if (dialect, name) not in made:
            if dialect == "sqlite":
                path = tmp_path_factory.mktemp(f"filled-{name}") / "template.db"
                shutil.copy(request.getfixturevalue("sqlite_template"), path)
                value = fill(f"sqlite:///{path}")
                assert not path.with_name(f"{path.name}-wal").exists(), "somebody is still connected to it"
                made[dialect, name] = str(path), value
            else:
                server = request.getfixturevalue("postgres_server")
                template = f"filled_{uuid4().hex}"
                url = server.create(template, template=request.getfixturevalue("postgres_template"))
                made[dialect, name] = template, fill(url)
        return made[dialect, name]

    return filled


@pytest.fixture
def make_filled(
    tmp_path: Path,
    make_database: Callable[..., str],
    _filled: Callable[[str, str, Callable[[str], Any]], tuple[str, Any]],
) -> Callable[[str, str, Callable[[str], Any]], tuple[str, Any]]:
    """Call it with a dialect, a name and what fills a database of a URL, for the URL of a fresh copy of a filled one.

    It is filled once for all tests of the process that give the same name; what was returned then comes second. Nobody
    may be connected to it afterwards.
    """

    def make(dialect: str, name: str, fill: Callable[[str], Any]) -> tuple[str, Any]:
        template, value = _filled(dialect, name, fill)
        if dialect == "sqlite":
            path = tmp_path / f"test_{uuid4().hex}.db"
            shutil.copy(template, path)
            return f"sqlite:///{path}", value
        return make_database("postgres", template=template), value

    return make


@pytest.fixture(params=BOTH)
def dialect(request: pytest.FixtureRequest) -> str:
    """Each of the two databases in turn."""
    return str(request.param)


@pytest.fixture
def database_url(dialect: str, make_database: Callable[..., str]) -> str:
    """A fresh database with the newest schema, in each of the two dialects."""
    return make_database(dialect)


@pytest.fixture
def empty_database_url(dialect: str, make_database: Callable[..., str]) -> str:
    """A fresh database without tables, in each of the two dialects."""
    return make_database(dialect, empty=True)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """An open store on a fresh database, in each of the two dialects."""
    opened = Store.open(database_url)
    yield opened
    opened.engine.dispose()  # closing it would bring counts up to date, for nobody


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    """An engine on a fresh database, in each of the two dialects."""
    engine = open_engine(database_url)
    yield engine
    engine.dispose()
