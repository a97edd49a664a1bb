"""``annotate-backlog --stop``, and ``--callback`` that is refused before anything is listed."""

import sqlite3

import pytest
from sqlalchemy import Connection, Engine, delete, event, insert, select, text

from annotator.media.s3 import ListedObject
from annotator.store.backlog.ending import forget_waiting, stop_backlog
from annotator.store.backlog.gone import KeyRange
from annotator.store.backlog.listing import (
    Wish,
    begin_run,
    finish_listing,
    mark_listed,
    move_cursor,
    move_waiting,
    open_shards,
)
from annotator.store.backlog.registration import register_objects
from annotator.store.columns import utc_now
from annotator.store.connection import reading, writing
from annotator.store.queue import chunks as chunks_of_store
from annotator.store.queue.chunks import ChunkLimits
from annotator.store.queue.counts import read_counts, recount
from annotator.store.queue.feeding import Cursors, Wanted, take_due
from annotator.store.queue.sessions import open_session
from annotator.store.queue.work import Deadlines, Report, claim, finish
from annotator.store.registry import register_network
from annotator.store.store import Store
from annotator.store.tables import WorkState, chunks, runs, sources, work
from workers.backlog import command

RUN = 7


@pytest.fixture
def backlog(store: Store, database_url: str) -> str:
    """A backlog that runs; returns the address of its database."""
    network_id = store.register_network({"name": "fake"})
    with store.writing() as connection:
        connection.execute(insert(sources).values(id=1, uri="s3://clips/"))
        row = {"id": RUN, "network_id": network_id, "source_id": 1, "prefix": "", "options": {}}
        connection.execute(insert(runs).values(started_at=utc_now(), **row))
    return database_url


