"""Counters of work: deltas, their sums, the repair. The same on both databases."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, insert, text, update

from annotator.store.connection import open_engine, reading, writing
from annotator.store.queue.counts import Counts, Delta, add_deltas, read_counts, recount, sum_up
from annotator.store.registry import register_network
from annotator.store.tables import WorkState, work

PENDING, DONE, FAILED = WorkState.PENDING, WorkState.DONE, WorkState.FAILED
NETWORK = 1


def moved_by(media: int, state: WorkState = PENDING, *, run_id: int | None = None, reason: str | None = None) -> Delta:
    return Delta(NETWORK, run_id, "gif", state, reason, media, 60 * media)


def appended(engine: Engine, *deltas: Delta) -> None:
    with writing(engine) as connection:
        add_deltas(connection, deltas)


def counts_of(engine: Engine, **where: Any) -> Counts:
    with reading(engine) as connection:
        return read_counts(connection, **where)


def summed(engine: Engine, **options: Any) -> int:
    with writing(engine) as connection:
        return sum_up(connection, **options)


def rows_of(engine: Engine, table: str) -> int:
    with reading(engine) as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


@pytest.fixture
def second_engine(database_url: str) -> Iterator[Engine]:
    """Another process's connections."""
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def test_counts_are_the_sums_and_the_deltas_since(database: Engine) -> None:
    appended(database, moved_by(5), moved_by(3, run_id=7))
    assert summed(database) == 2
    assert rows_of(database, "work_deltas") == 0
    appended(database, moved_by(-2), moved_by(2, DONE))
    counts = counts_of(database)
    assert counts.media(PENDING) == 6
    assert counts.cost_ms(PENDING) == 360
    assert counts.media(PENDING, run_id=None) == 3
    assert counts.media(DONE) == 2
    assert counts_of(database, run_id=7).media() == 3
    assert counts_of(database, network_id=2).rows == ()


def test_deltas_of_the_same_key_are_one_row_and_nothing_is_none(database: Engine) -> None:
    appended(database, moved_by(5), moved_by(-3), moved_by(2, DONE), moved_by(-2, DONE))
    assert rows_of(database, "work_deltas") == 1
    appended(database)
    assert rows_of(database, "work_deltas") == 1


def test_reasons_are_kept_of_what_failed_only(database: Engine) -> None:
    appended(database, moved_by(1, reason="source_unavailable"), moved_by(1, FAILED, reason="undecodable"))
    assert [(row.state, row.reason) for row in counts_of(database).rows] == [(PENDING, None), (FAILED, "undecodable")]


def test_summing_up_stops_at_its_limit_and_goes_on_behind_it(database: Engine) -> None:
    for number in range(5):
        appended(database, moved_by(1, run_id=number))
    assert [summed(database, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert counts_of(database).media() == 5


@pytest.mark.parametrize("dialect", [pytest.param("postgres", marks=pytest.mark.servers)], indirect=True)
class TestWithManyConnections:
    """What only Postgres has: transactions side by side, and snapshots that last."""

    def test_a_late_commit_is_summed_up_later(self, database: Engine, second_engine: Engine) -> None:
        with second_engine.connect() as late, late.begin():
            late.execute(text("SELECT pg_current_xact_id()"))
            add_deltas(late, [moved_by(100)])
            for _ in range(4):
                appended(database, moved_by(1))
                summed(database)
            assert counts_of(database).media() == 4
        assert counts_of(database).media() == 104
        assert summed(database) == 1
        assert counts_of(database).media() == 104
        assert rows_of(database, "work_deltas") == 0

    def test_two_do_not_sum_up_at_once_and_a_killed_one_has_done_nothing(
        self, database: Engine, second_engine: Engine
    ) -> None:
        appended(database, moved_by(5))
        with second_engine.connect() as killed, killed.begin() as transaction:
            assert sum_up(killed) == 1
            assert summed(database) == 0
            transaction.rollback()
        assert counts_of(database).media() == 5
        assert summed(database) == 1
        assert counts_of(database).media() == 5

    def test_deleted_rows_that_an_old_snapshot_sees_are_not_read_again(
        self, database: Engine, second_engine: Engine
    ) -> None:
        with second_engine.connect() as analyst, analyst.begin():
            analyst.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            analyst.execute(text("SELECT count(*) FROM work"))
            self.move_and_sum_up(database, times=20)
            whole = self.scans_of_the_whole_table(database)
            self.move_and_sum_up(database, times=10)
            assert self.scans_of_the_whole_table(database) == whole
        with reading(database) as connection:
            marks = connection.execute(text("SELECT value FROM store_settings WHERE name = 'work_deltas'"))
            assert marks.scalar_one().split()[0] == "2900"

    def test_two_repairs_at_once_correct_once(self, database: Engine, second_engine: Engine) -> None:
        appended(database, moved_by(5))
        with ThreadPoolExecutor(1) as threads:
            with writing(second_engine) as first:
                assert recount(first) == [moved_by(-5)]
                second = threads.submit(self.repair, database)
                self.wait_until_somebody_waits(second_engine, second)
            assert second.result(timeout=60) == []
        assert counts_of(database).media() == 0

    @staticmethod
    def repair(engine: Engine) -> list[Delta]:
        with writing(engine) as connection:
            return recount(connection)

    @staticmethod
    def wait_until_somebody_waits(engine: Engine, task: "Future[list[Delta]]") -> None:
        waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        until_s = time.monotonic() + 60
        while time.monotonic() < until_s and not task.done():
            with reading(engine) as connection:
                if connection.execute(waiting).scalar_one():
                    return
        pytest.fail("the second repair did not wait")

    @staticmethod
    def move_and_sum_up(engine: Engine, *, times: int) -> None:
        for _ in range(times):
            with writing(engine) as connection:
                for number in range(100):
                    add_deltas(connection, [moved_by(1, run_id=number)])
            summed(engine)
            assert counts_of(engine).media(run_id=1) > 0

    @staticmethod
    def scans_of_the_whole_table(engine: Engine) -> int:
        with reading(engine) as connection:
            connection.execute(text("SELECT pg_stat_force_next_flush()"))
        with reading(engine) as connection:
            scans = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'work_deltas'"
            return int(connection.execute(text(scans)).scalar_one())


def test_a_repair_says_what_differed_and_corrects_it(database: Engine) -> None:
    with writing(database) as connection:
        register_network(connection, {"name": "fake"})
        rows = [{"network_id": NETWORK, "media_id": number, "cost_ms": 60} for number in range(1, 6)]
        connection.execute(insert(work), rows)
        connection.execute(update(work).where(work.c.media_id == 5).values(state=3, reason="undecodable"))
        add_deltas(connection, [moved_by(5), moved_by(2, DONE)])
    with writing(database) as connection:
        corrections = recount(connection)
    assert corrections == [moved_by(-1), moved_by(-2, DONE), moved_by(1, FAILED, reason="undecodable")]
    with writing(database) as connection:
        assert recount(connection) == []
    assert counts_of(database).rows == (moved_by(4), moved_by(1, FAILED, reason="undecodable"))
