"""Both databases, with the tables, for the tests of the queue."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from annotator.stack.child import free_port
from annotator.stack.postgres import PostgresChild
from annotator.store.connection import open_engine
from annotator.store.schema import upgrade_engine


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL server."""
    server = PostgresChild(tmp_path_factory.mktemp("postgres"), free_port())
    yield server.url
    server.process.stop(timeout_s=15.0)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A fresh database with the newest schema."""
    if request.param == "sqlite":
        opened = open_engine(tmp_path / "annotations.db")
    else:
        url = request.getfixturevalue("postgres_url")
        opened = open_engine(_fresh_database(url))
    upgrade_engine(opened)
    yield opened
    opened.dispose()


def _fresh_database(url: str) -> str:
    name = f"test_{uuid4().hex}"
    parsed = make_url(url).set(drivername="postgresql+psycopg2")
    admin = create_engine(parsed, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return parsed.set(database=name).render_as_string(hide_password=False)
