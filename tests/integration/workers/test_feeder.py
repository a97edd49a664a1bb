"""The feeder: caps, priorities, routing by living workers, and what it does when the broker refuses."""

import itertools
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, delete, func, insert, select, text, update

from annotator.store.columns import utc_now
from annotator.store.connection import open_engine, reading, writing
from annotator.store.queue.chunks import Chunk, Piece, add_chunks, put_back, settle, take_chunk
from annotator.store.queue.feeding import put_back_stranded
from annotator.store.queue.sessions import open_session
from annotator.store.registry import register_network
from annotator.store.tables import ChunkState, chunks, runs, sources, worker_sessions
from workers.beat.feeder import AGE_SHARE, Feeder
from workers.beat.routing import Caps

NETWORK, NEWER = 1, 2
SMALL = Caps(chunks=4, concurrency=1)


class BrokerDouble:
    """Keeps messages in lists; refuses when told so."""

    def __init__(self) -> None:
        self.queues: dict[str, list[Chunk]] = {}
        self.epochs = 0
        self.checks = 0
        self.accepts: int | None = None

    def check(self) -> None:
        self.checks += 1

    def is_new(self) -> bool:
        return self.epochs == 0

    def mark(self) -> None:
        self.epochs += 1

    def publish(self, chunk: Chunk) -> None:
        if self.accepts is not None:
            if self.accepts == 0:
                raise ConnectionError("the broker refuses")
            self.accepts -= 1
        self.queues.setdefault(chunk.queue, []).append(chunk)

    def forget(self, queue: str) -> None:
        self.queues.pop(queue, None)

    def ids(self, queue: str = "gpu") -> list[int]:
        return [chunk.media_ids[0] for chunk in self.queues.get(queue, [])]


class Bench:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.broker = BrokerDouble()
        self.numbers = itertools.count(1)
        with writing(engine) as connection:
            assert register_network(connection, {"name": "fake"}) == NETWORK
            assert register_network(connection, {"name": "newer"}) == NEWER
            connection.execute(insert(sources).values(id=1, uri="s3://clips/"))

    def feeder(self, caps: Caps = SMALL) -> Feeder:
        return Feeder(self.engine, self.broker, caps=caps, session_timeout_s=45.0)

    def add(
        self, count: int, *, priority: int = 0, film: bool = False, run_id: int | None = None, network: int = NETWORK
    ) -> list[int]:
        """Add chunks of one media each; returns their media."""
        size = (64 if film else 1) << 20
        pieces = [Piece(next(self.numbers), "film.mp4" if film else "x.gif", size) for _ in range(count)]
        with writing(self.engine) as connection:
            add_chunks(connection, network, [[one] for one in pieces], priority=priority, run_id=run_id)
        return [one.media_id for one in pieces]

    def worker(self, *queues: str, network: int | None = None) -> int:
        with writing(self.engine) as connection:
            return open_session(connection, worker="host:1", queues=queues, network_id=network)

    def loses(self, session_id: int) -> None:
        with writing(self.engine) as connection:
            connection.execute(
                update(worker_sessions).where(worker_sessions.c.id == session_id).values(ended_at=utc_now())
            )

    def settle_all(self) -> None:
        """Do the work of everybody: all published chunks are settled."""
        with writing(self.engine) as connection:
            for chunk in [one for queue in self.broker.queues.values() for one in queue]:
                settle(connection, chunk.id)
        self.broker.queues.clear()

    def sent(self) -> Counter[int | None]:
        """Count what was sent by network."""
        return Counter(chunk.network_id for queue in self.broker.queues.values() for chunk in queue)

    def states(self) -> dict[int, int]:
        with reading(self.engine) as connection:
            rows = connection.execute(select(chunks.c.state, func.count()).group_by(chunks.c.state)).all()
        return {row[0]: row[1] for row in rows}


def feed(feeder: Feeder) -> int:
    """Run it with a full search, as it does each second while that is cheap."""
    feeder._next_full_s = 0.0
    return feeder.run()


@pytest.fixture
def bench(engine: Engine) -> Bench:
    return Bench(engine)


def test_it_stops_at_the_cap_and_goes_on_when_chunks_are_settled(bench: Bench) -> None:
    ids = bench.add(6)
    feeder = bench.feeder()
    assert feed(feeder) == 4
    assert bench.broker.ids() == ids[:4]
    assert feed(feeder) == 0
    bench.settle_all()
    assert feed(feeder) == 2
    assert bench.broker.ids() == ids[4:]


def test_the_higher_priority_goes_first(bench: Bench) -> None:
    low, high = bench.add(2), bench.add(3, priority=5)
    bench.feeder().run()
    assert bench.broker.ids() == [*high, low[0]]


