"""Foreign errors become the package's own, and transactions of others do no harm."""

import os
import socket
import sqlite3
import stat
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from annotator.errors import ConfigError, StoreUnavailableError
from annotator.stack.child import free_port
from annotator.store import Store
from annotator.store.connection import database_url, open_engine, reading
from tests.store_values import ADA, PEOPLE, SPEC, annotation, known, ref, track


def test_a_server_that_is_not_there_is_unavailable_and_the_password_stays_secret() -> None:
    with pytest.raises(StoreUnavailableError, match="does not answer") as caught:
        Store.open(f"postgresql://me:secret@127.0.0.1:{free_port()}/gifs")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_password_is_unavailable_in_one_line(make_database: Callable[..., str]) -> None:
    url = make_database("postgres")
    user, _, rest = url.partition("@")
    with pytest.raises(StoreUnavailableError, match="does not answer") as caught:
        Store.open(f"{user.rpartition(':')[0]}:wrong@{rest}")
    assert "\n" not in str(caught.value)


def test_a_password_in_the_query_of_a_url_stays_secret() -> None:
    with pytest.raises(StoreUnavailableError, match="gifs\\?sslmode=prefer does not answer") as caught:
        Store.open(f"postgresql://me@127.0.0.1:{free_port()}/gifs?password=secret&sslmode=prefer")
    assert "secret" not in str(caught.value)


def test_a_server_that_vanishes_without_a_word_is_given_up(make_database: Callable[..., str]) -> None:
    engine = open_engine(make_database("postgres"))
    with reading(engine) as connection:
        driver = connection.connection.dbapi_connection
        assert driver is not None
        with socket.socket(fileno=os.dup(driver.fileno())) as ours:
            assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            idle_s, every_s, count = (
                ours.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            )
            assert idle_s + every_s * count <= 60
            assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
    engine.dispose()


def test_what_the_url_says_of_keepalives_goes_first(make_database: Callable[..., str]) -> None:
    url = make_database("postgres")
    engine = open_engine(f"{url}{'&' if '?' in url else '?'}keepalives_idle=7")
    with reading(engine) as connection:
        driver = connection.connection.dbapi_connection
        assert driver is not None
        with socket.socket(fileno=os.dup(driver.fileno())) as ours:
            assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7
    engine.dispose()


def test_a_pool_of_connections_that_is_empty_is_unavailable(make_database: Callable[..., str]) -> None:
    engine = create_engine(database_url(make_database("postgres")), pool_size=1, max_overflow=0, pool_timeout=0.01)
    with reading(engine), pytest.raises(StoreUnavailableError, match="all connections of this process are taken"):
        reading(engine).__enter__()
    engine.dispose()


def test_a_folder_is_no_sqlite_database(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="does not answer"):
        Store.open(tmp_path)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"GIF89a" * 1000)
    with pytest.raises(ConfigError, match="is not an SQLite database"):
        Store.open(path)
    assert path.read_bytes() == b"GIF89a" * 1000


def test_a_damaged_database_is_called_damaged_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    Store.open(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * 20_000 + whole[24_096:])
    with pytest.raises(ConfigError, match="is damaged: restore it") as caught:
        _use(path)
    assert "\n" not in str(caught.value)


def _use(path: Path) -> None:
    with Store.open(path) as store:
        store.register_network(SPEC)
        store.list_identities()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot be made"):
        Store.open(tmp_path / "file" / "deeper" / "a.db")


def test_a_connection_that_was_lost_is_made_anew(store: Store, dialect: str) -> None:
    if dialect == "sqlite":
        pytest.skip("a file cannot hang up")
    network_id = store.register_network(SPEC)
    with store.writing() as connection:
        connection.execute(text("SELECT 1"))
    other = store.engine.connect()
    other.execute(
        text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    )
    other.close()
    assert store.register_network(SPEC) == network_id


def test_a_transaction_that_loses_its_connection_is_unavailable_and_leaves_nothing(store: Store, dialect: str) -> None:
    if dialect == "sqlite":
        pytest.skip("a file cannot hang up")

    def lose() -> None:
        with store.writing() as connection:
            connection.execute(text("INSERT INTO sources (uri) VALUES ('file:///')"))
            pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            with store.engine.connect() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            connection.execute(text("SELECT 1"))

    with pytest.raises(StoreUnavailableError, match="does not answer"):
        lose()
    with store.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM sources")).scalar_one() == 0


def test_a_mistake_in_a_statement_is_no_unavailability(store: Store) -> None:
    with pytest.raises(IntegrityError), store.writing() as connection:
        connection.execute(text("INSERT INTO sources (id, uri) VALUES (1, NULL)"))


def test_an_exception_rolls_a_transaction_back(store: Store) -> None:
    def fail() -> None:
        with store.writing() as connection:
            connection.execute(text("INSERT INTO sources (uri) VALUES ('file:///')"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with store.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM sources")).scalar_one() == 0


def test_a_read_only_file_is_unavailable(tmp_path: Path, sqlite_template: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(sqlite_template.read_bytes())
    path.chmod(stat.S_IRUSR)
    url = f"sqlite:///file:{path}?mode=ro&uri=true"
    with (
        Store.open(url, upgrade=False) as store,
        pytest.raises(StoreUnavailableError, match="does not answer"),
    ):
        store.register_network(SPEC)


def test_who_opens_a_new_file_waits_for_whoever_holds_its_write_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new.db"
    first = sqlite3.connect(path, isolation_level=None)
    first.execute("BEGIN IMMEDIATE")  # now SQLite refuses the change of the log at once, whatever the timeout
    monkeypatch.setattr(time, "sleep", lambda _seconds: first.execute("COMMIT"))
    with reading(open_engine(path)) as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    first.close()


def test_readers_do_not_wait_for_a_writer(store: Store) -> None:
    store.register_network(SPEC)
    with store.writing() as connection:
        connection.execute(text("INSERT INTO sources (uri) VALUES ('file:///')"))
        assert store.status().media == 0
        with store.reading() as other:
            assert other.execute(text("SELECT count(*) FROM sources")).scalar_one() == 0


def test_writers_of_the_same_contents_at_the_same_time_write_them_once(database_url: str) -> None:
    outcomes = [
        annotation(ref(f"{n}.gif"), content=n % 20, tracks=[track(0, seed=n % 20)], labels=[known(ADA)])
        for n in range(60)
    ]
    barrier = threading.Barrier(4)

    def run(order: int) -> int:
        with Store.open(database_url) as store:
            network_id = store.register_network(SPEC)
            labelling_id = store.register_labelling(
                network_id, model="test@1", digest="1", photographs=dict.fromkeys(PEOPLE, 1)
            )
            barrier.wait(30)
            mine = outcomes if order % 2 else outcomes[::-1]
            return len(store.save(mine, network_id=network_id, labelling_id=labelling_id).annotated)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(run, range(4))) == 20
    with Store.open(database_url) as store, store.reading() as connection:
        for table, rows in (("media", 60), ("contents", 20), ("tracks", 20), ("content_labels", 60), ("networks", 1)):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == rows
        assert connection.execute(text("SELECT count(*) FROM work WHERE state = 2")).scalar_one() == 60


def test_what_is_asked_for_is_in_no_error(store: Store) -> None:
    # Errors are logged; names of people are in no log. (Postgres repeats the line where it found one.)
    with pytest.raises(DBAPIError) as refused, store.reading() as connection:
        connection.execute(text("SELECT name FROM no_such_table\nWHERE name = :name"), {"name": "Ada Lovelace"})
    assert "Ada Lovelace" not in str(refused.value)
