"""Both databases for tests: SQLite files, and a real PostgreSQL from a wheel, one server per test process.

Databases are copies of a template with the newest schema, so a test pays for a copy, not for the migrations.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
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
        self.run("ALTER SYSTEM SET fsync = off")
        self.run("ALTER SYSTEM SET max_connections = 200")
        self.run("SELECT pg_reload_conf()")

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

    def make(dialect: str, *, empty: bool = False) -> str:
        name = f"test_{uuid4().hex}"
        if dialect == "sqlite":
            path = tmp_path / f"{name}.db"
            if not empty:
                shutil.copy(request.getfixturevalue("sqlite_template"), path)
            return f"sqlite:///{path}"
        server = request.getfixturevalue("postgres_server")
        made.append((server, name))
        return server.create(name, template="template0" if empty else request.getfixturevalue("postgres_template"))

    yield make
    for server, name in made:
        server.drop(name)


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
    with Store.open(database_url) as opened:
        yield opened


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    """An engine on a fresh database, in each of the two dialects."""
    engine = open_engine(database_url)
    yield engine
    engine.dispose()