def test_an_eighth_goes_by_age_so_that_no_priority_starves_another(bench: Bench) -> None:
    low = bench.add(10)
    bench.add(200, priority=5)
    feeder = bench.feeder(Caps(chunks=3, concurrency=1))
    published: list[int] = []
    while len(published) < 10 * AGE_SHARE:
        feed(feeder)
        published += bench.broker.ids()
        bench.settle_all()
    assert sum(one in low for one in published) == 10
    assert sum(one in low for one in published[: 5 * AGE_SHARE]) in {4, 5}


def test_lanes_have_caps_of_their_own(bench: Bench) -> None:
    bench.worker("gpu")
    bench.add(50, film=True, priority=9)
    gifs = bench.add(50)
    bench.feeder().run()
    lanes = Counter(chunk.lane for chunk in bench.broker.queues["gpu"])
    assert lanes == {"gif": 4, "film": 1}
    assert [chunk.media_ids[0] for chunk in bench.broker.queues["gpu"] if chunk.lane == "gif"] == gifs[:4]


def test_while_nobody_lives_each_lane_waits_where_it_is_done_best(bench: Bench) -> None:
    bench.add(1)
    bench.add(1, film=True)
    bench.feeder().run()
    assert {queue: len(sent) for queue, sent in bench.broker.queues.items()} == {"gpu": 1, "cpu": 1}


def test_workers_of_a_newer_network_do_not_wait_behind_the_older_backlog_of_another(bench: Bench) -> None:
    bench.add(200, network=NETWORK)
    bench.add(200, network=NEWER)
    bench.worker("gpu", network=NETWORK)
    for _ in range(9):
        bench.worker("gpu", network=NEWER)
    feeder = bench.feeder()
    for _ in range(3):
        feed(feeder)
        assert bench.sent() == {NETWORK: 4, NEWER: 27}, "each gets what its own workers can have in hand"
        with writing(bench.engine) as connection:  # workers of the newer one give back what is not theirs
            ids = [chunk.id for chunk in bench.broker.queues["gpu"] if chunk.network_id == NETWORK]
            put_back(connection, ids, delay_s=10.0)
            bench.broker.queues["gpu"] = [one for one in bench.broker.queues["gpu"] if one.id not in ids]
        bench.settle_all()


def test_each_network_is_fed_in_the_queues_of_its_own_workers(bench: Bench) -> None:
    bench.add(20, network=NETWORK)
    bench.add(20, network=NEWER)
    bench.worker("cpu", network=NETWORK)
    bench.worker("gpu", network=NEWER)
    bench.feeder().run()
    found = {queue: {chunk.network_id for chunk in sent} for queue, sent in bench.broker.queues.items()}
    assert found == {"cpu": {NETWORK}, "gpu": {NEWER}}


def test_an_eighth_by_age_holds_for_each_network(bench: Bench) -> None:
    for network in (NETWORK, NEWER):
        bench.worker("gpu", network=network)
        bench.add(1, network=network)
        bench.add(30, priority=5, network=network)
    feeder = bench.feeder(Caps(chunks=AGE_SHARE, concurrency=1))
    feed(feeder)
    assert sorted({1, 32}.intersection(bench.broker.ids())) == [1, 32]


def test_while_nobody_lives_what_the_last_workers_did_not_run_is_not_sent(bench: Bench) -> None:
    bench.add(9, network=NETWORK)
    former = bench.worker("gpu", network=NETWORK)
    bench.loses(bench.worker("gpu", network=NEWER))
    bench.loses(former)
    with writing(bench.engine) as connection:
        of_former = update(worker_sessions).where(worker_sessions.c.id == former)
        connection.execute(of_former.values(seen_at=datetime(2001, 1, 1, tzinfo=UTC)))
    bench.worker("default")
    later = bench.add(2, network=NEWER)
    bench.feeder().run()
    assert bench.broker.ids() == later


def test_a_worker_that_does_not_say_what_it_runs_is_sent_everything(bench: Bench) -> None:
    bench.worker("gpu")
    bench.worker("gpu", network=NEWER)
    ids = [*bench.add(2, network=NETWORK), *bench.add(2, network=NEWER)]
    bench.feeder().run()
    assert bench.broker.ids() == ids


@pytest.mark.parametrize("only", ["gpu", "cpu"])
def test_only_queues_that_a_living_worker_consumes_are_fed(bench: Bench, only: str) -> None:
    gone = bench.worker("cpu" if only == "gpu" else "gpu")
    bench.loses(gone)
    bench.worker(only, "default")
    bench.add(1)
    bench.add(1, film=True)
    bench.feeder().run()
    assert {queue: len(sent) for queue, sent in bench.broker.queues.items()} == {only: 2}


