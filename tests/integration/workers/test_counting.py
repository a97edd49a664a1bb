"""What beat does about counts: sums, progress, and how many workers there should be; on both databases."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, insert, literal, select, text, update

from annotator.settings import ScalingSettings, Settings
from annotator.store.columns import IdList, utc_now
from annotator.store.connection import reading, writing
from annotator.store.queue.counts import Delta, add_deltas, read_counts
from annotator.store.queue.progress import read_points
from annotator.store.queue.sessions import open_session
from annotator.store.registry import register_network
from annotator.store.store import Store
from annotator.store.tables import WorkState, active, chunks, progress, runs, scaling, sources, worker_sessions
from workers.beat.counting import count_all, queues_for

PENDING, CLAIMED, DONE = WorkState.PENDING, WorkState.CLAIMED, WorkState.DONE
NETWORK = 1
SETTINGS = Settings(scaling=ScalingSettings(target_drain_s=100.0, max_workers=50))


def of(state: WorkState, cost_s: float, *, lane: str = "gif", run_id: int | None = 1, network: int = NETWORK) -> Delta:
    return Delta(network, run_id, lane, state, None, round(cost_s * 10), round(cost_s * 1000))


@pytest.fixture
def engine(database: Engine) -> Engine:
    """A database with a network and a backlog."""
    with writing(database) as connection:
        assert register_network(connection, {"name": "fake"}) == NETWORK
        connection.execute(insert(sources).values(id=1, uri="s3://clips/"))
    add_backlog(database, 1)
    return database


def add_backlog(engine: Engine, run_id: int, **values: Any) -> None:
    row = {"id": run_id, "network_id": NETWORK, "source_id": 1, "prefix": "", "options": {}, **values}
    with writing(engine) as connection:
        connection.execute(insert(runs).values(started_at=utc_now(), **row))


def move(engine: Engine, *deltas: Delta) -> None:
    with writing(engine) as connection:
        add_deltas(connection, deltas)


def wanted(engine: Engine, settings: Settings = SETTINGS) -> dict[str, int]:
    count_all(engine, settings)
    with reading(engine) as connection:
        return {row.queue: row.desired_workers for row in connection.execute(select(scaling))}


def progress_rows(engine: Engine) -> list[Any]:
    with reading(engine) as connection:
        return list(connection.execute(select(progress).order_by(progress.c.at, progress.c.lane)))


def shift_progress(engine: Engine, by: timedelta) -> None:
    """Let what was written have been written earlier."""
    for row in progress_rows(engine):
        with writing(engine) as connection:
            same = (progress.c.at == row.at) & (progress.c.lane == row.lane)
            connection.execute(update(progress).where(same).values(at=row.at - by))


def test_after_the_clock_of_the_database_was_put_back_progress_is_written_at_once(engine: Engine) -> None:
    move(engine, of(PENDING, 250.0))
    count_all(engine, SETTINGS)
    shift_progress(engine, -timedelta(hours=1))  # what was written then is of the future now
    assert len(progress_rows(engine)) == 2
    count_all(engine, SETTINGS)
    assert len(progress_rows(engine)) == 4
    with reading(engine) as connection:
        (point,) = read_points(connection)
        assert point.at <= connection.execute(select(utc_now())).scalar_one()


def test_workers_are_wanted_for_what_is_pending_and_claimed_and_none_for_nothing(engine: Engine) -> None:
    assert wanted(engine) == {"cpu": 0, "gpu": 0}
    move(engine, of(PENDING, 250.0), of(CLAIMED, 30.0), of(PENDING, 90.0, lane="film"), of(DONE, 9000.0))
    assert wanted(engine) == {"cpu": 1, "gpu": 3}
    move(engine, of(PENDING, -250.0), of(CLAIMED, -30.0), of(PENDING, -90.0, lane="film"))
    assert wanted(engine) == {"cpu": 0, "gpu": 0}
    with reading(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM work_deltas")).scalar_one() == 0
        assert read_counts(connection).media(DONE) == 90_000


def test_what_is_pending_for_a_former_network_keeps_nobody_alive_but_those_who_run_it(engine: Engine) -> None:
    with Store(engine) as store:
        newer = store.register_network({"name": "newer"})
        store.activate(store.register_labelling(newer, model="newer@1", digest="newer", photographs={}))
    move(engine, of(PENDING, 250.0))
    assert wanted(engine) == {"cpu": 0, "gpu": 0}
    with writing(engine) as connection:
        open_session(connection, worker="host:1", queues=["gpu"], network_id=newer)
    assert wanted(engine) == {"cpu": 0, "gpu": 0}
    with writing(engine) as connection:
        open_session(connection, worker="host:2", queues=["gpu"], network_id=NETWORK)
    assert wanted(engine) == {"cpu": 0, "gpu": 3}


@pytest.fixture
def candidate(engine: Engine) -> int:
    """A newer network, which is not the active one; backlog 2 asks for it."""
    with Store(engine) as store:
        store.activate(store.register_labelling(NETWORK, model="old@1", digest="old", photographs={}))
        newer = store.register_network({"name": "newer"})
    add_backlog(engine, 2, network_id=newer)
    return newer


def begin_worker(engine: Engine, network_id: int, *, ago: timedelta = timedelta(0), queue: str = "gpu") -> int:
    """Open the session of a worker that began some time ago."""
    with writing(engine) as connection:
        session_id = open_session(connection, worker="host:1", queues=[queue], network_id=network_id)
        began = connection.execute(select(utc_now())).scalar_one() - ago
        of_session = update(worker_sessions).where(worker_sessions.c.id == session_id)
        connection.execute(of_session.values(started_at=began))
    return session_id


def end_workers(engine: Engine) -> None:
    with writing(engine) as connection:
        life = {"seen_at": worker_sessions.c.started_at, "ended_at": utc_now()}
        connection.execute(update(worker_sessions).values(**life))


MINUTE = timedelta(minutes=1)


def test_what_waits_for_a_newer_network_that_no_worker_runs_keeps_nobody(engine: Engine, candidate: int) -> None:
    begin_worker(engine, NETWORK)
    move(engine, of(PENDING, 250.0, run_id=2, network=candidate))
    assert wanted(engine) == {"cpu": 0, "gpu": 0}, "a rollback, or --model of what no worker has"
    move(engine, of(PENDING, 50.0))
    assert wanted(engine) == {"cpu": 0, "gpu": 1}
    move(engine, of(PENDING, -50.0))
    end_workers(engine)
    assert wanted(engine) == {"cpu": 0, "gpu": 0}, "whoever is started would run the same again"
    begin_worker(engine, candidate)
    assert wanted(engine) == {"cpu": 0, "gpu": 3}


def test_from_zero_what_the_last_workers_ran_is_counted(engine: Engine, candidate: int) -> None:
    with writing(engine) as connection:
        began = connection.execute(select(utc_now())).scalar_one() - timedelta(hours=1)
        connection.execute(update(runs).values(started_at=began))
        connection.execute(update(active).values(switched_at=began))
    begin_worker(engine, NETWORK, ago=5 * MINUTE)
    end_workers(engine)
    move(engine, of(PENDING, 250.0))
    assert wanted(engine) == {"cpu": 0, "gpu": 3}
    begin_worker(engine, candidate, ago=2 * MINUTE)
    assert wanted(engine) == {"cpu": 0, "gpu": 0}, "versions were switched: nobody does what is left of the former one"
    end_workers(engine)
    assert wanted(engine) == {"cpu": 0, "gpu": 0}
    with writing(engine) as connection:
        connection.execute(update(active).values(switched_at=utc_now()))
    assert wanted(engine) == {"cpu": 0, "gpu": 1}, "its names were shown again since: perhaps it was deployed again"
    move(engine, of(PENDING, 250.0, run_id=2, network=candidate))
    assert wanted(engine) == {"cpu": 0, "gpu": 3}


def test_versions_that_were_switched_at_zero_are_found_out_by_one_worker(engine: Engine, candidate: int) -> None:
    begin_worker(engine, NETWORK, ago=MINUTE)
    end_workers(engine)
    move(engine, of(PENDING, 250.0, run_id=2, network=candidate))
    assert wanted(engine) == {"cpu": 0, "gpu": 1}, "its backlog began later than the last worker"
    begin_worker(engine, NETWORK)
    assert wanted(engine) == {"cpu": 0, "gpu": 0}
    end_workers(engine)
    assert wanted(engine) == {"cpu": 0, "gpu": 0}, "tried once"
    move(engine, of(PENDING, 50.0))
    assert wanted(engine) == {"cpu": 0, "gpu": 1}
    begin_worker(engine, candidate)
    assert wanted(engine) == {"cpu": 0, "gpu": 3}


def test_each_queue_is_judged_by_its_own_workers(engine: Engine, candidate: int) -> None:
    begin_worker(engine, candidate, queue="cpu")
    begin_worker(engine, NETWORK)
    move(engine, of(PENDING, 250.0, run_id=2, network=candidate))
    move(engine, of(PENDING, 250.0, run_id=2, network=candidate, lane="film"))
    assert wanted(engine) == {"cpu": 3, "gpu": 0}


def test_where_never_was_a_worker_the_newest_network_with_work_is_counted(engine: Engine, candidate: int) -> None:
    move(engine, of(PENDING, 250.0), of(PENDING, 150.0, run_id=2, network=candidate))
    assert wanted(engine) == {"cpu": 0, "gpu": 2}


def test_bounds_deadlines_and_budgets_count(engine: Engine) -> None:
    move(engine, of(PENDING, 100_000.0))
    assert wanted(engine)["gpu"] == 50
    move(engine, of(PENDING, -100_000.0), of(PENDING, 6000.0, run_id=2))
    with reading(engine) as connection:
        soon = connection.execute(select(utc_now())).scalar_one() + timedelta(minutes=10)
    slow = Settings(scaling=ScalingSettings(target_drain_s=86_400.0))
    assert wanted(engine, slow)["gpu"] == 1
    add_backlog(engine, 2, deadline_at=soon)
    assert wanted(engine, slow)["gpu"] == 11
    with writing(engine) as connection:
        connection.execute(update(runs).where(runs.c.id == 2).values(max_worker_s=700.0, worker_s=100.0))
    assert wanted(engine, slow)["gpu"] == 2
    with writing(engine) as connection:
        connection.execute(update(runs).where(runs.c.id == 2).values(stopped_at=utc_now()))
    assert wanted(engine, slow)["gpu"] == 0, "nobody queues what is pending of a stopped backlog"
    assert wanted(engine, Settings(scaling=ScalingSettings(min_workers=1))) == {"cpu": 1, "gpu": 1}


def test_files_of_one_machine_ask_for_no_worker_until_they_travel(engine: Engine) -> None:
    move(engine, of(PENDING, 250.0, run_id=None))
    assert wanted(engine)["gpu"] == 0
    with writing(engine) as connection:
        row = {"network_id": NETWORK, "lane": "gif", "media_ids": [1]}
        connection.execute(insert(chunks).values(created_at=utc_now(), **row))
    assert wanted(engine)["gpu"] == 3


def test_a_lane_without_chunks_is_seen_to_be_empty_by_index(engine: Engine) -> None:
    numbers = select(literal(0).label("n")).cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < 20_000 - 1))
    row = {
        "network_id": literal(NETWORK),
        "lane": literal("gif"),
        "media_ids": literal([1], IdList),
        "state": numbers.c.n % 2,
        "created_at": utc_now(),
        "published_at": utc_now(),
    }
    with writing(engine) as connection:
        connection.execute(insert(chunks).from_select(list(row), select(*row.values())))
    is_postgres = engine.dialect.name == "postgresql"
    with engine.connect() as connection:
        connection.execute(text("ANALYZE chunks" if is_postgres else "ANALYZE"))
        connection.commit()
    asked: list[tuple[str, Any]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def _keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    count_all(engine, SETTINGS)
    event.remove(engine, "before_cursor_execute", _keep)
    of_chunks = [one for one in asked if "FROM chunks" in one[0] and "film" in str(one[1])]
    assert len(of_chunks) == 2, "for each state"
    for statement, parameters in of_chunks:
        with engine.connect() as connection:
            explain = "EXPLAIN " if is_postgres else "EXPLAIN QUERY PLAN "
            plan = "\n".join(str(row) for row in connection.exec_driver_sql(explain + statement, parameters))
        assert "ix_chunks_" in plan, plan


def test_films_count_for_the_workers_that_do_them_and_for_those_that_should(engine: Engine) -> None:
    move(engine, of(PENDING, 250.0, lane="film"))
    assert wanted(engine) == {"cpu": 3, "gpu": 0}
    with writing(engine) as connection:
        open_session(connection, worker="host:1", queues=["gpu"])
    assert wanted(engine) == {"cpu": 3, "gpu": 3}
    only_gpu = Settings(scaling=ScalingSettings(target_drain_s=100.0, queues=("gpu",)))
    assert wanted(engine, only_gpu) == {"gpu": 3}, "a queue that is not scaled any more has no row"
    both = [frozenset({"gpu"}), frozenset({"cpu"})]
    assert queues_for(("cpu", "gpu"), scaled=("gpu", "cpu"), living=both) == ["cpu"]


def test_a_row_of_progress_is_written_each_minute_while_something_is_to_be_done(engine: Engine) -> None:
    count_all(engine, SETTINGS)
    assert progress_rows(engine) == []
    move(engine, of(PENDING, 100.0))
    for _ in range(5):
        count_all(engine, SETTINGS)
    begun = [row for row in progress_rows(engine) if row.lane == "gif"]
    assert len({row.at.replace(second=0, microsecond=0) for row in begun}) == len(begun) < 5
    assert [(row.pending, row.pending_cost_ms, row.done) for row in begun[:1]] == [(1000, 100_000, 0)]
    shift_progress(engine, timedelta(minutes=1))
    move(engine, of(PENDING, -100.0), of(DONE, 100.0))
    count_all(engine, SETTINGS)
    done = progress_rows(engine)
    assert (done[-1].lane, done[-1].pending, done[-1].done, done[-1].done_cost_ms) == ("gif", 0, 1000, 100_000)
    shift_progress(engine, timedelta(minutes=1))
    count_all(engine, SETTINGS)
    assert len(progress_rows(engine)) == len(done), "the row that says that all is done is the last one"


def test_old_progress_is_forgotten(engine: Engine) -> None:
    move(engine, of(PENDING, 100.0))
    count_all(engine, SETTINGS)
    shift_progress(engine, timedelta(days=15))
    old = progress_rows(engine)[-1].at
    count_all(engine, SETTINGS)
    assert all(row.at > old for row in progress_rows(engine))


def test_measured_speed_counts_for_more_than_the_estimate(engine: Engine) -> None:
    """Two workers have done 1200 s of estimated cost in two minutes: five times as fast as estimated."""
    with writing(engine) as connection:
        for number in (1, 2):
            open_session(connection, worker=f"host:{number}", queues=["gpu"])
        then = connection.execute(select(utc_now())).scalar_one() - timedelta(hours=1)
        connection.execute(update(worker_sessions).values(started_at=then))
    move(engine, of(PENDING, 3200.0))
    assert wanted(engine)["gpu"] == 32
    shift_progress(engine, timedelta(minutes=2))
    move(engine, of(PENDING, -1200.0), of(DONE, 1200.0))
    count_all(engine, SETTINGS)  # writes the second point; the next one measures
    assert wanted(engine)["gpu"] == 4
