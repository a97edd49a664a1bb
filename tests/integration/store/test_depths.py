"""How deep the queue is, by the database's clock, on both databases."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import CTE, Engine, Text, case, cast, event, insert, literal, select, text, update

from annotator.store.columns import IdList, Json, UtcTime, utc_now
from annotator.store.connection import reading, writing
from annotator.store.queue.deliveries import forget_call_backs
from annotator.store.queue.depths import read_depths
from annotator.store.queue.sessions import close_session, open_session
from annotator.store.tables import chunks, outbox, scaling, worker_sessions

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


def depths(engine: Engine) -> Any:
    with reading(engine) as connection:
        return read_depths(connection, session_timeout_s=45.0)


def ago(engine: Engine, **since: float) -> Any:
    with reading(engine) as connection:
        return connection.execute(select(utc_now())).scalar_one() - timedelta(**since)


def numbers(count: int) -> CTE:
    """Return the numbers from 0 on, in a column n: the database makes rows of them sooner than it is sent as many."""
    first = select(literal(0).label("n")).cte("numbers", recursive=True)
    return first.union_all(select(first.c.n + 1).where(first.c.n < count - 1))


def add_chunk(engine: Engine, lane: str, *, made: Any, published: Any = None, network_id: int = 1, **more: Any) -> None:
    row = {"network_id": network_id, "lane": lane, "media_ids": [1], "created_at": made, **more}
    with writing(engine) as connection:
        connection.execute(insert(chunks).values(**row, state=int(published is not None), published_at=published))


def test_an_empty_queue_has_no_ages(database: Engine) -> None:
    found = depths(database)
    assert [(one.lane, one.published, one.published_age_s, one.waiting_age_s) for one in found.lanes] == [
        ("gif", 0, None, None),
        ("film", 0, None, None),
    ]
    assert (found.workers, found.workers_silent, found.workers_by_queue, found.scaling) == (0, 0, {}, ())
    assert (found.callbacks, found.callback_age_s) == (0, None)
    assert found.database_bytes > 0


def test_the_oldest_chunk_is_found_whatever_its_priority(database: Engine) -> None:
    for priority, minutes in ((9, 1), (0, 50), (0, 40), (-3, 20)):
        add_chunk(database, "gif", priority=priority, made=ago(database, minutes=minutes))
    for minutes in (2, 7):
        add_chunk(database, "gif", made=ago(database, hours=2), published=ago(database, minutes=minutes))
    add_chunk(database, "film", made=ago(database, hours=3))
    gif, film = depths(database).lanes
    assert gif.published == 2
    assert gif.published_age_s == pytest.approx(7 * 60, abs=30)
    assert gif.waiting_age_s == pytest.approx(50 * 60, abs=30)
    assert (film.published, film.published_age_s) == (0, None)
    assert film.waiting_age_s == pytest.approx(3 * 3600, abs=30)


def test_what_waits_for_a_network_that_nobody_runs_or_for_its_time_is_not_old(database: Engine) -> None:
    add_chunk(database, "gif", made=ago(database, hours=2), network_id=1)
    add_chunk(database, "gif", made=ago(database, hours=1), network_id=2, not_before=ago(database, hours=-1))
    add_chunk(database, "gif", made=ago(database, minutes=5), network_id=2, not_before=ago(database, minutes=1))
    assert depths(database).lanes[0].waiting_age_s == pytest.approx(2 * 3600, abs=30), "there never was a worker"
    with writing(database) as connection:
        former = open_session(connection, worker="a:1", queues=["gpu"], network_id=1)
        newer = open_session(connection, worker="b:1", queues=["gpu"], network_id=2)
    assert depths(database).lanes[0].waiting_age_s == pytest.approx(2 * 3600, abs=30)
    with writing(database) as connection:
        close_session(connection, former)
    assert depths(database).lanes[0].waiting_age_s == pytest.approx(5 * 60, abs=30)
    with writing(database) as connection:
        close_session(connection, newer)
        connection.execute(update(worker_sessions).where(worker_sessions.c.id == former).values(seen_at=LONG_AGO))
        open_session(connection, worker="c:1", queues=["default"])
    assert depths(database).lanes[0].waiting_age_s == pytest.approx(5 * 60, abs=30), "what the last workers ran"


def test_workers_count_while_they_say_that_they_live(database: Engine) -> None:
    sessions = [
        ("a:1", ["gpu", "cpu"], {"seconds": 5}, False),
        ("b:1", ["gpu"], {"seconds": 5}, False),
        ("c:1", ["gpu"], {"minutes": 5}, False),
        ("d:1", ["gpu"], {"seconds": 5}, True),
        ("e:1", None, {"seconds": 5}, False),
    ]
    with writing(database) as connection:
        for worker, queues, since, is_over in sessions:
            seen = connection.execute(select(utc_now())).scalar_one() - timedelta(**since)
            row = {"worker": worker, "lanes": ["gif"], "queues": queues, "started_at": seen, "seen_at": seen}
            connection.execute(insert(worker_sessions).values(**row, ended_at=seen if is_over else None))
    found = depths(database)
    assert (found.workers, found.workers_silent) == (3, 1)
    assert found.workers_by_queue == {"gpu": 2, "cpu": 1}


def test_wanted_workers_have_the_age_of_their_row(database: Engine) -> None:
    with writing(database) as connection:
        connection.execute(insert(scaling).values(queue="gpu", desired_workers=7, updated_at=utc_now()))
        connection.execute(
            update(scaling).values(updated_at=connection.execute(select(utc_now())).scalar_one() - timedelta(minutes=2))
        )
    (row,) = depths(database).scaling
    assert (row.queue, row.desired) == ("gpu", 7)
    assert row.age_s == pytest.approx(120, abs=30)


def test_call_backs_wait_until_they_are_delivered_or_given_up(database: Engine) -> None:
    made = ago(database, hours=1)
    with writing(database) as connection:
        for number, told in enumerate(({}, {}, {"delivered_at": made}, {"given_up_at": made})):
            row = {"run_id": 1, "event": "media", "idempotency_key": str(number), "payload": {}, "created_at": made}
            connection.execute(insert(outbox).values(**row, **told))
    found = depths(database)
    assert found.callbacks == 2
    assert found.callback_age_s == pytest.approx(3600, abs=30)


def test_what_was_told_long_ago_is_passed_over_and_forgotten_by_index(database: Engine) -> None:
    made, long_ago = ago(database, hours=1), ago(database, days=40)
    n = numbers(20_000).c.n
    told = {
        "run_id": n % 3,
        "event": literal("media"),
        "idempotency_key": cast(n, Text),
        "payload": literal({}, Json),
        "created_at": literal(long_ago, UtcTime),
        "delivered_at": case((n % 2 == 1, literal(made, UtcTime))),
        "given_up_at": case((n % 2 == 0, literal(made, UtcTime))),
    }
    due = {"run_id": 2, "event": "media", "idempotency_key": "due", "payload": {}, "created_at": made}
    with writing(database) as connection:
        connection.execute(insert(outbox).from_select(list(told), select(*told.values())))
        connection.execute(insert(outbox).values(**due))
    is_postgres = database.dialect.name == "postgresql"
    with database.connect() as connection:
        connection.execute(text("ANALYZE outbox" if is_postgres else "ANALYZE"))
        connection.commit()
    asked: list[tuple[str, Any]] = []

    @event.listens_for(database, "before_cursor_execute")
    def _keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    assert depths(database).callback_age_s == pytest.approx(3600, abs=60)
    with writing(database) as connection:
        assert forget_call_backs(connection, delivered_s=7200.0, given_up_s=7200.0, limit=100) == 0
    event.remove(database, "before_cursor_execute", _keep)
    of_outbox = [(statement, parameters) for statement, parameters in asked if "outbox" in statement]
    assert len(of_outbox) == 1 + 2 + 2, "a count, the oldest of one backlog and an end, and two that forget"
    for statement, parameters in of_outbox:
        with database.connect() as connection:
            explain = "EXPLAIN " if is_postgres else "EXPLAIN QUERY PLAN "
            plan = "\n".join(str(row) for row in connection.exec_driver_sql(explain + statement, parameters))
        assert any(f"ix_outbox_{one}" in plan for one in ("due", "delivered", "given_up")), plan
        assert "Seq Scan" not in plan, plan


def test_a_deep_queue_is_read_by_index(database: Engine) -> None:
    n = numbers(20_000).c.n
    waiting = {
        "network_id": literal(1),
        "lane": literal("gif"),
        "priority": n % 3,
        "media_ids": literal([1], IdList),
        "created_at": literal(ago(database, hours=1), UtcTime),
    }
    is_postgres = database.dialect.name == "postgresql"
    with writing(database) as connection:
        connection.execute(insert(chunks).from_select(list(waiting), select(*waiting.values())))
    with database.connect() as connection:
        connection.execute(text("ANALYZE chunks" if is_postgres else "ANALYZE"))
        connection.commit()
    asked: list[tuple[str, Any]] = []

    @event.listens_for(database, "before_cursor_execute")
    def _keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    assert depths(database).lanes[0].waiting_age_s == pytest.approx(3600, abs=60)
    event.remove(database, "before_cursor_execute", _keep)
    of_chunks = [(statement, parameters) for statement, parameters in asked if "FROM chunks" in statement]
    assert len(of_chunks) >= 2 + 3 + 1, "two lanes, three priorities, and an end"
    for statement, parameters in of_chunks:
        with database.connect() as connection:
            explain = "EXPLAIN " if is_postgres else "EXPLAIN QUERY PLAN "
            plan = "\n".join(str(row) for row in connection.exec_driver_sql(explain + statement, parameters))
        assert "ix_chunks_" in plan, plan
        assert "Sort" not in plan, plan
        assert "TEMP B-TREE" not in plan, plan