def test_a_silent_worker_does_not_count_as_living(bench: Bench) -> None:
    silent = bench.worker("gpu")
    bench.worker("cpu")
    with writing(bench.engine) as connection:
        of_session = update(worker_sessions).where(worker_sessions.c.id == silent)
        connection.execute(of_session.values(seen_at=datetime(2001, 1, 1, tzinfo=UTC)))
    bench.add(2)
    bench.feeder().run()
    assert set(bench.broker.queues) == {"cpu"}


def test_small_media_overflow_to_the_cpu_only_when_the_gpu_is_full(bench: Bench) -> None:
    bench.worker("gpu")
    bench.worker("cpu")
    bench.add(3)
    feeder = bench.feeder()
    feed(feeder)
    assert {queue: len(sent) for queue, sent in bench.broker.queues.items()} == {"gpu": 3}
    bench.add(20)
    feed(feeder)
    assert {queue: len(sent) for queue, sent in bench.broker.queues.items()} == {"gpu": 4, "cpu": 4}


def test_films_go_to_the_cpu_first(bench: Bench) -> None:
    bench.worker("gpu")
    bench.worker("cpu")
    bench.add(9, film=True)
    bench.feeder().run()
    assert {queue: len(sent) for queue, sent in bench.broker.queues.items()} == {"cpu": 1, "gpu": 1}


def test_a_worker_of_both_queues_gets_no_double_share(bench: Bench) -> None:
    bench.worker("gpu", "cpu")
    bench.add(20)
    bench.feeder().run()
    assert {queue: len(sent) for queue, sent in bench.broker.queues.items()} == {"gpu": 4}


def test_many_workers_are_given_as_much_as_they_can_have_in_hand(bench: Bench) -> None:
    for _ in range(5):
        bench.worker("gpu")
    bench.add(50)
    assert bench.feeder(Caps(chunks=4, concurrency=2)).run() == 30


