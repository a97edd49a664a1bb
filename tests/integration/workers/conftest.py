"""Both databases, with the tables, for the tests of the queue."""

import pytest
from sqlalchemy import Engine


@pytest.fixture
def engine(database: Engine) -> Engine:
    """A fresh database with the newest schema, SQLite and Postgres in turn."""
    return database
