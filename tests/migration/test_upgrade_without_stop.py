"""An upgrade while workers go on: the statements of the first release write without an error, and nothing is lost."""

import threading
import time
from collections.abc import Callable

import pytest
from alembic import command
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from annotator.store import check, schema, upgrade
from annotator.store.connection import open_engine, writing
from annotator.store.database_errors import sqlstate
from annotator.store.schema import HEAD, alembic_config, migrating

pytestmark = pytest.mark.servers
TIMEOUT_S = 60.0
# What a worker of revision 0001 writes for a media, as it wrote it: columns by name, nothing of what came later.
MEDIA = (
    "INSERT INTO contents (id, sha256) VALUES (:n, sha256(int8send(:n)))",
    "INSERT INTO media (id, source_id, key, etag, content_id) VALUES (:n, 1, CAST(:n AS text), 'e', :n)",
    "INSERT INTO work (network_id, media_id) VALUES (1, :n)",
    "INSERT INTO chunks (network_id, lane, media_ids, created_at) VALUES (1, 'gif', ARRAY[CAST(:n AS bigint)], now())",
    (
        "UPDATE work SET state = 1, session_id = 1, attempts = attempts + 1,"
        " deadline_at = now() + interval '10 minutes' WHERE network_id = 1 AND media_id = :n AND state = 0"
    ),
    "UPDATE worker_sessions SET seen_at = now(), in_hand = 1 WHERE id = 1 AND ended_at IS NULL",
    (
        "INSERT INTO annotations (network_id, content_id, width_px, height_px, frames_decoded, frames_distinct,"
        " frames_sampled, faces, annotated_at) VALUES (1, :n, 1, 1, 1, 1, 1, 1, now())"
    ),
    (
        "INSERT INTO tracks (network_id, content_id, track_no, shot_no, first_ms, last_ms, screen_ms, faces, boxes)"
        r" VALUES (1, :n, 0, 0, 0, 1, 1, 1, '\x01')"
    ),
    "INSERT INTO labelled_contents (labelling_id, content_id, labelled_at) VALUES (1, :n, now())",
    (
        "INSERT INTO track_labels (labelling_id, content_id, track_no, identity_id, confidence, score)"
        " VALUES (1, :n, 0, 1, 0.9, 0.9)"
    ),
    (
        "INSERT INTO content_labels_by (labelling_id, content_id, identity_id, confidence, first_ms, last_ms,"
        " screen_ms, labelled_at) VALUES (1, :n, 1, 0.9, 0, 1, 1, now())"
    ),
    (
        "UPDATE work SET state = 2, session_id = NULL, deadline_at = NULL, finished_at = now()"
        " WHERE network_id = 1 AND media_id = :n AND session_id = 1"
    ),
    "DELETE FROM chunks WHERE media_ids = ARRAY[CAST(:n AS bigint)]",
)
NETWORK_TABLES = ("annotations", "tracks", "track_embeddings")
LABELLING_TABLES = ("labelled_contents", "track_labels", "content_labels_by")


class OldWorker:
    """Writes media one after the other, each in a transaction, as a worker of revision 0001."""

    def __init__(self, engine: Engine, first: int) -> None:
        self._engine = engine
        self._next = first
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.written = 0
        self.errors: list[Exception] = []
        self.longest_s = 0.0
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            started_s = time.monotonic()
            try:
                with writing(self._engine) as connection:
                    for statement in MEDIA:
                        connection.execute(text(statement), {"n": self._next})
            except DBAPIError as error:
                # A worker runs a transaction again that has lost a deadlock; anything else is an error.
                if sqlstate(error) != "40P01":
                    self.errors.append(error)
            else:
                self.written += 1
                self._next += 1
            self.longest_s = max(self.longest_s, time.monotonic() - started_s)

    def has_written(self, count: int) -> None:
        """Wait until it has written so many more."""
        wanted, deadline_s = self.written + count, time.monotonic() + TIMEOUT_S
        while self.written < wanted:
            assert time.monotonic() < deadline_s, self.errors or "it writes no more"
            time.sleep(0.01)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(TIMEOUT_S)


