"""The broker as beat sees it, with a real Valkey: full, forgetful, away, emptied."""

import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, func, insert, select, update

from annotator.errors import BrokerUnavailableError, ConfigError
from annotator.settings import WorkerSettings, load_settings
from annotator.stack.broker import BrokerChild
from annotator.stack.child import free_port
from annotator.store.connection import reading, writing
from annotator.store.dialect import later_value
from annotator.store.queue.chunks import Chunk, Piece, add_chunks
from annotator.store.queue.sessions import open_session
from annotator.store.registry import register_network
from annotator.store.tables import ChunkState, chunks, sources, work
from workers.app import AnnotatorApp, create_app
from workers.beat.broker import RedisBroker
from workers.beat.feeder import Feeder
from workers.beat.routing import Caps
from workers.beat.sweeper import Sweeper

pytestmark = pytest.mark.servers


@pytest.fixture
def server(tmp_path: Path) -> Iterator[BrokerChild]:
    child = BrokerChild(tmp_path / "broker", free_port())
    yield child
    child.process.stop(timeout_s=5.0)


@pytest.fixture
def client(server: BrokerChild) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url) as connected:
        yield connected


@pytest.fixture
def app(server: BrokerChild) -> AnnotatorApp:
    return create_app(load_settings(env_file=None, broker_url=server.url))


def states(engine: Engine) -> dict[int, int]:
    with reading(engine) as connection:
        rows = connection.execute(select(chunks.c.state, func.count()).group_by(chunks.c.state)).all()
    return {row[0]: row[1] for row in rows}


def feeder_of(engine: Engine, app: AnnotatorApp, media: int) -> Feeder:
    """A feeder with chunks of 64 media each waiting."""
    with writing(engine) as connection:
        network_id = register_network(connection, {"name": "fake"})
        connection.execute(insert(sources).values(id=1, uri="s3://clips/"))
        pieces = [Piece(number, "x.gif", 1) for number in range(1, 65)]
        add_chunks(connection, network_id, [pieces] * media)
    return Feeder(engine, RedisBroker(app), caps=Caps(chunks=2000, concurrency=4), session_timeout_s=45.0)


def test_a_broker_without_memory_refuses_and_chunks_wait_until_it_has_some(
    engine: Engine, app: AnnotatorApp, client: redis.Redis
) -> None:
    feeder = feeder_of(engine, app, media=1000)
    client.config_set("maxmemory", int(client.info("memory")["used_memory"]) + 500_000)
    with pytest.raises(BrokerUnavailableError, match="used memory > 'maxmemory'"):
        feeder.run()
    sent = client.llen("gpu")
    assert 0 < sent < 1000
    assert states(engine) == {ChunkState.PUBLISHED: sent, ChunkState.WAITING: 1000 - sent}
    client.config_set("maxmemory", 0)
    assert feeder.run() == 1000 - sent
    assert client.llen("gpu") == 1000


def test_a_broker_that_has_no_memory_from_the_start_costs_nothing_but_time(
    engine: Engine, app: AnnotatorApp, client: redis.Redis
) -> None:
    feeder = feeder_of(engine, app, media=3)
    client.config_set("maxmemory", 1)
    with pytest.raises(BrokerUnavailableError):
        feeder.run()
    assert states(engine) == {ChunkState.WAITING: 3}


def test_a_broker_that_may_forget_messages_is_refused(app: AnnotatorApp, client: redis.Redis) -> None:
    broker = RedisBroker(app)
    broker.check()
    client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(ConfigError, match=r"maxmemory-policy is allkeys-lru.*noeviction"):
        broker.check()


