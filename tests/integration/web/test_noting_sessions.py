"""Pages are shown while another program writes: that a session is used is noted when the database is free."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy import select

from annotator.store import Store
from annotator.store.tables import web_sessions
from annotator.store.web.accounts import Role
from tests.web_client import WebForTests

# Far below the time that SQLite waits for another writer (30 s).
AT_ONCE_S = 10


@contextmanager
def another_writer(store: Store) -> Iterator[None]:
    """Be another program in the middle of its transaction."""
    path = store.engine.url.database
    assert path is not None
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def seen_at(store: Store) -> object:
    with store.reading() as connection:
        return connection.execute(select(web_sessions.c.seen_at)).scalar_one()


def test_a_page_does_not_wait_for_another_programs_transaction_and_notes_the_session_later(
    sqlite_store: Store,
) -> None:
    web = WebForTests(sqlite_store)
    browser = web.browser(Role.READER)
    logged_in_at = seen_at(sqlite_store)
    web.clock.turn(minutes=2)
    began_s = time.monotonic()
    with another_writer(sqlite_store):
        assert browser.get("/").status_code == 200
    assert time.monotonic() - began_s < AT_ONCE_S
    assert browser.get("/").status_code == 200
    assert seen_at(sqlite_store) == logged_in_at, "it was tried again within a minute"
    web.clock.turn(minutes=1)
    assert browser.get("/").status_code == 200
    assert seen_at(sqlite_store) == web.clock()


def test_who_must_write_waits_again_afterwards(sqlite_store: Store) -> None:
    web = WebForTests(sqlite_store)
    browser = web.browser(Role.READER)
    web.clock.turn(minutes=2)
    with another_writer(sqlite_store):
        browser.get("/")
    with sqlite_store.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 30_000