@pytest.fixture
def old_database(make_database: Callable[..., str]) -> str:
    """A database of revision 0001 with partitions and rows, as the first release left it."""
    url = make_database("postgres", empty=True)
    engine = open_engine(url)
    with migrating(engine) as connection:
        command.upgrade(alembic_config(connection), "0001")
    with writing(engine) as connection:
        _prepare(connection)
        for n in range(1, 101):
            for statement in MEDIA:
                connection.execute(text(statement), {"n": n})
    engine.dispose()
    return url


def _prepare(connection: Connection) -> None:
    for statement in (
        "INSERT INTO sources (id, uri) VALUES (1, 's3://clips/')",
        "INSERT INTO networks (id, digest, spec, created_at) VALUES (1, 'd', '{}', now())",
        "INSERT INTO labellings (id, network_id, model, digest, created_at) VALUES (1, 1, 'm@1', 'd', now())",
        "INSERT INTO active (only_row, labelling_id, network_id, switched_at) VALUES (1, 1, 1, now())",
        "INSERT INTO identities (id, name, name_key, created_at) VALUES (1, 'Ada', 'ada', now())",
        "INSERT INTO worker_sessions (id, worker, lanes, started_at, seen_at) VALUES (1, 'h:1', '[]', now(), now())",
        "CREATE TABLE work__n1 PARTITION OF work FOR VALUES IN (1) WITH (fillfactor = 70)",
    ):
        connection.execute(text(statement))
    for tables, mark in ((NETWORK_TABLES, "n"), (LABELLING_TABLES, "l")):
        for table in tables:
            name = f"{table}__{mark}1"
            connection.execute(
                text(f"CREATE TABLE {name} PARTITION OF {table} FOR VALUES IN (1) PARTITION BY RANGE (content_id)")
            )
            for number in range(2):
                bounds = f"FROM ({number * 10**7}) TO ({(number + 1) * 10**7})"
                connection.execute(text(f"CREATE TABLE {name}__{number} PARTITION OF {name} FOR VALUES {bounds}"))


def test_workers_of_the_version_before_write_on_while_the_database_is_upgraded(old_database: str) -> None:
    engine = open_engine(old_database)
    worker = OldWorker(engine, first=1000)
    try:
        worker.has_written(20)
        assert upgrade(old_database) == HEAD
        worker.has_written(20)
    finally:
        worker.stop()
    assert worker.errors == []
    assert worker.longest_s < 10.0
    with engine.connect() as connection:
        counted = connection.execute(text("SELECT count(*) FROM content_labels WHERE identity = 'Ada'")).scalar_one()
        waiting = connection.execute(text("SELECT count(*) FROM pg_index WHERE NOT indisvalid")).scalar_one()
    assert (counted, waiting) == (100 + worker.written, 0)
    engine.dispose()


def test_an_upgrade_gives_way_to_a_long_query_and_comes_through_when_that_ends(
    old_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "_LOCK_TIMEOUT_MS", 100)
    monkeypatch.setattr(schema, "_PAUSE_S", 0.2)
    engine = open_engine(old_database)
    worker = OldWorker(engine, first=1000)
    gave_way = threading.Event()
    wait = time.sleep

    def noticed(seconds: float) -> None:
        if seconds == 0.2:  # the pause after a try
            gave_way.set()
        wait(seconds)

    monkeypatch.setattr(schema.time, "sleep", noticed)
    analyst = engine.connect()
    analyst.execute(text("SELECT * FROM content_labels LIMIT 1"))  # holds its locks until the transaction ends
    upgrading = threading.Thread(target=upgrade, args=(old_database,))
    try:
        upgrading.start()
        assert gave_way.wait(TIMEOUT_S)
        worker.has_written(5)
    finally:
        analyst.close()
        upgrading.join(TIMEOUT_S)
        worker.stop()
    assert worker.errors == []
    assert check(old_database) == HEAD
    engine.dispose()