def test_a_backlog_is_stopped_by_its_number(backlog: str, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--stop", str(RUN), "--database", backlog]) == 0
    assert capsys.readouterr().out.startswith(f"backlog {RUN} is stopped;")
    with store.reading() as connection:
        assert connection.execute(select(runs.c.stop_reason)).scalar_one() == "asked"
    assert command.main(["--stop", str(RUN), "--database", backlog]) == 0
    assert capsys.readouterr().out == f"backlog {RUN} has ended before\n"


def test_a_number_that_no_backlog_has_is_a_mistake(backlog: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--stop", "99", "--database", backlog]) == 2
    assert "There is no backlog 99" in capsys.readouterr().err


def test_an_address_is_needed_for_everything_else(backlog: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--database", backlog]) == 2
    assert "s3://BUCKET/PREFIX" in capsys.readouterr().err


def test_a_receiver_that_is_not_allowed_is_refused_at_once(
    backlog: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["s3://clips/", "--database", backlog, "--callback", "https://hooks.example.com/x"]
    assert command.main(asked) == 2
    assert "ANNOTATOR_CALLBACKS__ALLOWED_HOSTS" in capsys.readouterr().err
    monkeypatch.setenv("ANNOTATOR_CALLBACKS__ALLOWED_HOSTS", "a.example.org, hooks.example.com")
    assert command.main(asked) == 2
    assert "ANNOTATOR_CALLBACKS__SECRET" in capsys.readouterr().err


def test_the_same_prefix_asked_for_again_takes_up_what_a_stopped_backlog_left(database: Engine) -> None:
    with writing(database) as connection:
        network_id = register_network(connection, {"name": "fake"})
    first = register(database, network_id)
    with writing(database) as connection:
        session_id = open_session(connection, worker="host:1")
        ids = list(connection.execute(select(work.c.media_id).order_by(work.c.media_id)).scalars())
        done, held = claim(
            connection, network_id=network_id, media_ids=ids[:2], session_id=session_id, deadlines=Deadlines()
        )
        finish(connection, network_id=network_id, reports=[Report(done, WorkState.DONE)])
        assert stop_backlog(connection, first, "asked")
    forget_waiting(database, first)
    with reading(database) as connection:
        assert connection.execute(select(chunks.c.id)).all() == []
    second = register(database, network_id)
    assert second != first
    with reading(database) as connection:
        queued = [one for ids in connection.execute(select(chunks.c.media_ids)).scalars() for one in ids]
        counts = read_counts(connection)
        asker = select(work.c.run_id).where(work.c.media_id == held.media_id)
        assert connection.execute(asker).scalar_one() == first, "what is in hand is finished for the first"
    assert sorted(queued) == ids[2:]
    assert (counts.media(run_id=first), counts.media(WorkState.PENDING, run_id=second)) == (2, len(ids) - 2)
    with writing(database) as connection:
        assert recount(connection) == []


def test_what_is_retried_after_its_backlog_was_stopped_is_tried_again(database: Engine) -> None:
    with writing(database) as connection:
        network_id = register_network(connection, {"name": "fake"})
    stopped, goes_on = register(database, network_id), register(database, network_id, prefix="b/")
    with writing(database) as connection:
        session_id = open_session(connection, worker="host:1")
        ids = list(connection.execute(select(work.c.media_id).order_by(work.c.media_id)).scalars())
        claims = claim(connection, network_id=network_id, media_ids=ids, session_id=session_id, deadlines=Deadlines())
        finish(
            connection,
            network_id=network_id,
            reports=[Report(one, WorkState.FAILED, reason="forbidden") for one in claims],
        )
        connection.execute(delete(chunks))
        assert stop_backlog(connection, stopped, "asked")
    with Store(database) as store:
        assert store.retry(network_id=network_id) == 12
    with writing(database) as connection:
        due = take_due(connection, Wanted("gif", "gpu", limit=99), cursors=Cursors())
        counts = read_counts(connection)
        assert recount(connection) == []
    assert sorted(one for chunk in due for one in chunk.media_ids) == ids
    assert {run_id: counts.media(WorkState.PENDING, run_id=run_id) for run_id in (None, stopped, goes_on)} == {
        None: 6,
        stopped: 0,
        goes_on: 6,
    }


def test_chunks_of_a_stopped_backlog_go_in_slices_and_a_priority_writes_only_what_it_changes(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks_of_store, "_SLICE", 3)
    rows = [{"network_id": 1, "lane": "gif", "media_ids": [1], "run_id": number % 2} for number in range(20)]
    with writing(database) as connection:
        connection.execute(insert(chunks).values(created_at=utc_now()), rows)
    written: list[int] = []

    @event.listens_for(database, "after_cursor_execute")
    def _count(_connection: object, cursor: sqlite3.Cursor, statement: str, *_: object) -> None:
        if statement.startswith(("UPDATE chunks", "DELETE FROM chunks")):
            written.append(cursor.rowcount)

    for _ in range(2):
        move_waiting(database, 1, 7)
    assert (sum(written), max(written)) == (10, 2), "the second time nothing changes"
    written.clear()
    forget_waiting(database, 1)
    event.remove(database, "after_cursor_execute", _count)
    assert (sum(written), max(written)) == (10, 2)
    with reading(database) as connection:
        left = connection.execute(select(chunks.c.run_id, chunks.c.priority).distinct()).all()
    assert [tuple(row) for row in left] == [(0, 0)]


def test_a_frozen_producer_holds_its_locks_for_minutes_only(backlog: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not backlog.startswith("postgresql"):
        pytest.skip("SQLite lets go when the process ends")
    limits: list[str] = []

    def look(connection: Connection, *_: object) -> bool:
        limits.append(connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one())
        return False

    monkeypatch.setattr(command, "stop_backlog", look)
    assert command.main(["--stop", str(RUN), "--database", backlog]) == 0
    assert limits == ["5min"]


def register(database: Engine, network_id: int, *, prefix: str = "a/") -> int:
    """List six objects to the end; returns the backlog."""
    objects = [ListedObject(f"{prefix}{number}.gif", '"1"', 1000) for number in range(6)]
    with writing(database) as connection:
        run = begin_run(connection, Wish(network_id, "s3://clips/", prefix))
        (shard,) = open_shards(connection, run.id)
        told = KeyRange(prefix, "", None, None)
        count = register_objects(connection, run.asked, objects, told=told, limits=ChunkLimits(media=2))
        move_cursor(connection, shard, objects[-1].key, pages=1, count=count, is_end=True)
        assert finish_listing(connection, run.id)
        mark_listed(connection, run.id)
    return run.id
