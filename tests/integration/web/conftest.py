"""A store for tests that are about pages: one of the two databases is enough for them. Passwords cost them little."""

from collections.abc import Callable, Iterator

import pytest
from anyio.from_thread import start_blocking_portal

from annotator.store import Store
from annotator.web import passwords
from tests import web_archive
from tests.web_archive import Archive
from tests.web_client import QUICK_HASHER, Browser

MakeFilled = Callable[..., tuple[str, dict[str, int]]]


@pytest.fixture
def sqlite_store(make_database: Callable[..., str]) -> Iterator[Store]:
    """An open store on a fresh SQLite file."""
    opened = Store.open(make_database("sqlite"))
    yield opened
    opened.engine.dispose()  # closing it would bring counts up to date, for nobody


@pytest.fixture
def filled(dialect: str, make_filled: MakeFilled) -> Iterator[Archive]:
    """A store with three clips, in each of the two dialects."""
    with web_archive.copied(make_filled, dialect) as archive:
        yield archive


@pytest.fixture
def sqlite_filled(make_filled: MakeFilled) -> Iterator[Archive]:
    """A store with three clips in an SQLite file."""
    with web_archive.copied(make_filled, "sqlite") as archive:
        yield archive


@pytest.fixture(scope="module", autouse=True)
def _one_event_loop() -> Iterator[None]:
    """Let one event loop answer all requests of a module, as one answers all of a program."""
    with start_blocking_portal() as portal:
        Browser.portal = portal
        try:
            yield
        finally:
            Browser.portal = None


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a hash cost next to nothing: fifty wrong passwords in a row are about who is let in."""
    monkeypatch.setattr(passwords, "_HASHER", QUICK_HASHER)
