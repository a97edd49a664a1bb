"""``annotator status``: what it says of a queue, once and again and again."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, text, update

from annotator.cli import run_command
from annotator.store.columns import utc_now
from annotator.store.connection import writing
from annotator.store.queue.chunks import Piece, add_chunks
from annotator.store.queue.counts import Delta, add_deltas
from annotator.store.queue.progress import read_points
from annotator.store.queue.sessions import heartbeat, open_session
from annotator.store.queue.status import read_status
from annotator.store.store import Store
from annotator.store.tables import WorkState, chunks, outbox, progress, runs, sources, worker_sessions
from annotator.store.upkeep import note_follower, note_job

PENDING, CLAIMED, DONE = WorkState.PENDING, WorkState.CLAIMED, WorkState.DONE
FAILED, QUARANTINED = WorkState.FAILED, WorkState.QUARANTINED
PATIENCE_S = 60.0
COMMAND = [str(Path(sys.executable).with_name("annotator")), "status", "--watch"]


def of(state: WorkState, media: int, *, run_id: int | None = 1, reason: str | None = None) -> Delta:
    return Delta(1, run_id, "gif", state, reason, media, 100 * media)


def move(engine: Engine, *deltas: Delta) -> None:
    with writing(engine) as connection:
        add_deltas(connection, deltas)


@pytest.fixture
def queued(database: Engine) -> Engine:
    """A backlog of a thousand media, in three chunks."""
    with Store(database) as store:
        network_id = store.register_network({"network": "drawn"})
        labelling_id = store.register_labelling(network_id, model="drawn@1", digest="drawn", photographs={})
        store.activate(labelling_id)
        assert network_id == 1
    with writing(database) as connection:
        connection.execute(insert(sources).values(id=1, uri="s3://gifs/"))
        backlog = {"id": 1, "network_id": 1, "source_id": 1, "prefix": "2026/", "options": {}, "priority": 5}
        connection.execute(insert(runs).values(started_at=utc_now(), listed_at=utc_now(), **backlog))
        add_chunks(connection, 1, [[Piece(number, f"{number}.gif", 1000)] for number in range(3)], run_id=1)
    move(database, of(PENDING, 1000))
    return database


def add_worker(
    engine: Engine, worker: str, *, seen_s: float = 0.0, network_id: int | None = None, **busy: float
) -> None:
    with writing(engine) as connection:
        session_id = open_session(connection, worker=worker, queues=["gpu"], device="cpu", network_id=network_id)
        heartbeat(connection, session_id, in_hand=64, busy=busy or None, media_done=500)
        now = connection.execute(select(utc_now())).scalar_one()
        of_session = worker_sessions.c.id == session_id
        connection.execute(update(worker_sessions).where(of_session).values(seen_at=now - timedelta(seconds=seen_s)))


def add_minutes(engine: Engine, *done: int) -> None:
    """Write progress of the last minutes, a point each minute."""
    with writing(engine) as connection:
        now = connection.execute(select(utc_now())).scalar_one()
        for ago, count in enumerate(reversed(done), start=1):
            row = {"pending": 1000, "claimed": 0, "done": count, "failed": 0, "done_cost_ms": 100 * count}
            at = now - timedelta(minutes=ago)
            connection.execute(insert(progress).values(network_id=1, lane="gif", at=at, pending_cost_ms=0, **row))


def status_of(engine: Engine) -> Any:
    with Store(engine).reading() as connection:
        return read_status(connection)


def said(engine: Engine, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    url = engine.url.render_as_string(hide_password=False)
    assert run_command(["status", "--database", url, *options]) == 0
    return capsys.readouterr().out


def test_a_database_without_anything_has_nothing_to_do(database: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    told = said(database, capsys)
    assert "nothing to do" in told
    assert "worker " not in told.splitlines()[-1]


def test_a_backlog_without_a_worker_is_said_to_lack_one(queued: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    add_worker(queued, "gpu-7:1", seen_s=60.0, decode=1.0)
    told = said(queued, capsys)
    assert "no worker" in told
    assert "celery -A workers worker" in told
    assert "not known yet" in told
    (backlog,) = status_of(queued).backlogs
    assert (backlog.uri, backlog.priority, backlog.by_state["pending"]) == ("s3://gifs/2026/", 5, 1000)
    (session,) = status_of(queued).sessions
    assert session.is_silent
    assert status_of(queued).workers == 0


def test_workers_of_another_network_do_not_count_as_workers(queued: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    add_worker(queued, "gpu-7:1", network_id=2, decode=1.0)
    told = " ".join(said(queued, capsys).split())
    assert "no worker of this network lives; 1 of another one" in told
    assert status_of(queued).verdict.binds == "no worker"
    add_worker(queued, "gpu-7:2", network_id=1, decode=1.0)
    assert status_of(queued).verdict.binds == "decode"


def test_a_backlog_under_way_tells_rate_remaining_time_and_what_binds(
    queued: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    add_worker(queued, "gpu-7:1", decode=0.9, starved=0.6)
    add_worker(queued, "gpu-8:1", decode=0.7, starved=0.4)
    with writing(queued) as connection:
        first = connection.execute(select(chunks.c.id).limit(1)).scalar_one()
        connection.execute(update(chunks).where(chunks.c.id == first).values(state=1, published_at=utc_now()))
    move(queued, of(PENDING, -464), of(CLAIMED, 64), of(DONE, 400))
    add_minutes(queued, 0, 90, 200, 300)
    status = status_of(queued)
    assert (status.by_state["pending"], status.by_state["claimed"], status.by_state["done"]) == (536, 64, 400)
    assert status.verdict.binds == "decode"
    assert status.forecast.media_per_s == pytest.approx(400 / 240, rel=0.02)
    assert status.forecast.remaining_s == pytest.approx(360, rel=0.02)
    assert status.forecast.least_s < 360 < status.forecast.most_s
    assert next((lane.depth.lane, lane.waiting, lane.depth.published) for lane in status.lanes) == ("gif", 2, 1)
    told = said(queued, capsys)
    assert "decoders fetch 0 % and decode 80 % of their time" in told
    assert "ANNOTATOR_WORKER__DECODERS" in told
    assert "6 min (" in told
    assert "gpu-8:1" in told
    assert "40 %" in told


def test_failures_call_backs_and_stopped_backlogs_are_told(queued: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    failed = [of(FAILED, 30, reason="undecodable"), of(FAILED, 5), of(QUARANTINED, 2, reason="worker_died")]
    move(queued, of(PENDING, -37), *failed)
    with writing(queued) as connection:
        for key in ("one", "two", "three"):
            row = {"run_id": 1, "event": "media", "idempotency_key": key, "payload": {}, "created_at": utc_now()}
            connection.execute(insert(outbox).values(**row))
        connection.execute(update(outbox).where(outbox.c.idempotency_key == "one").values(given_up_at=utc_now()))
        connection.execute(update(runs).values(stopped_at=utc_now(), stop_reason="budget"))
    told = json.loads(said(queued, capsys, "--json"))
    assert told["failures"] == {"undecodable": 30, "unknown": 5, "worker_died": 2}
    assert (told["failed"], told["quarantined"]) == (35, 2)
    assert told["callbacks"] == {"waiting": 2, "given_up": 1}
    assert told["backlogs"][0]["stop_reason"] == "budget"
    table = said(queued, capsys)
    assert "call-backs: 2 to be delivered, 1 given up" in table
    assert "stopped: budget" in table


def test_a_dead_follower_and_jobs_that_are_overdue_are_told(queued: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    with writing(queued) as connection:
        connection.execute(update(runs).values(options={"follow": True}))
        note_follower(connection, 1)
        note_job(connection, "roll-up", overdue_s=-1.0)
        note_job(connection, "catch-up", overdue_s=450.0)
    (backlog,) = status_of(queued).backlogs
    assert (backlog.is_silent, backlog.followed_s) == (False, pytest.approx(0.0, abs=30))
    told = said(queued, capsys)
    assert "0 %, follows" in told
    assert "overdue: roll-up (" in told
    assert "catch-up" not in told
    with writing(queued) as connection:
        hour_ago = connection.execute(select(utc_now())).scalar_one() - timedelta(hours=1)
        connection.execute(text("DELETE FROM store_settings WHERE name LIKE 'went well: %'"))
        connection.execute(update(runs).values(listed_at=hour_ago))
    assert "nobody has followed for 1 h 00 min" in " ".join(said(queued, capsys).split())
    told = json.loads(said(queued, capsys, "--json"))
    assert told["overdue_jobs"] == []
    assert (told["backlogs"][0]["followed"], told["backlogs"][0]["followed_s"]) == (False, pytest.approx(3600, abs=60))


def test_what_waits_for_its_time_and_what_is_not_queued_is_no_lack_of_workers(queued: Engine) -> None:
    with writing(queued) as connection:
        later = connection.execute(select(utc_now())).scalar_one() + timedelta(minutes=5)
        connection.execute(update(chunks).values(not_before=later))
    assert status_of(queued).verdict.binds == "waiting"
    with writing(queued) as connection:
        connection.execute(text("DELETE FROM chunks"))
    assert status_of(queued).verdict.binds == "nothing queued"


def test_a_recount_says_what_differed_and_corrects_it(queued: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    told = said(queued, capsys, "--recount")
    assert "pending" in told
    assert "-1,000" in told
    assert said(queued, capsys, "--recount") == "the counters were right\n"
    assert status_of(queued).media == 0


# ------------------------------------------------------------------------------------------------------------- watch


@pytest.fixture
def environment(queued: Engine) -> dict[str, str]:
    """The environment of a command that looks at the database."""
    url = queued.url.render_as_string(hide_password=False)
    return {**os.environ, "ANNOTATOR_DATABASE_URL": url, "COLUMNS": "140", "LINES": "60", "TERM": "xterm"}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_watching_into_a_pipe_prints_a_line_for_each_change(
    queued: Engine, environment: dict[str, str], options: list[str], tmp_path: Path
) -> None:
    watching = subprocess.Popen([*COMMAND, *options], env=environment, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        assert watching.stdout is not None
        first = watching.stdout.readline()
        move(queued, of(PENDING, -10), of(DONE, 10))
        second = watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=PATIENCE_S) == 0
    finally:
        watching.kill()
        watching.communicate()
    if options:
        assert [json.loads(line)["pending"] for line in (first, second)] == [1000, 990]
    else:
        assert "pending 1,000, claimed 0, done 0" in first
        assert "pending 990, claimed 0, done 10" in second
        assert "binds: no worker" in second


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_watching_on_a_terminal_draws_anew_and_ends_with_ctrl_c(
    queued: Engine, environment: dict[str, str], tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    watching = subprocess.Popen(COMMAND, env=environment, stdout=theirs, stderr=theirs, stdin=theirs, cwd=tmp_path)
    os.close(theirs)
    shown = Screen(ours)
    try:
        shown.wait_for("1,000")
        move(queued, of(PENDING, -10), of(DONE, 10))
        shown.wait_for("990")
        watching.send_signal(signal.SIGINT)
        shown.wait_for_end()
        assert watching.wait(timeout=PATIENCE_S) == 0
    finally:
        watching.kill()
        watching.wait()
        os.close(ours)


class Screen:
    """What a program has written to its terminal."""

    def __init__(self, descriptor: int) -> None:
        self._chunks = self._read(descriptor)
        self._text = ""

    @staticmethod
    def _read(descriptor: int) -> Iterator[str]:
        while True:
            try:
                yield os.read(descriptor, 65_536).decode(errors="replace")
            except OSError:  # Linux: the other end was closed
                return

    def wait_for(self, wanted: str) -> None:
        until_s = time.monotonic() + PATIENCE_S
        while wanted not in self._text:
            assert time.monotonic() < until_s, self._text
            self._text += next(self._chunks, "")

    def wait_for_end(self) -> None:
        for _ in self._chunks:
            pass


def test_for_a_long_window_only_some_points_are_read(queued: Engine) -> None:
    add_minutes(queued, *range(0, 2400, 100))
    with writing(queued) as connection:
        ended = select(progress.c.at).where(progress.c.done == 700).scalar_subquery()
        connection.execute(update(progress).where(progress.c.at == ended).values(pending=0))
    with Store(queued).reading() as connection:
        every = read_points(connection, network_id=1, window=timedelta(hours=1))
        some = read_points(connection, network_id=1, window=timedelta(hours=1), every=10)
    assert [one.through for one in every] == list(range(0, 2400, 100))
    assert [one.through for one in some] == [0, 300, 700, 1300, 2300]
