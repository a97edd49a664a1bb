"""The end of a backlog: done, stopped by hand, by its deadline or by its budget; and who is told."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from select import select as wait_for
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Engine, func, insert, select, text, update

from annotator.errors import InputError
from annotator.store.backlog.ending import CHANNEL, forget_waiting, stop_backlog
from annotator.store.columns import utc_now
from annotator.store.connection import open_engine, reading, writing
from annotator.store.queue.chunks import Piece, add_chunks
from annotator.store.queue.counts import Delta, add_deltas
from annotator.store.queue.sessions import close_session, heartbeat, open_session
from annotator.store.queue.work import Claim, Deadlines, Report, claim, finish
from annotator.store.registry import register_network
from annotator.store.tables import ChunkState, WorkState, chunks, media, outbox, runs, sources, work, worker_sessions
from workers.beat.runs import look_after_backlogs

MEDIA = 6
RUN = 7
OTHER = 8
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


class Bench:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        with writing(engine) as connection:
            self.network_id = register_network(connection, {"name": "fake"})
            connection.execute(insert(sources).values(id=1, uri="s3://clips/"))
            self.session_id = open_session(connection, worker="host:1", queues=("gpu",))

    def backlog(self, run_id: int = RUN, *, first: int = 1, listed: bool = True, **terms: Any) -> None:
        """Register a backlog of six media, three to a chunk."""
        row = {"id": run_id, "network_id": self.network_id, "source_id": 1, "prefix": "a/", "options": {}, **terms}
        ids = range(first, first + MEDIA)
        with writing(self.engine) as connection:
            listed_at = utc_now() if listed else None
            connection.execute(insert(runs).values(started_at=utc_now(), listed_at=listed_at, **row))
            connection.execute(insert(media), [{"id": one, "source_id": 1, "key": f"a/{one}.gif"} for one in ids])
            rows = [{"network_id": self.network_id, "media_id": one, "run_id": run_id} for one in ids]
            connection.execute(insert(work), rows)
            add_deltas(
                connection, [Delta(self.network_id, run_id, "gif", WorkState.PENDING, None, media=MEDIA, cost_ms=0)]
            )
            pieces = [Piece(one, f"a/{one}.gif", 1) for one in ids]
            add_chunks(connection, self.network_id, [pieces[:3], pieces[3:]], run_id=run_id)

    def claim(self, *ids: int) -> list[Claim]:
        with writing(self.engine) as connection:
            heartbeat(connection, self.session_id, in_hand=len(ids))
            return claim(
                connection,
                network_id=self.network_id,
                media_ids=ids,
                session_id=self.session_id,
                deadlines=Deadlines(),
            )

    def settle(self, claims: list[Claim], state: WorkState = WorkState.DONE, **more: Any) -> None:
        with writing(self.engine) as connection:
            finish(connection, network_id=self.network_id, reports=[Report(one, state, **more) for one in claims])
            heartbeat(connection, self.session_id, in_hand=0)

    def look(self) -> None:
        look_after_backlogs(self.engine, session_timeout_s=45.0)

    def row(self, run_id: int = RUN) -> Any:
        with reading(self.engine) as connection:
            return connection.execute(select(runs).where(runs.c.id == run_id)).one()

    def change(self, run_id: int = RUN, **values: Any) -> None:
        with writing(self.engine) as connection:
            connection.execute(update(runs).where(runs.c.id == run_id).values(**values))

    def chunk_states(self) -> dict[int, int]:
        with reading(self.engine) as connection:
            rows = connection.execute(select(chunks.c.state, func.count()).group_by(chunks.c.state)).all()
        return {row[0]: row[1] for row in rows}

    def told(self) -> list[dict[str, Any]]:
        with reading(self.engine) as connection:
            return list(connection.execute(select(outbox.c.payload).order_by(outbox.c.id)).scalars())


@pytest.fixture
def bench(engine: Engine) -> Bench:
    return Bench(engine)


def test_it_ends_when_all_is_listed_and_settled(bench: Bench) -> None:
    bench.backlog(callback_url="https://hooks.example.com/")
    claims = bench.claim(*range(1, MEDIA + 1))
    bench.settle(claims[:4])
    bench.look()
    assert bench.row().finished_at is None, "two are in hand"
    bench.settle(claims[4:], WorkState.FAILED, reason="undecodable")
    bench.change(listed_at=None)
    bench.look()
    assert bench.row().finished_at is None, "more may be listed"
    bench.change(listed_at=utc_now())
    bench.look()
    ended_at = bench.row().finished_at
    assert ended_at is not None
    bench.look()
    assert bench.row().finished_at == ended_at
    assert bench.told() == [
        {
            "event": "backlog.finished",
            "idempotency_key": f"backlog.finished-{RUN}",
            "backlog": {"id": RUN, "uri": "s3://clips/a/"},
            "done": 4,
            "failed": 2,
            "pending": 0,
            "reason": None,
        }
    ]


def test_a_media_that_waits_for_another_try_keeps_it_open(bench: Bench) -> None:
    bench.backlog()
    claims = bench.claim(*range(1, MEDIA + 1))
    bench.settle(claims[:1], WorkState.PENDING, reason="source_unavailable", delay_s=60.0)
    bench.settle(claims[1:])
    bench.look()
    assert bench.row().finished_at is None


def test_one_that_follows_never_ends(bench: Bench) -> None:
    bench.backlog(options={"follow": True})
    bench.settle(bench.claim(*range(1, MEDIA + 1)))
    bench.look()
    assert bench.row().finished_at is None


def test_a_backlog_without_a_receiver_tells_nobody(bench: Bench) -> None:
    bench.backlog()
    bench.settle(bench.claim(*range(1, MEDIA + 1)))
    bench.look()
    assert bench.row().finished_at is not None
    assert bench.told() == []


def test_a_stopped_one_keeps_what_is_done_and_in_hand_and_queues_no_more(bench: Bench) -> None:
    bench.backlog(callback_url="https://hooks.example.com/")
    with writing(bench.engine) as connection:
        connection.execute(text("UPDATE chunks SET state = 1 WHERE id = 1"))
    claims = bench.claim(1, 2)
    with writing(bench.engine) as connection:
        assert stop_backlog(connection, RUN, "asked")
        assert not stop_backlog(connection, RUN, "asked"), "once is enough"
    forget_waiting(bench.engine, RUN)
    assert bench.chunk_states() == {ChunkState.PUBLISHED: 1}
    bench.look()
    assert bench.row().finished_at is None, "two are in hand"
    bench.settle(claims)
    bench.look()
    assert bench.row().finished_at is None, "a chunk is still in the broker"
    with writing(bench.engine) as connection:
        connection.execute(text("UPDATE chunks SET state = 0"))  # the sweeper put it back
    bench.look()
    assert bench.chunk_states() == {}, "nothing of it is published after its end"
    row = bench.row()
    assert (row.stop_reason, row.finished_at is not None) == ("asked", True)
    (told,) = bench.told()
    assert (told["event"], told["done"], told["pending"], told["reason"]) == ("backlog.stopped", 2, 4, "asked")


@pytest.mark.parametrize("is_another_alive", [False, True])
def test_a_stopped_one_ends_also_while_no_worker_lives_that_would_take_what_is_in_the_broker(
    bench: Bench, *, is_another_alive: bool
) -> None:
    bench.backlog(callback_url="https://hooks.example.com/")
    with writing(bench.engine) as connection:
        connection.execute(text("UPDATE chunks SET state = 1"))
        connection.execute(update(worker_sessions).values(network_id=bench.network_id))
        stop_backlog(connection, RUN, "asked")
    bench.look()
    assert bench.row().finished_at is None, "its worker may take them"
    with writing(bench.engine) as connection:
        close_session(connection, bench.session_id)
        open_session(connection, worker="host:2", queues=("default",))
        if is_another_alive:
            open_session(connection, worker="host:3", queues=("gpu",), network_id=bench.network_id + 1)
    bench.look()
    assert bench.row().finished_at is not None
    (told,) = bench.told()
    assert (told["event"], told["done"], told["pending"]) == ("backlog.stopped", 0, MEDIA)
    assert bench.chunk_states() == {}


def test_its_deadline_stops_it(bench: Bench) -> None:
    bench.backlog(deadline_at=LONG_AGO)
    bench.backlog(OTHER, first=100, deadline_at=datetime.now(UTC) + timedelta(hours=1))
    bench.look()
    assert (bench.row().stop_reason, bench.row(OTHER).stopped_at) == ("deadline", None)
    assert bench.chunk_states() == {ChunkState.WAITING: 2}
    assert bench.row().finished_at is not None, "nothing was in hand"


def test_worker_time_is_charged_to_whose_media_are_in_hand_until_the_budget_is_spent(bench: Bench) -> None:
    bench.backlog(max_worker_s=100.0)
    bench.backlog(OTHER, first=100)
    bench.claim(1, 2, 3, 100)
    an_age_ago = datetime.now(UTC) - timedelta(seconds=120)
    with writing(bench.engine) as connection:
        connection.execute(update(runs).values(worker_s_at=an_age_ago))
    bench.look()
    assert bench.row().worker_s == pytest.approx(90.0, rel=0.1), "three of four media, for two minutes"
    assert bench.row(OTHER).worker_s == pytest.approx(30.0, rel=0.1)
    assert bench.row().stopped_at is None
    bench.look()
    assert bench.row().worker_s == pytest.approx(90.0, rel=0.1), "the same time is charged once"
    bench.change(worker_s_at=an_age_ago)
    bench.look()
    assert bench.row().stop_reason == "budget"
    assert bench.row(OTHER).stopped_at is None


def test_only_backlogs_with_media_in_hand_are_charged_and_their_clock_stands_still_meanwhile(bench: Bench) -> None:
    bench.backlog()
    bench.backlog(OTHER, first=100)
    claims = bench.claim(1, 2)
    bench.look()
    assert (bench.row().worker_s_at is not None, bench.row(OTHER).worker_s_at) == (True, None)
    bench.settle(claims)
    bench.look()
    assert bench.row().worker_s_at is None
    bench.change(started_at=LONG_AGO, worker_s=0.0)
    bench.claim(3)
    bench.look()
    assert bench.row().worker_s == pytest.approx(5.0), "what lay idle is no worker time"


@pytest.mark.servers
def test_a_backlog_whose_row_a_producer_holds_keeps_the_others_from_nothing(make_database: Callable[..., str]) -> None:
    engine = open_engine(make_database("postgres"))
    bench = Bench(engine)
    bench.backlog(deadline_at=LONG_AGO)
    bench.backlog(OTHER, first=100, deadline_at=LONG_AGO)
    bench.claim(1)
    with engine.connect() as producer, producer.begin():
        producer.execute(select(runs.c.id).where(runs.c.id == RUN).with_for_update())
        with engine.connect() as setting:
            setting.execute(text(f"ALTER DATABASE {engine.url.database} SET lock_timeout = '2s'"))
            setting.commit()
        impatient = open_engine(engine.url.render_as_string(hide_password=False))
        look_after_backlogs(impatient, session_timeout_s=45.0)
        impatient.dispose()
    assert (bench.row().stopped_at, bench.row(OTHER).stop_reason) == (None, "deadline")
    bench.look()
    assert bench.row().stop_reason == "deadline"
    engine.dispose()


def test_a_worker_that_waits_or_has_died_costs_nothing(bench: Bench) -> None:
    bench.backlog()
    bench.claim(1)
    with writing(bench.engine) as connection:
        connection.execute(update(worker_sessions).values(seen_at=LONG_AGO))
    bench.change(worker_s_at=LONG_AGO)
    bench.look()
    assert bench.row().worker_s == 0.0


def test_time_that_nobody_watched_is_charged_for_five_minutes_at_most(bench: Bench) -> None:
    bench.backlog()
    bench.claim(1)
    bench.change(worker_s_at=LONG_AGO)
    bench.look()
    assert bench.row().worker_s == 300.0


def test_stopping_what_is_not_there_says_where_to_look(bench: Bench) -> None:
    with pytest.raises(InputError, match="There is no backlog 99; `annotator status`"), writing(bench.engine) as made:
        stop_backlog(made, 99, "asked")


@pytest.mark.servers
def test_who_listens_on_the_database_is_told(make_database: Callable[..., str]) -> None:
    engine = open_engine(make_database("postgres"))
    bench = Bench(engine)
    listener = psycopg2.connect(engine.url.set(drivername="postgresql").render_as_string(hide_password=False))
    listener.autocommit = True
    with listener.cursor() as cursor:
        cursor.execute(f"LISTEN {CHANNEL}")
    bench.backlog()
    bench.settle(bench.claim(*range(1, MEDIA + 1)))
    bench.look()
    assert wait_for([listener], [], [], 30.0)[0], "no notice came"
    listener.poll()
    (note,) = listener.notifies
    told = json.loads(note.payload)
    assert told["backlog"] == {"id": RUN, "uri": "s3://clips/a/"}
    assert (told["done"], told["failed"]) == (MEDIA, 0)
    listener.close()
    engine.dispose()