@pytest.mark.parametrize(
    "held",
    [
        "INSERT INTO content_labels_by VALUES (1, 7777, 1, 0.9, 0, 1, 1, now())",  # a lock that writers have
        "SELECT * FROM sources",  # an old snapshot
    ],
)
def test_making_the_index_waits_for_others_and_lets_workers_write_meanwhile(
    old_database: str, monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    monkeypatch.setattr(schema, "_LOCK_TIMEOUT_MS", 100)
    monkeypatch.setattr(schema, "_PAUSE_S", 0.1)
    monkeypatch.setattr(schema, "_TRIES", 1000)
    engine = open_engine(old_database)
    with migrating(engine) as connection:
        command.upgrade(alembic_config(connection), "0002")
        # That migration holds `work` and `chunks` while it is under way: nothing that takes long may be in it.
        assert connection.execute(text("SELECT to_regclass('ix_chunks_age') IS NULL")).scalar_one()
    other = engine.connect().execution_options(isolation_level="REPEATABLE READ")
    other.execute(text(held))
    worker = OldWorker(engine, first=1000)
    upgrading = threading.Thread(target=upgrade, args=(old_database,))
    upgrading.start()
    try:
        for _ in range(10):
            worker.has_written(5)
            assert upgrading.is_alive()
    finally:
        other.close()
        upgrading.join(TIMEOUT_S)
        worker.stop()
    assert worker.errors == []
    assert worker.longest_s < 5.0
    assert check(old_database) == HEAD
    engine.dispose()


@pytest.mark.parametrize("index", ["ix_chunks_due_of_network", "ix_chunks_age_of_network"])
def test_an_index_of_waiting_chunks_that_was_broken_off_is_made_anew(old_database: str, index: str) -> None:
    engine = open_engine(old_database)
    with migrating(engine) as connection:
        command.upgrade(alembic_config(connection), "0009")
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0008'"))
        broken_off = text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = CAST(:name AS regclass)")
        connection.execute(broken_off, {"name": index})
    assert upgrade(old_database) == HEAD
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM pg_index WHERE NOT indisvalid")).scalar_one() == 0
    engine.dispose()


def test_an_index_of_failures_that_was_broken_off_is_made_anew(old_database: str) -> None:
    engine = open_engine(old_database)
    with migrating(engine) as connection:
        command.upgrade(alembic_config(connection), "0016")
    with writing(engine) as connection:
        part = "ix_work_failures__n1"
        connection.execute(text(f"CREATE INDEX {part} ON work__n1 (network_id, reason) WHERE state >= 3"))
        broken_off = text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = CAST(:name AS regclass)")
        connection.execute(broken_off, {"name": part})
    assert upgrade(old_database) == HEAD
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM pg_index WHERE NOT indisvalid")).scalar_one() == 0
        assert connection.execute(text("SELECT to_regclass('ix_work_failed') IS NULL")).scalar_one()
    engine.dispose()


def test_a_program_of_an_earlier_version_has_a_retired_labelling_back(old_database: str) -> None:
    upgrade(old_database)
    engine = open_engine(old_database)
    with writing(engine) as connection:
        newer = "INSERT INTO labellings (id, network_id, model, digest, created_at) VALUES (2, 1, 'm@2', 'e', now())"
        connection.execute(text(newer))
        connection.execute(text("SELECT make_labelling_partitions(2)"))
        connection.execute(text("SELECT retire_labelling(2)"))
        connection.execute(text("SELECT make_labelling_partitions(2)"))  # all that it knows of
        labelled = "INSERT INTO labelled_contents (labelling_id, content_id, labelled_at) VALUES (2, 1, now())"
        connection.execute(text(labelled))
        used = connection.execute(text("SELECT retired_at, used_at >= created_at FROM labellings WHERE id = 2")).one()
    assert tuple(used) == (None, True)
    engine.dispose()


def test_an_index_that_was_broken_off_is_made_anew(old_database: str) -> None:
    engine = open_engine(old_database)
    with migrating(engine) as connection:
        command.upgrade(alembic_config(connection), "0003")
    leaf = "ix_content_labels_by_time__l1__0"
    with writing(engine) as connection:
        connection.execute(text("DROP INDEX ix_content_labels_by_time"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
        # As a CREATE INDEX CONCURRENTLY leaves it that was killed.
        connection.execute(text(f"CREATE INDEX {leaf} ON content_labels_by__l1__0 (labelling_id, labelled_at)"))
        broken_off = text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = CAST(:name AS regclass)")
        for name in (leaf, "ix_chunks_age"):
            connection.execute(broken_off, {"name": name})
    assert upgrade(old_database) == HEAD
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM pg_index WHERE NOT indisvalid")).scalar_one() == 0
    engine.dispose()
