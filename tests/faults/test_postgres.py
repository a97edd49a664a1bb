"""A database that goes away in the middle of things."""

import contextlib
import signal
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from tests.faults.rows import Rows
from tests.faults.system import MakeSystem, System
from tests.faults.tcp_proxy import Deed

pytestmark = [pytest.mark.servers, pytest.mark.faults]

CLAIMS = b"UPDATE work SET state = 1"
MANY = 1_000_000


def test_the_database_is_restarted_while_media_are_in_hand(system: System, undisturbed: Rows) -> None:
    system.start_beat()
    worker = system.worker()
    worker.halt_at("network")
    worker.start()
    worker.wait_for_halt("network")
    system.servers.stop_postgres(signal.SIGQUIT)
    worker.go_on("network")
    worker.wait_for_log("results wait")
    system.servers.start_postgres()
    system.assert_ends_as(undisturbed)


@pytest.mark.parametrize("deed", ["cut_before", "cut_after"])
def test_the_connection_breaks_at_the_commit_of_results(system: System, undisturbed: Rows, deed: Deed) -> None:
    system.start_beat()
    worker = system.worker(worker__write_media=1)  # a batch would be written one by one, and hide what becomes of it
    commit = worker.postgres.trap(b"COMMIT", after=b"INSERT INTO annotations", deed=deed)
    worker.start()
    commit.wait()
    system.assert_ends_as(undisturbed)
    assert set(system.s3.reads.values()) == {1}


@pytest.mark.parametrize("deed", ["cut_before", "cut_after"])
def test_the_connection_breaks_in_the_transaction_of_a_claim(system: System, undisturbed: Rows, deed: Deed) -> None:
    system.start_beat()
    worker = system.worker()
    commit = worker.postgres.trap(b"COMMIT", after=CLAIMS, deed=deed)
    worker.start()
    commit.wait()
    system.assert_ends_as(undisturbed)
    assert set(system.s3.reads.values()) == {1}


@contextlib.contextmanager
def failing(system: System, table: str, sqlstate: str, *, times: int) -> Iterator[None]:
    """Let so many inserts into a table, or claims in «work», end in an error."""
    event, when = ("UPDATE", "WHEN (NEW.state = 1)") if table == "work" else ("INSERT", "")
    for statement in (
        "CREATE SEQUENCE faults_failures",
        (
            "CREATE FUNCTION faults_fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF nextval('faults_failures') <= {times} THEN RAISE EXCEPTION 'as the test wants it'"
            f" USING ERRCODE = '{sqlstate}'; END IF; RETURN NEW; END $$"
        ),
        f"CREATE TRIGGER faults_fail BEFORE {event} ON {table} FOR EACH ROW {when} EXECUTE FUNCTION faults_fail()",
    ):
        system.execute(statement)
    yield
    assert system.query("SELECT last_value FROM faults_failures") > [(times,)]
    system.execute(f"DROP TRIGGER faults_fail ON {table}")


def test_the_disk_of_the_database_is_full(system: System, undisturbed: Rows) -> None:
    with failing(system, "annotations", "53100", times=MANY):
        system.start_beat()
        worker = system.start_worker()
        worker.wait_for_log("results wait")
        system.execute(f"SELECT setval('faults_failures', {MANY})")  # there is room again
        system.assert_ends_as(undisturbed)
    assert set(system.s3.reads.values()) == {1}


@pytest.mark.parametrize("table", ["annotations", "work"])
def test_transactions_that_cannot_be_serialized_are_run_again(system: System, undisturbed: Rows, table: str) -> None:
    with failing(system, table, "40001", times=3):
        system.start_beat()
        system.start_worker(worker__write_media=1)

        def has_ended() -> bool:
            system.let_waits_pass()
            return system.count("work", "state < 2") == 0

        system.wait_until(has_ended, what="all is done, without waits")
        system.assert_ends_as(undisturbed)
    assert set(system.s3.reads.values()) == {1}


def test_a_deadlock_with_somebody_elses_transaction(make_system: MakeSystem, undisturbed: Rows) -> None:
    system = make_system(worker__session_timeout_s=30)
    system.start_beat()
    worker = system.worker(worker__write_media=1)
    insert = worker.postgres.trap(b"INSERT INTO annotations")
    worker.start()
    insert.wait()  # it has locked a row of «work»
    with system.engine.connect() as other:
        other.execute(text("SET deadlock_timeout = '1min'"))  # the worker finds it first, and loses
        other.execute(text("LOCK TABLE annotations IN SHARE MODE"))
        locking = threading.Thread(target=_lock_everything, args=[other])
        locking.start()
        system.wait_for_rows("pg_stat_activity", "wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE%'")
        insert.release()
        locking.join()
        other.rollback()
    system.assert_ends_as(undisturbed)
    assert set(system.s3.reads.values()) == {1}


def _lock_everything(connection: Connection) -> None:
    connection.execute(text("SELECT media_id FROM work WHERE state = 1 FOR UPDATE"))


@pytest.mark.parametrize("lasting", ["its sessions stay read-only", "all sessions may write again"])
def test_the_database_only_reads_for_a_while(system: System, undisturbed: Rows, lasting: str) -> None:
    system.start_beat()
    worker = system.worker()
    worker.halt_at("network")
    worker.start()
    worker.wait_for_halt("network")
    if lasting == "all sessions may write again":
        set_for_all = "ALTER SYSTEM SET default_transaction_read_only = "
        begin, end = [f"{set_for_all} on", "SELECT pg_reload_conf()"], [f"{set_for_all} off", "SELECT pg_reload_conf()"]
    else:  # as after a failover, to which connections to the old primary do not listen
        of_database = f"ALTER DATABASE {system.database} "
        others = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{system.database}'"
        begin = [f"{of_database} SET default_transaction_read_only = on", others]
        end = [f"{of_database} RESET default_transaction_read_only"]
    try:
        for statement in begin:
            system.servers.run_sql(statement)
        worker.go_on("network")
        worker.wait_for_log("results wait")
        worker.wait_for_log("read-only transaction")
    finally:
        for statement in end:
            system.servers.run_sql(statement)
    system.assert_ends_as(undisturbed)
    assert set(system.s3.reads.values()) == {1}


def test_a_database_with_too_many_connections_at_the_start(system: System, undisturbed: Rows) -> None:
    servers = system.servers
    servers.run_sql("ALTER SYSTEM SET max_connections = 40")
    servers.stop_postgres()
    servers.start_postgres()
    try:
        beat, worker = system.beat(), system.worker()
        with contextlib.ExitStack() as stack:
            unpooled = create_engine(system.engine.url, poolclass=NullPool)
            with contextlib.suppress(OperationalError):
                while True:
                    stack.callback(unpooled.connect().close)
            beat.start()
            worker.start()
            beat.wait_for_log("too many clients")
            assert worker.wait_for_end() == 1
            assert "The worker cannot start: the database" in worker.log_tail()
        system.start_worker()  # as a supervisor does
        system.assert_ends_as(undisturbed)
    finally:
        servers.run_sql("ALTER SYSTEM SET max_connections = 200")
        servers.stop_postgres()
        servers.start_postgres()
