"""A store for tests that are about pages: one of the two databases is enough for them."""

from collections.abc import Callable, Iterator

import pytest

from annotator.store import Store


@pytest.fixture
def sqlite_store(make_database: Callable[..., str]) -> Iterator[Store]:
    """An open store on a fresh SQLite file."""
    with Store.open(make_database("sqlite")) as opened:
        yield opened
