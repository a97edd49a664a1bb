"""What a listing lacks: marked when all is listed, a little at a time, and not at all where the listing is in doubt."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text, update

from annotator.errors import BacklogStoppedError
from annotator.media.s3 import ListedObject
from annotator.store.backlog import missing, settling
from annotator.store.backlog.ending import stop_backlog
from annotator.store.backlog.gone import KeyRange
from annotator.store.backlog.listing import Run, Shard, Wish, begin_run, open_shards
from annotator.store.backlog.missing import forget_missing
from annotator.store.backlog.registration import register_objects
from annotator.store.backlog.settling import GoneLimits
from annotator.store.connection import open_engine, reading, writing
from annotator.store.queue.chunks import ChunkLimits
from annotator.store.queue.counts import recount
from annotator.store.registry import register_network
from annotator.store.store import Store
from annotator.store.tables import media, missing_media, runs, work
from workers.backlog import lister
from workers.backlog.batches import Batch
from workers.backlog.lister import GoneRule, Registrar

SOURCE, PREFIX = "s3://clips/", "a/"
FIFTH = GoneLimits(share=0.2, least=10)
KEYS = [f"a/{number:03}.gif" for number in range(100)]


@pytest.fixture
def network_id(engine: Engine) -> int:
    with writing(engine) as connection:
        return register_network(connection, {"name": "fake"})


class Pass:
    """A listing of the prefix, as a producer with one shard makes it."""

    def __init__(
        self, engine: Engine, network_id: int, *, limits: GoneLimits = FIFTH, is_meant: Any = None, **options: Any
    ) -> None:
        self.engine = engine
        self.is_meant = is_meant
        with writing(engine) as connection:
            self.run: Run = begin_run(connection, Wish(network_id, SOURCE, PREFIX, options=options))
        self.registrar = Registrar(Store(engine), self.run, ChunkLimits(), gone=GoneRule(limits, is_meant))

    def shards(self) -> list[Shard]:
        with reading(self.engine) as connection:
            return open_shards(connection, self.run.id)

    def register(self, keys: Sequence[str], *, until: str | None = None) -> None:
        """Register a part up to a key, or all that is left."""
        (shard,) = self.shards()
        objects = [ListedObject(key, '"1"', 1000) for key in keys]
        told = KeyRange(PREFIX, shard.cursor, until, self.is_meant)
        cursor = until or (keys[-1] if keys else shard.cursor)
        self.registrar.register(shard, Batch(objects, cursor, 1, is_end=until is None, told=told))

    def settle(self) -> int:
        return sum(count.deleted for count in self.registrar.settle())

    def list(self, keys: Sequence[str]) -> int:
        """List all; return how many were marked as gone."""
        self.register(keys)
        return self.settle()

    def row(self) -> Any:
        with reading(self.engine) as connection:
            return connection.execute(select(runs).where(runs.c.id == self.run.id)).one()


def gone(engine: Engine) -> list[str]:
    with reading(engine) as connection:
        marked = select(media.c.key).where(media.c.deleted_at.is_not(None)).order_by(media.c.key)
        return list(connection.execute(marked).scalars())


def noted(engine: Engine) -> int:
    with reading(engine) as connection:
        return int(connection.execute(select(func.count()).select_from(missing_media)).scalar_one())


def is_counted(engine: Engine) -> bool:
    with writing(engine) as connection:
        return recount(connection) == []


@pytest.mark.parametrize("left", [0, 79])
def test_an_empty_or_strangely_short_listing_marks_nothing_and_says_how_much_it_lacks(
    engine: Engine, network_id: int, left: int
) -> None:
    Pass(engine, network_id).list(KEYS)
    short = Pass(engine, network_id)
    assert short.list(KEYS[:left]) == 0
    refused = short.registrar.refused
    assert refused is not None
    assert (refused.missing, refused.known, refused.most) == (100 - left, 100, 20)
    assert short.row().gone_refused == 100 - left
    assert short.row().listed_at is not None
    assert (gone(engine), noted(engine)) == ([], 0)
    again = Pass(engine, network_id)
    assert again.list(KEYS) == 0
    assert (again.registrar.refused, again.row().gone_refused) == (None, None)
    assert is_counted(engine)


def test_who_says_that_they_are_gone_has_them_marked(engine: Engine, network_id: int) -> None:
    Pass(engine, network_id).list(KEYS)
    assert Pass(engine, network_id, limits=GoneLimits(share=1.0)).list([]) == 100
    assert gone(engine) == KEYS
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).select_from(work)).scalar_one() == 0
    assert is_counted(engine)


@pytest.mark.parametrize(("known", "left"), [(100, 80), (10, 0)])
def test_up_to_a_share_and_a_few_in_any_case_are_marked(engine: Engine, network_id: int, known: int, left: int) -> None:
    Pass(engine, network_id).list(KEYS[:known])
    short = Pass(engine, network_id)
    assert short.list(KEYS[:left]) == known - left
    assert short.registrar.refused is None
    assert gone(engine) == KEYS[left:known]
    assert noted(engine) == 0
    assert is_counted(engine)


def test_what_a_filter_leaves_out_does_not_count_as_known(engine: Engine, network_id: int) -> None:
    films = [f"a/{number:03}.mp4" for number in range(200)]
    Pass(engine, network_id).list(sorted([*KEYS, *films]))
    short = Pass(engine, network_id, is_meant=lambda key: key.endswith(".gif"), include=["*.gif"])
    assert short.list(KEYS[:70]) == 0
    refused = short.registrar.refused
    assert refused is not None
    assert (refused.missing, refused.known, refused.most) == (30, 100, 20)


def test_nothing_is_marked_before_all_is_listed(engine: Engine, network_id: int) -> None:
    Pass(engine, network_id).list(KEYS)
    short = Pass(engine, network_id)
    short.register(KEYS[5:50], until=KEYS[49])
    assert short.settle() == 0
    assert (gone(engine), noted(engine)) == ([], 5)
    later = Pass(engine, network_id)  # another process, after a kill
    assert later.run.is_resumed
    assert later.list(KEYS[50:]) == 5
    assert gone(engine) == KEYS[:5]


def test_what_is_told_or_listed_after_it_was_missed_is_not_gone(engine: Engine, network_id: int) -> None:
    Pass(engine, network_id).list(KEYS)
    short = Pass(engine, network_id)
    short.register(KEYS[5:])
    short.registrar.register_named([ListedObject(KEYS[1], '"1"', 1000)], [KEYS[2]])
    assert short.settle() == 3, "the one that was told to be gone was marked then"
    assert gone(engine) == [KEYS[0], *KEYS[2:5]]
    assert is_counted(engine)


def test_who_is_killed_between_two_transactions_of_marking_leaves_the_rest_to_the_next(
    engine: Engine, network_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (missing, settling):
        monkeypatch.setattr(module, "AT_ONCE", 4)
    Pass(engine, network_id).list(KEYS)
    short = Pass(engine, network_id)
    short.register(KEYS[18:])
    settling_parts: Iterator[Any] = short.registrar.settle()
    first = [next(settling_parts).deleted for _ in range(4)]
    assert first == [4, 4, 4, 4]
    assert short.row().listed_at is None
    later = Pass(engine, network_id)
    assert (later.run.id, later.shards()) == (short.run.id, [])
    assert later.settle() == 2, "a fifth of what was known in the beginning may be gone"
    assert later.row().listed_at is not None
    assert gone(engine) == KEYS[:18]
    assert is_counted(engine)


def test_a_refused_listing_stays_refused_where_who_settles_it_is_killed(
    engine: Engine, network_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (missing, settling, lister):
        monkeypatch.setattr(module, "AT_ONCE", 4)
    Pass(engine, network_id).list(KEYS)
    short = Pass(engine, network_id)
    short.register(KEYS[21:])
    settling_parts: Iterator[Any] = short.registrar.settle()
    assert [next(settling_parts).deleted for _ in range(3)] == [0, 0, 0]
    later = Pass(engine, network_id)
    assert later.settle() == 0
    assert not later.run.is_resumed
    assert short.row().listed_at is not None
    assert (gone(engine), short.row().gone_refused) == ([], 21)
    assert noted(engine) == 13
    with writing(engine) as connection:
        assert forget_missing(connection, limit=100) == 13
    assert is_counted(engine)


def test_of_two_who_settle_a_refused_listing_neither_marks_anything(
    engine: Engine, network_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (missing, settling, lister):
        monkeypatch.setattr(module, "AT_ONCE", 4)
    Pass(engine, network_id).list(KEYS)
    one = Pass(engine, network_id)
    one.register(KEYS[21:])
    other = Pass(engine, network_id)
    assert other.run.id == one.run.id
    settling_parts: Iterator[Any] = one.registrar.settle()
    for _ in range(3):
        next(settling_parts)
    assert other.settle() == 0
    assert sum(count.deleted for count in settling_parts) == 0
    assert (gone(engine), noted(engine), one.row().gone_refused) == ([], 0, 21)


def test_a_backlog_that_is_stopped_marks_no_more(
    engine: Engine, network_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (missing, settling):
        monkeypatch.setattr(module, "AT_ONCE", 4)
    Pass(engine, network_id).list(KEYS)
    short = Pass(engine, network_id)
    short.register(KEYS[18:])
    settling_parts: Iterator[Any] = short.registrar.settle()
    next(settling_parts)
    with writing(engine) as connection:
        assert stop_backlog(connection, short.run.id, "asked")
    with pytest.raises(BacklogStoppedError, match="was stopped"):
        next(settling_parts)
    assert gone(engine) == KEYS[:4]
    assert is_counted(engine)


def test_an_order_of_its_own_is_read_once_before_very_much_is_missing_and_queued_once(
    engine: Engine, network_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (missing, settling):
        monkeypatch.setattr(module, "AT_ONCE", 4)
    Pass(engine, network_id).list(KEYS)
    done: list[str] = []

    class Noted:
        def prepare(self, _transaction: Any) -> None:
            done.append("read")

        def queue(self, _connection: Any) -> int:
            done.append("queued")
            return 0

    short = Pass(engine, network_id, refresh=True)
    short.registrar = Registrar(Store(engine), short.run, ChunkLimits(), order=Noted(), gone=GoneRule(FIFTH))
    assert short.list(KEYS[18:]) == 18
    assert done == ["read", "queued"]
    assert is_counted(engine)


def test_what_a_stopped_backlog_has_noted_is_forgotten(engine: Engine, network_id: int) -> None:
    Pass(engine, network_id).list(KEYS)
    short = Pass(engine, network_id)
    short.register(KEYS[5:50], until=KEYS[49])
    with writing(engine) as connection:
        assert forget_missing(connection, limit=100) == 0
        connection.execute(update(runs).where(runs.c.id == short.run.id).values(stopped_at=text("CURRENT_TIMESTAMP")))
        assert forget_missing(connection, limit=100) == 5
    assert noted(engine) == 0


@pytest.mark.servers
def test_two_who_mark_the_same_as_gone_at_once_mark_and_count_each_once(
    make_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (missing, settling):
        monkeypatch.setattr(module, "AT_ONCE", 7)
    url = make_database("postgres")
    engines = [open_engine(url) for _ in range(2)]
    with writing(engines[0]) as connection:
        first, second = (register_network(connection, {"name": name}) for name in ("first", "second"))
    for network_id in (first, second):
        Pass(engines[0], network_id).list(KEYS)
    allow = GoneLimits(share=1.0)
    passes = [
        Pass(engine, network_id, limits=allow) for engine, network_id in zip(engines, (first, second), strict=True)
    ]
    for one in passes:
        one.register([])
    both, marked, errors = threading.Barrier(2), [], []

    def settle(one: Pass) -> None:
        try:
            both.wait(60)
            marked.append(one.settle())
        except Exception as error:  # noqa: BLE001  (it is looked at below)
            errors.append(error)

    threads = [threading.Thread(target=settle, args=[one]) for one in passes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []
    assert sum(marked) == 100
    assert gone(engines[0]) == KEYS
    assert is_counted(engines[0])
    for engine in engines:
        engine.dispose()


@pytest.mark.servers
def test_what_another_backlog_registers_while_it_is_about_to_be_marked_is_not_gone(
    make_database: Callable[..., str],
) -> None:
    engine = open_engine(make_database("postgres"))
    with writing(engine) as connection:
        first, second = (register_network(connection, {"name": name}) for name in ("first", "second"))
    Pass(engine, first).list(KEYS)
    short, other = Pass(engine, first), Pass(engine, second)
    short.register(KEYS[5:])
    marked: list[int] = []
    thread = threading.Thread(target=lambda: marked.append(short.settle()))
    with writing(engine) as connection:
        register_objects(connection, other.run.asked, [(KEYS[1], '"1"', 1000)], told=None, limits=ChunkLimits())
        thread.start()
        until_somebody_waits(engine)
    thread.join(60)
    assert marked == [4]
    assert gone(engine) == [KEYS[0], *KEYS[2:5]]
    assert noted(engine) == 0
    assert is_counted(engine)
    engine.dispose()


def until_somebody_waits(engine: Engine) -> None:
    """Return when a transaction of the database waits for a row that another one holds."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        with reading(engine) as connection:
            if connection.execute(waiting).scalar_one():
                return
        time.sleep(0.02)
    pytest.fail("nobody waits")
