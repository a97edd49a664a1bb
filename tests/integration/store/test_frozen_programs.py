"""A program that is frozen (SIGSTOP, Ctrl-Z, the closed lid of a laptop) lets go of what it holds; real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, text

from annotator.cli.database import open_store
from annotator.settings import load_settings
from annotator.store import locks
from annotator.store.connection import open_engine, reading
from annotator.store.locks import only_one, try_lock
from annotator.store.schema import migrating
from annotator.store.store import Store

pytestmark = pytest.mark.servers
TIMEOUT_S = 60.0
SILENCE_S = 2.0
# A process that is not frozen says every 0.2 s that it lives; in a transaction of its own it waits for a line.
HOLDS = f"""
import sys
from annotator.store import locks, schema
from annotator.store.connection import open_engine
from annotator.store.store import Store
locks._MAX_SILENCE_S, locks._SAY_EVERY_S, schema._MAX_SILENCE_MS = {SILENCE_S}, 0.2, {round(1000 * SILENCE_S)}
url, what = sys.argv[1:]
def wait():
    print("holds", flush=True)
    sys.stdin.readline()
if what == "name":
    with locks.only_one(open_engine(url), "promotion") as is_ours:
        assert is_ours
        wait()
elif what == "evidence":
    with Store.open(url, max_silence_s={SILENCE_S}) as store, store.writing() as connection:
        locks.replace_evidence(connection, 1)
        wait()
else:
    with schema.migrating(open_engine(url)) as connection:
        wait()
print("ended well", flush=True)
"""
Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def url(make_database: Callable[..., str]) -> str:
    return make_database("postgres")


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    made = open_engine(url)
    yield made
    made.dispose()


@pytest.fixture
def start(url: str) -> Iterator[Start]:
    """Starts a program that holds something; gives it when it does."""
    started = []

    def run(what: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDS, url, what],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n", process.communicate()
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def holds_name(engine: Engine) -> bool:
    with reading(engine) as connection:
        return not try_lock(connection, "promotion")


def holds_evidence(engine: Engine) -> bool:
    with reading(engine) as connection:
        shared = text("SELECT pg_try_advisory_xact_lock_shared(:class, :name)")
        given = {"class": locks._CLASS, "name": locks._key("evidence 1")}
        return not connection.execute(shared, given).scalar_one()


def holds_migration(engine: Engine) -> bool:
    asked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM"
    with reading(engine) as connection:
        own = f"{asked} pg_database WHERE datname = current_database())"
        return bool(connection.execute(text(own)).scalar_one())


HELD = {"name": holds_name, "evidence": holds_evidence, "migration": holds_migration}


@pytest.mark.parametrize("what", HELD)
def test_a_frozen_program_lets_go(engine: Engine, start: Start, what: str) -> None:
    process = start(what)
    assert HELD[what](engine)
    os.kill(process.pid, signal.SIGSTOP)
    until_s = time.monotonic() + TIMEOUT_S
    while HELD[what](engine):
        assert time.monotonic() < until_s, "it still holds what it held"
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGCONT)
    out, err = process.communicate("\n", timeout=TIMEOUT_S)
    assert (process.returncode, out) == (1, ""), "woken, it does not take its work for done"
    assert "does not answer" in err.splitlines()[-1]


def test_a_program_that_only_works_long_keeps_its_lock(engine: Engine, start: Start) -> None:
    process = start("name")
    since = (
        "SELECT extract(epoch FROM clock_timestamp() - a.xact_start) FROM pg_stat_activity a"
        " JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'advisory' WHERE a.datname = current_database()"
    )
    held_s = 0.0
    while held_s < 2 * SILENCE_S:
        with reading(engine) as connection:
            held_s = float(connection.execute(text(since)).scalar_one())
        time.sleep(0.05)
    assert holds_name(engine)
    out, err = process.communicate("\n", timeout=TIMEOUT_S)
    assert (process.returncode, out) == (0, "ended well\n"), err


def test_the_limits_of_the_command_line_of_locks_and_of_migrations(url: str, engine: Engine) -> None:
    asked = text("SHOW idle_in_transaction_session_timeout")
    with open_store(load_settings(env_file=None, database_url=url)) as store, store.reading() as connection:
        assert connection.execute(asked).scalar_one() == "5min"
    with Store.open(url, max_silence_s=None) as store, store.reading() as connection:
        assert connection.execute(asked).scalar_one() == "0"
    with migrating(engine) as connection:
        assert connection.execute(asked).scalar_one() == "5min"
        assert connection.execute(text("SHOW idle_session_timeout")).scalar_one() == "5min"
    assert locks._SAY_EVERY_S < locks._MAX_SILENCE_S / 3
    with only_one(engine, "any") as is_ours:
        assert is_ours