def test_chunks_of_a_queue_without_workers_go_elsewhere_and_its_messages_are_thrown_away(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = itertools.count(1000.0, 0.001)
    jump = [0.0]
    monkeypatch.setattr("workers.beat.feeder.time.monotonic", lambda: next(now) + jump[0])
    gone = bench.worker("gpu")
    ids = bench.add(3)
    feeder = bench.feeder()
    feed(feeder)
    assert bench.broker.ids("gpu") == ids
    bench.loses(gone)
    jump[0] += 60.0
    feed(feeder)
    assert bench.broker.ids("gpu") == ids, "nobody lives: they wait where they are"
    bench.worker("cpu")
    feed(feeder)
    assert bench.broker.ids("cpu") == ids
    assert "gpu" not in bench.broker.queues


def test_a_worker_that_is_started_anew_finds_its_chunks_where_they_were(bench: Bench) -> None:
    gone = bench.worker("gpu")
    bench.worker("cpu")
    ids = bench.add(3)
    feeder = bench.feeder()
    feed(feeder)
    bench.loses(gone)
    feed(feeder)
    assert bench.broker.ids("gpu") == ids
    assert "cpu" not in bench.broker.queues


def test_what_the_broker_refuses_waits_in_the_database(bench: Bench) -> None:
    ids = bench.add(4)
    feeder = bench.feeder()
    bench.broker.accepts = 1
    with pytest.raises(ConnectionError):
        feed(feeder)
    assert bench.states() == {ChunkState.PUBLISHED: 1, ChunkState.WAITING: 3}
    bench.broker.accepts = None
    assert feed(feeder) == 3
    assert bench.broker.ids() == ids


def test_everything_is_published_again_when_the_broker_has_lost_it(bench: Bench) -> None:
    ids = bench.add(3)
    feeder = bench.feeder()
    feed(feeder)
    bench.broker.queues.clear()
    bench.broker.epochs = 0
    feed(feeder)
    assert bench.broker.ids() == ids
    assert bench.broker.checks == 2, "another broker, other settings"


def test_chunks_that_came_back_are_found_by_the_next_full_search(bench: Bench) -> None:
    ids = bench.add(12)
    feeder = bench.feeder()
    feed(feeder)
    feeder._next_full_s = float("inf")
    with writing(bench.engine) as connection:
        assert put_back(connection) == 4
    bench.broker.queues.clear()
    feeder.run()
    assert bench.broker.ids() == [ids[0], *ids[4:7]], "it went on where it was, but for the one that goes by age"
    bench.settle_all()
    feed(feeder)
    assert bench.broker.ids() == [*ids[1:4], ids[7]]


def test_searches_that_go_on_pass_over_nothing(bench: Bench) -> None:
    ids = [*bench.add(7, priority=3), *bench.add(7), *bench.add(7, priority=-2)]
    feeder = bench.feeder()
    feed(feeder)
    feeder._next_full_s = float("inf")
    published = bench.broker.ids()
    bench.settle_all()
    while feeder.run():
        published += bench.broker.ids()
        bench.settle_all()
    assert sorted(published) == ids


@pytest.mark.parametrize("has_ended", [False, True])
def test_chunks_of_a_stopped_backlog_are_forgotten_also_those_that_come_back_after_its_end(
    bench: Bench, *, has_ended: bool
) -> None:
    with writing(bench.engine) as connection:
        run = {"id": 7, "network_id": NETWORK, "source_id": 1, "prefix": "", "options": {}}
        connection.execute(insert(runs).values(started_at=utc_now(), stopped_at=utc_now(), **run))
        if has_ended:
            connection.execute(update(runs).values(finished_at=utc_now()))
    bench.add(2, run_id=7)
    others = bench.add(2)
    bench.feeder().run()
    assert bench.broker.ids() == others
    assert bench.states() == {ChunkState.PUBLISHED: 2}


def test_a_stranded_chunk_belongs_to_nobody_when_it_goes_elsewhere(bench: Bench) -> None:
    (chunk_id,) = bench.add(1)
    session_id = bench.worker("gpu")
    feed(bench.feeder())
    with writing(bench.engine) as connection:
        assert take_chunk(connection, chunk_id, session_id=session_id) is not None
        assert put_back_stranded(connection, ["gpu"]) == 1
        row = connection.execute(select(chunks).where(chunks.c.id == chunk_id)).one()
    assert (row.state, row.session_id, row.not_before) == (ChunkState.WAITING, None, None)


def test_of_two_feeders_each_chunk_is_published_once(bench: Bench) -> None:
    bench.add(3)
    first, second = bench.feeder(), bench.feeder()
    assert feed(first) + feed(second) == 3
    assert len(bench.broker.ids()) == 3


DEAD = 3000


def entries_read(engine: Engine) -> int:
    """Return how many entries of the indexes of chunks have been read so far, dead ones included."""
    with reading(engine) as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
    with reading(engine) as connection:
        read = "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'chunks'"
        return int(connection.execute(text(read)).scalar_one())


@pytest.mark.servers
def test_what_waits_for_another_network_is_not_read(make_database: Callable[..., str]) -> None:
    engine = open_engine(make_database("postgres"), pool_size=1)
    bench = Bench(engine)
    bench.add(DEAD, priority=5, network=NETWORK)  # it would come first, by priority and by age
    bench.add(DEAD // 10, film=True, priority=5, network=NETWORK)
    own = [*bench.add(2 * AGE_SHARE, network=NEWER), *bench.add(2, film=True, network=NEWER)]
    bench.worker("gpu", "cpu", network=NEWER)
    with engine.connect() as connection:
        connection.execute(text("ANALYZE chunks"))
        connection.commit()
    before = entries_read(engine)
    assert feed(bench.feeder(Caps(chunks=2 * AGE_SHARE, concurrency=2))) == 2 * AGE_SHARE + 1
    assert entries_read(engine) - before < DEAD / 10
    assert {one for queue in ("gpu", "cpu") for one in bench.broker.ids(queue)} <= set(own)
    engine.dispose()


@pytest.mark.servers
def test_dead_chunks_behind_an_old_snapshot_are_read_by_full_searches_only(make_database: Callable[..., str]) -> None:
    engine = open_engine(make_database("postgres"), pool_size=1)
    analyst = open_engine(engine.url.render_as_string(hide_password=False))
    bench = Bench(engine)
    bench.add(2 * DEAD)
    with analyst.connect().execution_options(isolation_level="REPEATABLE READ") as snapshot:
        snapshot.execute(select(func.count()).select_from(chunks))
        with writing(engine) as connection:
            connection.execute(update(chunks).where(chunks.c.id <= DEAD).values(state=1, published_at=utc_now()))
        with writing(engine) as connection:
            connection.execute(delete(chunks).where(chunks.c.id <= DEAD))
        feeder = bench.feeder(Caps(chunks=AGE_SHARE, concurrency=1))
        before = entries_read(engine)
        assert feed(feeder) == AGE_SHARE
        after_full = entries_read(engine)
        feeder._next_full_s = float("inf")
        for _ in range(5):
            bench.settle_all()
            assert feeder.run() == AGE_SHARE
        after_going_on = entries_read(engine)
    engine.dispose()
    analyst.dispose()
    assert after_full - before > DEAD, "the snapshot keeps them"
    assert after_going_on - after_full < DEAD / 10
