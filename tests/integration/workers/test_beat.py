"""``celery -A … beat`` with all its jobs on real servers: what it does, what goes to others, how it ends."""

import contextlib
import http.server
import os
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import func, insert, select, text, update

from annotator.settings import load_settings
from annotator.stack.child import free_port
from annotator.stack.local import LocalStack
from annotator.store.columns import utc_now
from annotator.store.locks import only_one, try_lock
from annotator.store.queue.counts import recount
from annotator.store.queue.outbox import tell_backlog
from annotator.store.queue.sessions import open_session
from annotator.store.tables import outbox, progress, runs, work, worker_sessions
from annotator.store.upkeep import note_job, read_upkeep
from tests.integration.workers.system import MEDIA, System, broker_beside
from workers.app import create_app
from workers.beat.schedule import JobContext, make_jobs

TIMEOUT_S = 60.0
pytestmark = [pytest.mark.servers, pytest.mark.slow]
RUN = 7
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)
JOBS = (
    *("feed", "sweep", "count", "backlogs", "deliver", "roll-up", "catch-up", "review"),
    *("partitions", "forget", "retrain"),
)


@pytest.fixture
def stack(tmp_path: Path, make_database: Callable[..., str]) -> Iterator[LocalStack]:
    """A fresh database, and a broker of its own, which a test may change."""
    with broker_beside(make_database("postgres"), tmp_path / "stack") as started:
        yield started


@pytest.fixture
def system(stack: LocalStack, tmp_path: Path) -> Iterator[System]:
    made = System(stack, tmp_path)
    yield made
    made.end()


class Receiver(http.server.ThreadingHTTPServer):
    """Answers when it is released."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keys: list[str] = []
        self.released = threading.Event()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.keys.append(self.headers["Idempotency-Key"])
        self.server.released.wait(TIMEOUT_S)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.released.set()
    made.shutdown()
    thread.join()
    made.server_close()


def add_backlog(system: System, receiver: Receiver) -> None:
    """Let the system's media belong to a backlog that has a receiver."""
    with system.store.writing() as connection:
        network_id = connection.execute(select(work.c.network_id).limit(1)).scalar_one()
        row = {"id": RUN, "network_id": network_id, "source_id": 1, "prefix": "", "options": {}}
        url = f"http://127.0.0.1:{receiver.server_port}/"
        connection.execute(insert(runs).values(started_at=utc_now(), listed_at=utc_now(), callback_url=url, **row))
        connection.execute(update(work).values(run_id=RUN))
        recount(connection)
    system.environment["ANNOTATOR_CALLBACKS__ALLOWED_HOSTS"] = "127.0.0.0/8"
    system.environment["ANNOTATOR_CALLBACKS__SECRET"] = "a secret that nobody guesses"  # noqa: S105


def wait_until(holds: Callable[[], bool], system: System) -> None:
    until_s = time.monotonic() + TIMEOUT_S
    while not holds():
        if time.monotonic() > until_s:
            pytest.fail(f"it never came: {system.log('beat')[-3000:]}")
        time.sleep(0.05)


def count(system: System, table: Any, *conditions: Any) -> int:
    with system.store.reading() as connection:
        return connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()


def test_a_backlog_goes_through_all_jobs_to_the_receiver(system: System, receiver: Receiver) -> None:
    receiver.released.set()
    add_backlog(system, receiver)
    beat = system.start("beat")
    worker = system.start("worker", "-Q", "gpu")
    system.wait_until(lambda states: states == {2: MEDIA}, worker)
    wait_until(lambda: count(system, outbox, outbox.c.delivered_at.is_not(None)) == MEDIA + 1, system)
    assert len(receiver.keys) == len(set(receiver.keys)) == MEDIA + 1
    assert f"backlog.finished-{RUN}" in receiver.keys
    assert count(system, runs, runs.c.finished_at.is_not(None)) == 1
    assert count(system, progress) > 0
    beat.send_signal(signal.SIGTERM)
    assert beat.wait(5) == 0
    log = system.log("beat")
    assert "Traceback" not in log
    assert all(f"{job} (" in log for job in JOBS)


