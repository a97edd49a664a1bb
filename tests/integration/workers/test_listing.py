"""What a bucket's listing becomes: media, work, chunks, counts, and cursors that move with them."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, insert, select, text, update

from annotator.errors import BacklogTakenError, RegisteredMeanwhileError
from annotator.media.s3 import ListedObject
from annotator.store.backlog import missing, settling
from annotator.store.backlog.gone import KeyRange
from annotator.store.backlog.listing import (
    Run,
    Shard,
    Terms,
    Wish,
    begin_run,
    compare_objects,
    move_cursor,
    open_shards,
    split_shard,
)
from annotator.store.backlog.registration import ListingCount, register_objects
from annotator.store.backlog.settling import GoneLimits
from annotator.store.connection import open_engine, reading, writing
from annotator.store.queue.chunks import ChunkLimits, Piece
from annotator.store.queue.counts import recount
from annotator.store.queue.lanes import COST_SQL, LANE_SQL
from annotator.store.queue.sessions import open_session
from annotator.store.queue.work import Claim, Deadlines, Report, claim, finish
from annotator.store.registry import register_network
from annotator.store.store import Store
from annotator.store.tables import WorkState, chunks, media, runs, work
from workers.backlog.batches import Batch
from workers.backlog.lister import GoneRule, Registrar

SOURCE = "s3://clips/"


@pytest.fixture
def network_id(engine: Engine) -> int:
    with writing(engine) as connection:
        return register_network(connection, {"name": "fake"})


def listed(*names: str, etag: str = "1", size_bytes: int = 1000) -> list[ListedObject]:
    return [ListedObject(name, f'"{etag}"', size_bytes) for name in names]


def begun(engine: Engine, network_id: int, *, prefix: str = "a/", terms: Terms | None = None, **options: Any) -> Run:
    wish = Wish(network_id, SOURCE, prefix, options=options, terms=terms or Terms())
    with writing(engine) as connection:
        return begin_run(connection, wish)


def shards(engine: Engine, run: Run) -> list[Shard]:
    with reading(engine) as connection:
        return open_shards(connection, run.id)


def registered(
    engine: Engine,
    network_id: int,
    objects: Sequence[ListedObject],
    *,
    is_last: bool = True,
    prefix: str = "a/",
    is_meant: Callable[[str], bool] | None = None,
    terms: Terms | None = None,
    gone: GoneLimits | None = None,
    **options: Any,
) -> ListingCount:
    """Register some pages, as a producer with one shard does it."""
    run = begun(engine, network_id, prefix=prefix, terms=terms, **options)
    (shard,) = shards(engine, run)
    last_key = objects[-1].key if objects else shard.cursor
    told = KeyRange(prefix, shard.cursor, None if is_last else last_key, is_meant)
    registrar = Registrar(Store(engine), run, ChunkLimits(media=2), gone=GoneRule(gone or GoneLimits(), is_meant))
    batch = Batch(objects, last_key, 1, is_end=is_last, told=told)
    _, count = registrar.register(shard, batch)
    for part in registrar.settle():
        count.add(part)
    return count


def is_counted(engine: Engine) -> bool:
    """Whether the counters say what the rows say."""
    with writing(engine) as connection:
        return recount(connection) == []


def test_new_objects_become_media_work_and_bounded_chunks(engine: Engine, network_id: int) -> None:
    names = ("a/1.gif", "a/tab\t\\and\nline.gif", "a/ü.gif")
    count = registered(engine, network_id, listed(*names))
    assert (count.listed, count.new, count.changed, count.queued, count.chunks) == (3, 3, 0, 3, 2)
    with reading(engine) as connection:
        rows = connection.execute(select(media).order_by(media.c.id)).all()
        assert [row.key for row in rows] == list(names)
        assert [len(row.media_ids) for row in connection.execute(select(chunks).order_by(chunks.c.id))] == [2, 1]
        assert connection.execute(select(work.c.state)).scalars().all() == [0, 0, 0]
        assert connection.execute(select(runs.c.listed_at)).scalar_one() is not None


def test_listing_again_queues_nothing_and_writes_no_row(engine: Engine, network_id: int) -> None:
    registered(engine, network_id, listed("a/1.gif", "a/2.gif"))
    count = registered(engine, network_id, listed("a/1.gif", "a/2.gif"))
    assert (count.new, count.changed, count.queued, count.chunks, count.deleted) == (0, 0, 0, 0, 0)


def test_a_changed_object_is_queued_again_and_who_has_it_in_hand_is_fenced_out(engine: Engine, network_id: int) -> None:
    registered(engine, network_id, listed("a/1.gif"))
    with writing(engine) as connection:
        session = open_session(connection, worker="host:1")
        (media_id,) = connection.execute(select(media.c.id)).scalars()
        (held,) = claim(
            connection, network_id=network_id, media_ids=[media_id], session_id=session, deadlines=Deadlines()
        )
    count = registered(engine, network_id, listed("a/1.gif", etag="2"))
    assert (count.new, count.changed, count.queued) == (0, 1, 1)
    with writing(engine) as connection:
        assert finish(connection, network_id=network_id, reports=[Report(held, WorkState.DONE)]) == set()
        (again,) = claim(
            connection, network_id=network_id, media_ids=[media_id], session_id=session, deadlines=Deadlines()
        )
        assert again.media.etag == '"2"'
        assert again.tries == 1


def test_tries_that_cost_nothing_are_counted_from_when_a_media_was_asked_for(engine: Engine, network_id: int) -> None:
    registered(engine, network_id, listed("a/1.gif"))
    with writing(engine) as connection:
        session = open_session(connection, worker="host:1")
        (media_id,) = connection.execute(select(media.c.id)).scalars()

    def claimed() -> Claim:
        with writing(engine) as connection:
            (one,) = claim(
                connection, network_id=network_id, media_ids=[media_id], session_id=session, deadlines=Deadlines()
            )
        return one

    def reported(report: Report) -> None:
        with writing(engine) as connection:
            assert finish(connection, network_id=network_id, reports=[report]) == {media_id}

    for etag in range(2, 150):
        registered(engine, network_id, listed("a/1.gif", etag=str(etag)))
    reported(Report(claimed(), WorkState.PENDING, gives_back=True))
    for earlier in range(3):
        held = claimed()
        assert (held.free_tries, held.tries) == (earlier, 1)
        reported(Report(held, WorkState.PENDING, reason="source_unavailable", costs_no_try=True))
    former = claimed()
    registered(engine, network_id, listed("a/1.gif", etag="150"))
    held = claimed()
    assert held.free_tries == 0
    assert held.attempts > former.attempts, "it fences out who had it before, in the same session"
    reported(Report(held, WorkState.PENDING, reason="source_unavailable", costs_no_try=True))
    reported(Report(claimed(), WorkState.FAILED, reason="source_unavailable"))
    assert Store(engine).retry(network_id=network_id) == 1
    assert claimed().free_tries == 0


def test_a_media_that_has_changed_for_a_lifetime_is_claimed_and_queued_on(engine: Engine, network_id: int) -> None:
    registered(engine, network_id, listed("a/1.gif", "a/2.gif"))
    with writing(engine) as connection:
        session = open_session(connection, worker="host:1")
        ids = connection.execute(select(media.c.id).order_by(media.c.id)).scalars().all()
        connection.execute(update(work).values(attempts=32_767, losses=32_765))
        held = claim(connection, network_id=network_id, media_ids=ids, session_id=session, deadlines=Deadlines())
        assert [one.tries for one in held] == [3, 3], "what was tried counts on"
        connection.execute(update(work).where(work.c.media_id == ids[0]).values(attempts=32_767, losses=32_767))
    count = registered(engine, network_id, listed("a/1.gif", "a/2.gif", etag="2"))
    assert count.queued == 2
    with writing(engine) as connection:
        assert finish(connection, network_id=network_id, reports=[Report(one, WorkState.DONE) for one in held]) == set()
        again = claim(connection, network_id=network_id, media_ids=ids, session_id=session, deadlines=Deadlines())
        assert [one.tries for one in again] == [1, 1]
        assert finish(connection, network_id=network_id, reports=[Report(again[0], WorkState.DONE)]) == {ids[0]}
        assert finish(connection, network_id=network_id, reports=[Report(held[0], WorkState.DONE)]) == set()


@pytest.mark.parametrize("is_meant", [None, lambda key: not key.endswith("7.gif")])
def test_however_many_are_gone_they_are_taken_in_slices(
    engine: Engine, network_id: int, monkeypatch: pytest.MonkeyPatch, is_meant: Callable[[str], bool] | None
) -> None:
    monkeypatch.setattr(missing, "AT_ONCE", 4)
    monkeypatch.setattr(settling, "AT_ONCE", 4)
    names = [f"a/{number:02}.gif" for number in range(30)]
    registered(engine, network_id, listed(*names))
    most = 0

    @event.listens_for(engine, "after_cursor_execute")
    def _look(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        nonlocal most
        if statement.startswith("UPDATE media SET deleted_at"):
            ids = parameters.get("ids") if isinstance(parameters, dict) else parameters[0]
            most = max(most, len(json.loads(ids) if isinstance(ids, str) else ids))

    count = registered(engine, network_id, listed("a/05.gif"), is_meant=is_meant, refresh=True)
    event.remove(engine, "after_cursor_execute", _look)
    assert count.deleted == (29 if is_meant is None else 26)
    assert 0 < most <= 4
    with reading(engine) as connection:
        left = connection.execute(select(media.c.key).where(media.c.deleted_at.is_(None)).order_by(media.c.key))
        kept = ["a/05.gif"] if is_meant is None else ["a/05.gif", "a/07.gif", "a/17.gif", "a/27.gif"]
        assert left.scalars().all() == kept
    assert is_counted(engine)


def test_another_network_gets_work_for_unchanged_media(engine: Engine, network_id: int) -> None:
    registered(engine, network_id, listed("a/1.gif", "a/2.gif"))
    with writing(engine) as connection:
        other = register_network(connection, {"name": "other"})
    count = registered(engine, other, listed("a/1.gif", "a/2.gif"))
    assert (count.new, count.changed, count.queued) == (0, 0, 2)


def test_a_listing_that_was_stopped_goes_on_behind_its_last_key(engine: Engine, network_id: int) -> None:
    registered(engine, network_id, listed("a/1.gif", "a/2.gif"), is_last=False)
    run = begun(engine, network_id)
    assert run.is_resumed
    assert [shard.cursor for shard in shards(engine, run)] == ["a/2.gif"]
    registered(engine, network_id, listed("a/3.gif"))
    again = begun(engine, network_id)
    assert not again.is_resumed
    assert [shard.cursor for shard in shards(engine, again)] == [""]


def test_objects_that_are_gone_are_marked_and_what_was_done_of_them_comes_back_without_new_work(
    engine: Engine, network_id: int
) -> None:
    registered(engine, network_id, listed("b/0.gif"), prefix="b/")
    registered(engine, network_id, listed("a/1.gif", "a/2.gif", "a/3.gif"))
    with writing(engine) as connection:
        (done,) = connection.execute(select(media.c.id).where(media.c.key == "a/2.gif")).scalars()
        connection.execute(update(work).where(work.c.media_id == done).values(state=int(WorkState.DONE)))
        recount(connection)
    assert registered(engine, network_id, listed("a/1.gif")).deleted == 2

    def gone() -> list[str]:
        with reading(engine) as connection:
            return list(connection.execute(select(media.c.key).where(media.c.deleted_at.is_not(None))).scalars())

    assert sorted(gone()) == ["a/2.gif", "a/3.gif"]
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).select_from(work)).scalar_one() == 3
    assert is_counted(engine)
    count = registered(engine, network_id, listed("a/1.gif", "a/2.gif", "a/3.gif"))
    assert (count.new, count.changed, count.queued) == (0, 0, 1)
    assert gone() == []
    assert is_counted(engine)


def test_a_changed_object_is_asked_for_anew_by_every_network(engine: Engine, network_id: int) -> None:
    registered(engine, network_id, listed("a/1.gif"))
    with writing(engine) as connection:
        other = register_network(connection, {"name": "other"})
    registered(engine, other, listed("a/1.gif"))
    with writing(engine) as connection:
        connection.execute(update(work).values(state=int(WorkState.DONE)))
        recount(connection)
    assert registered(engine, network_id, listed("a/1.gif", etag="2")).queued == 1
    assert registered(engine, other, listed("a/1.gif", etag="2")).queued == 1
    assert is_counted(engine)


def test_an_empty_prefix_is_the_end_of_a_listing(engine: Engine, network_id: int) -> None:
    assert registered(engine, network_id, []).listed == 0


def test_of_two_producers_that_list_the_same_stretch_one_is_refused(engine: Engine, network_id: int) -> None:
    run = begun(engine, network_id)
    (shard,) = shards(engine, run)
    with writing(engine) as connection:
        move_cursor(connection, shard, "a/5.gif", pages=1, count=ListingCount(5))

    def register_late() -> None:
        with writing(engine) as connection:
            count = register_objects(connection, run.asked, listed("a/1.gif"), told=None, limits=ChunkLimits())
            move_cursor(connection, shard, "a/1.gif", pages=1, count=count)

    with pytest.raises(BacklogTakenError):
        register_late()
    with pytest.raises(BacklogTakenError), writing(engine) as connection:
        split_shard(connection, shard, ["a/3.gif"])
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).select_from(media)).scalar_one() == 0
    assert [one.cursor for one in shards(engine, run)] == ["a/5.gif"]


@pytest.mark.servers
def test_what_another_transaction_registers_between_two_looks_is_not_passed_over(
    make_database: Callable[..., str],
) -> None:
    engine = open_engine(make_database("postgres"))
    with writing(engine) as connection:
        first, second = (register_network(connection, {"name": name}) for name in ("first", "second"))
    ahead, late = begun(engine, first), begun(engine, second)
    objects = listed("a/1.gif", "a/2.gif")

    overtaken: list[str] = []

    def overtake(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("WITH fresh") and not overtaken:
            overtaken.append(statement)
            with writing(engine) as connection:
                register_objects(connection, ahead.asked, objects, told=None, limits=ChunkLimits())

    def register() -> ListingCount:
        with writing(engine) as connection:
            return register_objects(connection, late.asked, objects, told=None, limits=ChunkLimits())

    event.listen(engine, "before_cursor_execute", overtake)
    with pytest.raises(RegisteredMeanwhileError):
        register()
    assert register().queued == 2
    assert is_counted(engine)
    engine.dispose()


def test_other_options_are_another_backlog_and_terms_are_not(engine: Engine, network_id: int) -> None:
    first = begun(engine, network_id)
    assert begun(engine, network_id, include=["*.gif"]).id != first.id
    again = begun(engine, network_id, terms=Terms(priority=7))
    assert (again.id, again.asked.priority, again.is_resumed) == (first.id, 7, True)


def test_a_backlog_of_another_network_or_a_stopped_one_is_not_gone_on_with(engine: Engine, network_id: int) -> None:
    first = begun(engine, network_id)
    with writing(engine) as connection:
        other = register_network(connection, {"name": "other"})
    assert begun(engine, other).id != first.id
    with writing(engine) as connection:
        connection.execute(update(runs).values(stopped_at=func.now()))
    assert not begun(engine, network_id).is_resumed


def test_chunks_hold_no_more_than_their_limits_but_for_the_last_piece(engine: Engine, network_id: int) -> None:
    sizes = [(number * 7919) % (40 << 20) for number in range(3000)]
    objects = [ListedObject(f"a/{number:05}.gif", '"1"', size) for number, size in enumerate(sizes)]
    limits = ChunkLimits(media=32, size_bytes=64 << 20, cost_ms=5000)
    run = begun(engine, network_id)
    with writing(engine) as connection:
        count = register_objects(connection, run.asked, objects, told=None, limits=limits)
        assert count.queued == 3000
        by_id = {row.id: Piece(row.id, row.key, row.size_bytes) for row in connection.execute(select(media))}
        rows = connection.execute(select(chunks).order_by(chunks.c.id)).all()
    assert count.chunks == len(rows)
    for row in rows:
        pieces = [by_id[one] for one in row.media_ids]
        assert {piece.lane for piece in pieces} == {row.lane}
        assert row.cost_ms == sum(piece.cost_ms for piece in pieces)
        assert len(pieces) == 1 or row.lane == "gif"
        assert len(pieces) <= limits.media
        assert sum(piece.size_bytes or 0 for piece in pieces[:-1]) < limits.size_bytes
        assert sum(piece.cost_ms for piece in pieces[:-1]) < limits.cost_ms
    full = sum(len(row.media_ids) for row in rows if row.lane == "gif") / sum(row.lane == "gif" for row in rows)
    assert full >= 2.5  # of at most 4 by their bytes
    assert is_counted(engine)


def test_comparing_tells_new_and_changed_and_writes_nothing(engine: Engine, network_id: int) -> None:
    registered(engine, network_id, listed("a/1.gif", "a/2.gif"))
    with reading(engine) as connection:
        objects = [*listed("a/1.gif"), *listed("a/2.gif", etag="2"), *listed("a/3.gif")]
        new, changed = compare_objects(connection, SOURCE, objects)
        assert ([one[0] for one in new], [one[0] for one in changed]) == (["a/3.gif"], ["a/2.gif"])
        new, changed = compare_objects(connection, "s3://elsewhere/", objects)
        assert (len(new), len(changed)) == (3, 0)


def test_thousands_of_objects_fit_a_transaction(engine: Engine, network_id: int) -> None:
    run = begun(engine, network_id)
    names = [f"a/{number:05}.gif" for number in range(10_000)]
    with writing(engine) as connection:
        count = register_objects(connection, run.asked, listed(*names), told=None, limits=ChunkLimits())
    assert count.queued == 10_000
    assert count.chunks == 157
    with reading(engine) as connection:
        ids = [one for row in connection.execute(select(chunks).order_by(chunks.c.id)) for one in row.media_ids]
        assert len(ids) == len(set(ids)) == 10_000
    assert is_counted(engine)


def test_sql_and_python_agree_on_lane_and_cost(engine: Engine) -> None:
    suffixes = ["gif", "mp4", "MP4", "mKv", "m\u212av", "webm", "ts", "", "gif.mp4", "mp4.gif", "av\u0130", "mpeg"]
    sizes = [None, 0, 1, 26_213, 26_215, (8 << 20) - 1, 8 << 20, (32 << 20) - 1, 32 << 20, 33 << 20, 5 << 40]
    keys = [f"{name}.{suffix}" for name in ("a", "a/b.d", "\u00e4/\u65e5", ".") for suffix in suffixes]
    rows = [(key, size) for key in [*keys, "mp4", "a/mp4", ".mp4", "a.mp4/b"] for size in sizes]
    with writing(engine) as connection:
        values = [
            {"source_id": 1, "key": f"{number:04}/{key}", "size_bytes": size} for number, (key, size) in enumerate(rows)
        ]
        connection.execute(insert(media), values)
        statement = text(f"SELECT key, size_bytes, {LANE_SQL} AS lane, {COST_SQL} AS cost_ms FROM media")
        said = connection.execute(statement).all()
    assert len(said) == len(rows)
    for row in said:
        piece = Piece(0, row.key, row.size_bytes)
        assert (row.key, row.size_bytes, row.lane, row.cost_ms) == (row.key, row.size_bytes, piece.lane, piece.cost_ms)
