"""A store for tests that are about pages: one of the two databases is enough for them. Passwords cost them little."""

from collections.abc import Callable, Iterator

import pytest

from annotator.store import Store
from annotator.web import passwords
from tests.web_client import QUICK_HASHER


@pytest.fixture
def sqlite_store(make_database: Callable[..., str]) -> Iterator[Store]:
    """An open store on a fresh SQLite file."""
    with Store.open(make_database("sqlite")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a hash cost next to nothing: fifty wrong passwords in a row are about who is let in."""
    monkeypatch.setattr(passwords, "_HASHER", QUICK_HASHER)
