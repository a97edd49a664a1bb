"""Failures of a reason are read in order by an index, whatever their number: nothing is sorted, little is read."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, column, event, select, text, update

from annotator.store import Store
from annotator.store.connection import refresh_statistics, writing
from annotator.store.queue.failures import list_failures, newest_failures
from annotator.store.tables import media, work
from tests.store_values import SPEC

MANY = 20_000


@pytest.fixture
def failed(database: Engine) -> Engine:
    """Very many media that failed for one reason, a second after each other."""
    with Store(database) as store:
        network_id = store.register_network(SPEC)
        assert network_id == 1
    is_postgres = database.dialect.name == "postgresql"
    numbers = f"generate_series(1, {MANY}) n"
    time = "timestamptz '2026-01-01 00:00:00+00' + n * interval '1 second'"
    if not is_postgres:
        numbers = f"(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {MANY}) SELECT n FROM c)"
        time = "strftime('%Y-%m-%d %H:%M:%f', 1767225600 + n, 'unixepoch') || '000'"
    with writing(database) as connection:
        connection.execute(text("INSERT INTO sources (id, uri) VALUES (1, 's3://gifs/')"))
        key = "'' || n || '.gif'" if not is_postgres else "n || '.gif'"
        connection.execute(text(f"INSERT INTO media (id, source_id, key) SELECT n, 1, {key} FROM {numbers}"))
        columns = "network_id, media_id, state, attempts, reason, message, finished_at"
        row = f"1, n, CASE WHEN n % 10 = 0 THEN 4 ELSE 3 END, 1, 'undecodable', 'broken', {time}"
        connection.execute(text(f"INSERT INTO work ({columns}) SELECT {row} FROM {numbers}"))
    if is_postgres:
        with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM (ANALYZE)"))
    else:
        refresh_statistics(database)
    return database


def test_pages_follow_one_another_without_a_gap(failed: Engine) -> None:
    found, after = [], None
    with Store(failed).reading() as connection:
        for _ in range(3):
            page = list_failures(connection, 1, "undecodable", limit=7, after=after)
            after = page.next
            found += page.failures
    assert [one.media_id for one in found] == list(range(MANY, MANY - 21, -1))
    assert [one.is_quarantined for one in found[:3]] == [True, False, False]


def test_tries_are_told_that_count_since_somebody_asked_for_it(failed: Engine) -> None:
    store = Store(failed)
    store.activate(store.register_labelling(1, model="drawn@1", digest="drawn", photographs={}))
    with store.writing() as connection:
        # As of one that failed, was retried and failed again (annotator/store/queue/attempts.py).
        connection.execute(update(work).where(work.c.media_id == MANY).values(attempts=5, losses=4))
        (told,) = list_failures(connection, 1, "undecodable", limit=1).failures
        assert told.media_id == MANY
        assert told.attempts == 1
        of_view = select(column("attempts")).select_from(text("failures")).where(column("media_id") == MANY)
        assert connection.execute(of_view).scalar_one() == 1


def test_the_newest_is_looked_for_among_so_many_that_failed_last_and_not_in_all_that_are_gone(failed: Engine) -> None:
    gone = update(media).values(deleted_at=datetime(2026, 2, 1, tzinfo=UTC))
    with Store(failed).writing() as connection:
        connection.execute(gone.where(media.c.id > MANY - 999))
        assert newest_failures(connection, 1, ["undecodable", "crashed"])["undecodable"].media_id == MANY - 999
        connection.execute(gone.where(media.c.id == MANY - 999))
        assert newest_failures(connection, 1, ["undecodable", "crashed"]) == {}
        (older,) = list_failures(connection, 1, "undecodable", limit=1).failures
    assert older.media_id == MANY - 1_000


def test_a_page_passes_over_so_many_that_are_gone_and_the_next_one_goes_on_behind_them(failed: Engine) -> None:
    gone = update(media).values(deleted_at=datetime(2026, 2, 1, tzinfo=UTC))
    with Store(failed).writing() as connection:
        connection.execute(gone.where(media.c.id > MANY - 5_003))
        first = list_failures(connection, 1, "undecodable", limit=2)
        assert (first.failures, first.next is None) == ((), False)
        second = list_failures(connection, 1, "undecodable", limit=2, after=first.next)
        assert [one.media_id for one in second.failures] == [MANY - 5_003, MANY - 5_004]
        connection.execute(gone)
        after, pages = None, 0
        while pages == 0 or after is not None:
            page = list_failures(connection, 1, "undecodable", limit=2, after=after)
            after, pages = page.next, pages + 1
            assert page.failures == ()
    assert pages == MANY // 5_000 + 1


@pytest.mark.parametrize("is_first", [True, False])
def test_a_page_is_read_by_index_and_not_sorted(failed: Engine, *, is_first: bool) -> None:
    asked: list[tuple[str, Any]] = []

    def keep(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        asked.append((statement, parameters))

    with Store(failed).reading() as connection:
        after = None if is_first else list_failures(connection, 1, "undecodable", limit=1).next
        event.listen(failed, "before_cursor_execute", keep)
        list_failures(connection, 1, "undecodable", limit=50, after=after)
        event.remove(failed, "before_cursor_execute", keep)
        word = "EXPLAIN QUERY PLAN" if failed.dialect.name == "sqlite" else "EXPLAIN"
        assert len(asked) == 2  # the failures, and where their media are
        plans = [connection.exec_driver_sql(f"{word} {statement}", parameters) for statement, parameters in asked]
        plan = "\n".join(str(row[-1]) for rows in plans for row in rows)
    assert re.search(r"ix_work_failures|work__n1_network_id_reason_finished_at", plan), plan
    assert not re.search(r"Sort|TEMP B-TREE|Seq Scan on media|SCAN media", plan), plan