def test_a_broker_that_tells_nothing_of_its_settings_is_taken_with_a_warning(
    server: BrokerChild, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    client.execute_command("ACL", "SETUSER", "beat", "on", ">pass", "~*", "&*", "+@all", "-config")
    url = server.url.replace("redis://", "redis://beat:pass@")
    with caplog.at_level(logging.WARNING):
        RedisBroker(create_app(load_settings(env_file=None, broker_url=url))).check()
    assert "The broker's maxmemory-policy must be noeviction" in caplog.text


def test_a_broker_that_is_away_is_tried_again(engine: Engine, app: AnnotatorApp, server: BrokerChild) -> None:
    feeder = feeder_of(engine, app, media=3)
    server.process.stop(timeout_s=5.0)
    with pytest.raises(BrokerUnavailableError):
        feeder.run()
    assert states(engine) == {ChunkState.WAITING: 3}


def test_a_broker_that_was_emptied_gets_everything_again_and_drops_nothing(
    engine: Engine, app: AnnotatorApp, client: redis.Redis
) -> None:
    feeder = feeder_of(engine, app, media=3)
    assert feeder.run() == 3
    client.flushall()
    feeder._next_full_s = 0.0
    assert feeder.run() == 3
    assert client.llen("gpu") == 3


def test_messages_of_a_queue_that_nobody_consumes_are_thrown_away(app: AnnotatorApp, client: redis.Redis) -> None:
    broker = RedisBroker(app)
    broker.publish(Chunk(1, "gif", (1,), "gpu"))
    broker.publish(Chunk(2, "gif", (2,), "cpu"))
    broker.forget("gpu")
    assert (client.llen("gpu"), client.llen("cpu"), broker.count("cpu")) == (0, 1, 1)


@pytest.mark.parametrize("is_written_down", [True, False])
def test_a_message_lost_before_anybody_said_that_he_has_it_is_published_again(
    engine: Engine, app: AnnotatorApp, client: redis.Redis, *, is_written_down: bool
) -> None:
    feeder = feeder_of(engine, app, media=3)
    assert feeder.run() == 3
    broker = RedisBroker(app)
    before = broker.waiting() or set()
    message = json.loads(client.rpop("gpu"))  # as Kombu does
    if is_written_down:
        client.hset("unacked", "tag", json.dumps([message, "", "gpu"]))
    (chunk_id,) = before - (broker.waiting() or set())
    client.lpush("gpu", b"{", json.dumps({"body": "W10="}))  # hostile, or of another kind
    sweeper = Sweeper(engine, WorkerSettings(), broker=broker)
    sweeper.run()
    assert states(engine) == {ChunkState.PUBLISHED: 3}, "its worker may be about to say so"
    sweeper.run()
    assert states(engine) == {ChunkState.PUBLISHED: 2, ChunkState.WAITING: 1}
    with reading(engine) as connection:
        assert (
            connection.execute(select(chunks.c.id).where(chunks.c.state == ChunkState.WAITING)).scalar_one() == chunk_id
        )


def test_where_too_many_messages_wait_none_is_looked_for(
    engine: Engine, app: AnnotatorApp, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeder_of(engine, app, media=3).run()
    client.rpop("gpu")
    monkeypatch.setattr("workers.beat.broker._MOST_WAITING", 1)
    sweeper = Sweeper(engine, WorkerSettings(), broker=RedisBroker(app))
    for _ in range(3):
        sweeper.run()
    assert states(engine) == {ChunkState.PUBLISHED: 3}


def test_a_message_nested_too_deeply_ends_no_sweep(engine: Engine, app: AnnotatorApp, client: redis.Redis) -> None:
    feeder_of(engine, app, media=1).run()
    deep = b"[" * 200_000
    client.lpush("gpu", deep, json.dumps({"body": base64.b64encode(deep).decode()}))
    assert len(RedisBroker(app).waiting() or ()) == 1


def test_messages_that_are_too_large_to_be_read_are_not_read(
    app: AnnotatorApp, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = RedisBroker(app)
    broker.publish(Chunk(1, "gif", (1,), "gpu"))
    assert broker.waiting() == {1}
    for _ in range(7):
        client.lpush("cpu", b"x" * 10_000_000)
    monkeypatch.setattr(broker._redis, "lrange", never)
    assert broker.waiting() is None


def never(*_: object) -> list[bytes]:
    pytest.fail("seventy megabytes would be read")


def test_what_comes_while_messages_are_read_is_bounded_too(
    app: AnnotatorApp, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = RedisBroker(app)
    client.lpush("gpu", *[b"x" * 1000] * 1200)
    assert broker.waiting() == set()
    monkeypatch.setattr("workers.beat.broker._MOST_WAITING_BYTES", 1_000_000)
    monkeypatch.setattr(broker, "_size_bytes", lambda _: 0)
    assert broker.waiting() is None


def test_all_messages_are_seen_whatever_the_size_of_a_slice(app: AnnotatorApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.beat.broker._SLICE", 2)
    broker = RedisBroker(app)
    for number in (1, 2, 3, 4):
        broker.publish(Chunk(number, "gif", (number,), "gpu"))
    broker.publish(Chunk(5, "film", (5,), "cpu"))
    assert broker.waiting() == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("hostile", [b"[" * 200_000, b'{"__type__": "decimal", "__value__": "abc"}', b"\xff", b"7"])
def test_a_worker_throws_away_what_is_no_message_and_takes_the_next(
    app: AnnotatorApp, client: redis.Redis, caplog: pytest.LogCaptureFixture, hostile: bytes
) -> None:
    taken: list[object] = []
    with app.connection_for_read() as connection:
        queue = app.amqp.queues["gpu"]
        with connection.Consumer([queue], on_message=taken.append):
            client.lpush("gpu", hostile)
            RedisBroker(app).publish(Chunk(1, "gif", (1,), "gpu"))
            while not taken:
                connection.drain_events(timeout=5)
    assert caplog.text.count("was thrown away") == 1
    assert hostile.decode(errors="replace") not in caplog.text


def test_a_message_that_waits_is_not_published_again_however_slow_its_worker_is(
    engine: Engine, app: AnnotatorApp, client: redis.Redis
) -> None:
    feeder_of(engine, app, media=2).run()
    client.rpop("gpu")
    with writing(engine) as connection:
        connection.execute(insert(work), [{"network_id": 1, "media_id": number} for number in range(1, 65)])
        connection.execute(update(chunks).values(published_at=later_value(connection, -3600.0)))
    Sweeper(engine, WorkerSettings(), broker=RedisBroker(app)).run()
    assert states(engine) == {ChunkState.PUBLISHED: 1, ChunkState.WAITING: 1}


def test_a_message_that_a_session_has_is_left_to_it(engine: Engine, app: AnnotatorApp, client: redis.Redis) -> None:
    feeder = feeder_of(engine, app, media=1)
    feeder.run()
    client.hset("unacked", "tag", json.dumps([json.loads(client.rpop("gpu")), "", "gpu"]))
    with writing(engine) as connection:
        session_id = open_session(connection, worker="here:1")
        connection.execute(update(chunks).values(session_id=session_id))
    sweeper = Sweeper(engine, WorkerSettings(), broker=RedisBroker(app))
    for _ in range(3):
        sweeper.run()
    assert states(engine) == {ChunkState.PUBLISHED: 1}


def test_a_sweep_goes_on_without_a_broker(engine: Engine, app: AnnotatorApp, server: BrokerChild) -> None:
    server.process.stop(timeout_s=5.0)
    Sweeper(engine, WorkerSettings(), broker=RedisBroker(app)).run()
    assert states(engine) == {}