def test_a_slow_job_holds_up_neither_the_feeder_nor_the_end(system: System, receiver: Receiver) -> None:
    add_backlog(system, receiver)
    with system.store.writing() as connection:
        tell_backlog(connection, RUN, "backlog.finished", {})
    beat = system.start("beat")
    wait_until(lambda: len(receiver.keys) == 1, system)
    with Redis.from_url(system.environment["ANNOTATOR_BROKER_URL"]) as broker:
        broker.flushall()
        wait_until(lambda: broker.llen("gpu") >= MEDIA // 20, system)
    assert not receiver.released.is_set()
    beat.send_signal(signal.SIGTERM)
    assert beat.wait(5) == 0
    assert "Traceback" not in system.log("beat")
    with system.store.reading() as connection:
        assert connection.execute(select(outbox.c.delivered_at)).scalar_one() is None


def test_a_beat_that_is_killed_lets_go_of_its_locks(system: System, receiver: Receiver) -> None:
    add_backlog(system, receiver)
    with system.store.writing() as connection:
        tell_backlog(connection, RUN, "backlog.finished", {})
    beat = system.start("beat")
    wait_until(lambda: len(receiver.keys) == 1, system)
    with system.store.writing() as connection:
        assert not try_lock(connection, "job deliver"), "a slow job of beat holds it"
    beat.kill()
    beat.wait()

    def is_free() -> bool:
        with only_one(system.store.engine, "job deliver") as is_ours:
            return is_ours

    wait_until(is_free, system)


def test_two_beats_do_no_harm_to_each_other(system: System, receiver: Receiver) -> None:
    receiver.released.set()
    add_backlog(system, receiver)
    beats = [system.start("beat"), system.start("beat")]
    worker = system.start("worker", "-Q", "gpu")
    system.wait_until(lambda states: states == {2: MEDIA}, worker)
    wait_until(lambda: count(system, outbox, outbox.c.delivered_at.is_not(None)) == MEDIA + 1, system)
    assert len(receiver.keys) == MEDIA + 1
    for beat in beats:
        beat.send_signal(signal.SIGTERM)
        assert beat.wait(5) == 0
    assert "Traceback" not in system.log("beat")


def test_slow_jobs_go_to_a_worker_of_the_housekeeping_queue(system: System, receiver: Receiver) -> None:
    receiver.released.set()
    add_backlog(system, receiver)
    worker = system.start("worker", "-Q", "default")
    open_default = (worker_sessions.c.ended_at.is_(None), text("queues::text LIKE '%default%'"))
    wait_until(lambda: count(system, worker_sessions, *open_default) == 1, system)
    system.start("beat")
    with system.store.writing() as connection:
        tell_backlog(connection, RUN, "backlog.finished", {})
    wait_until(lambda: count(system, outbox, outbox.c.delivered_at.is_not(None)) == 1, system)
    wait_until(lambda: "workers.run_job" in system.log("worker").partition("[tasks]")[2].partition("ready")[2], system)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert "Traceback" not in system.log("worker") + system.log("beat")


REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused on purpose'; END $$;
CREATE TRIGGER refuse BEFORE DELETE ON worker_sessions FOR EACH ROW EXECUTE FUNCTION refuse();
"""


def test_a_slow_job_that_fails_in_a_worker_has_not_gone_well(system: System) -> None:
    """Beat has handed it over; it is overdue all the same, and jobs that went well there are not."""
    with system.store.writing() as connection:
        session_id = open_session(connection, worker="long-gone:1", queues=("gpu",))
        ended = {"seen_at": LONG_AGO, "ended_at": LONG_AGO}
        connection.execute(update(worker_sessions).where(worker_sessions.c.id == session_id).values(ended))
        connection.execute(text(REFUSE))
        for name in ("forget", "catch-up"):
            note_job(connection, name, overdue_s=60.0)
        connection.execute(
            text(
                'UPDATE store_settings SET value = \'{"at": "2001-01-01T00:00:00+00:00", "overdue_s": 60}\''
                " WHERE name LIKE 'went well: job %'"
            )
        )
    worker = system.start("worker", "-Q", "default")
    open_default = (worker_sessions.c.ended_at.is_(None), text("queues::text LIKE '%default%'"))
    wait_until(lambda: count(system, worker_sessions, *open_default) == 1, system)
    port = free_port()
    system.start("beat", ANNOTATOR_METRICS__PORT=str(port))

    def shown(series: str, job: str) -> float:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
            found = re.search(rf'^{series}{{name="{job}"}} (\S+)$', page, re.MULTILINE)
            return float(found[1]) if found else 0.0
        return 0.0

    wait_until(lambda: "refused on purpose" in system.log("worker"), system)
    wait_until(lambda: shown("annotator_job_seconds_count", "gauges") >= 1, system)
    assert shown("annotator_job_seconds_count", "forget") >= 1
    assert shown("annotator_job_success_timestamp_seconds", "forget") == pytest.approx(LONG_AGO.timestamp(), abs=60)
    assert overdue(system) >= {"forget"}
    wait_until(lambda: overdue(system) == {"forget"}, system)  # the others went well, in the worker
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0


def overdue(system: System) -> set[str]:
    with system.store.reading() as connection:
        return {job.name for job in read_upkeep(connection).jobs if job.is_overdue}


def test_no_heap_of_messages_grows_where_a_worker_takes_none(system: System, receiver: Receiver) -> None:
    """Its session lives, it does not: beat does the work itself once there are as many messages as slow jobs."""
    receiver.released.set()
    add_backlog(system, receiver)
    with system.store.writing() as connection:
        open_session(connection, worker="elsewhere:1", queues=("default",))
        connection.execute(text("UPDATE worker_sessions SET seen_at = now() + interval '1 hour'"))
        tell_backlog(connection, RUN, "backlog.finished", {})
    app = create_app(load_settings(env_file=None, broker_url=system.environment["ANNOTATOR_BROKER_URL"]))
    slow = sum(job.slow for job in make_jobs(JobContext(app)))
    system.start("beat")
    wait_until(lambda: len(receiver.keys) == 1, system)
    with Redis.from_url(system.environment["ANNOTATOR_BROKER_URL"]) as broker:
        assert broker.llen("default") == slow


def test_beat_refuses_a_broker_that_may_forget(system: System) -> None:
    with Redis.from_url(system.environment["ANNOTATOR_BROKER_URL"]) as broker:
        broker.config_set("maxmemory-policy", "volatile-lru")
    beat = system.start("beat")
    assert beat.wait(TIMEOUT_S) == 2
    assert "maxmemory-policy is volatile-lru" in system.log("beat")
    assert "Traceback" not in system.log("beat")


def test_beat_that_starts_before_its_broker_finds_out_later_and_leaves(system: System, stack: LocalStack) -> None:
    """The first thing that it hears from the broker is that it forgets."""
    with Redis.from_url(system.environment["ANNOTATOR_BROKER_URL"]) as broker:
        broker.config_set("maxmemory-policy", "volatile-lru")
    (pid,) = [service.child.pid for service in stack._children if service.child.name == "broker"]
    os.kill(pid, signal.SIGSTOP)
    try:
        beat = system.start("beat")
        wait_until(lambda: "The jobs wait for the broker" in system.log("beat"), system)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert beat.wait(TIMEOUT_S) == 2
    assert "beat stops: The broker's maxmemory-policy is volatile-lru" in system.log("beat")


def test_beat_ends_at_once_while_its_database_hangs(system: System) -> None:
    with system.store.writing() as connection:
        beat = system.start("beat")
        connection.execute(text("LOCK TABLE chunks IN ACCESS EXCLUSIVE MODE"))
        wait_until(lambda: waits_for_a_lock(system), system)
        beat.send_signal(signal.SIGTERM)
        try:
            assert beat.wait(5) == 0
        except subprocess.TimeoutExpired:
            pytest.fail(f"it goes on: {system.log('beat')[-2000:]}")


def waits_for_a_lock(system: System) -> bool:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with system.store.reading() as connection:
        return connection.execute(waiting).scalar_one() > 0
