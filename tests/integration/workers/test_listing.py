"""What a bucket's listing becomes: media, work, chunks, and a cursor that moves with them."""

from collections.abc import Sequence

import pytest
from sqlalchemy import Engine, select

from annotator.media.s3 import ListedObject
from annotator.store.chunks import ChunkLimits
from annotator.store.connection import reading, writing
from annotator.store.listing import ListingCount, begin_run, compare_objects, register_objects
from annotator.store.registry import register_network
from annotator.store.tables import WorkState, chunks, media, runs, work
from annotator.store.work import Deadlines, Report, claim, finish, open_session

SOURCE = "s3://clips/"


@pytest.fixture
def network_id(engine: Engine) -> int:
    with writing(engine) as connection:
        return register_network(connection, {"name": "fake"})


def listed(*names: str, etag: str = "1") -> list[ListedObject]:
    return [ListedObject(name, f'"{etag}"', 1000) for name in names]


def registered(
    engine: Engine, network_id: int, objects: Sequence[ListedObject], *, is_last: bool = True, prefix: str = "a/"
) -> ListingCount:
    with writing(engine) as connection:
        run = begin_run(connection, network_id=network_id, source_uri=SOURCE, prefix=prefix)
        return register_objects(connection, run, objects, is_last=is_last, limits=ChunkLimits(media=2))


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


def test_another_network_gets_work_for_unchanged_media(engine: Engine, network_id: int) -> None:
    registered(engine, network_id, listed("a/1.gif", "a/2.gif"))
    with writing(engine) as connection:
        other = register_network(connection, {"name": "other"})
    count = registered(engine, other, listed("a/1.gif", "a/2.gif"))
    assert (count.new, count.changed, count.queued) == (0, 0, 2)


def test_a_listing_that_was_stopped_goes_on_behind_its_last_key(engine: Engine, network_id: int) -> None:
    registered(engine, network_id, listed("a/1.gif", "a/2.gif"), is_last=False)
    with writing(engine) as connection:
        run = begin_run(connection, network_id=network_id, source_uri=SOURCE, prefix="a/")
    assert run.is_resumed
    assert run.after_key == "a/2.gif"
    registered(engine, network_id, listed("a/3.gif"))
    with writing(engine) as connection:
        assert begin_run(connection, network_id=network_id, source_uri=SOURCE, prefix="a/").after_key == ""


def test_objects_that_are_gone_are_marked_and_come_back_without_new_work(engine: Engine, network_id: int) -> None:
    registered(engine, network_id, listed("b/0.gif"), prefix="b/")
    registered(engine, network_id, listed("a/1.gif", "a/2.gif", "a/3.gif"))
    assert registered(engine, network_id, listed("a/1.gif")).deleted == 2

    def gone() -> list[str]:
        with reading(engine) as connection:
            return list(connection.execute(select(media.c.key).where(media.c.deleted_at.is_not(None))).scalars())

    assert sorted(gone()) == ["a/2.gif", "a/3.gif"]
    count = registered(engine, network_id, listed("a/1.gif", "a/2.gif", "a/3.gif"))
    assert (count.new, count.changed, count.queued) == (0, 0, 0)
    assert gone() == []


def test_an_empty_prefix_is_the_end_of_a_listing(engine: Engine, network_id: int) -> None:
    assert registered(engine, network_id, []).listed == 0


def test_comparing_tells_new_and_changed_and_writes_nothing(engine: Engine, network_id: int) -> None:
    registered(engine, network_id, listed("a/1.gif", "a/2.gif"))
    with reading(engine) as connection:
        objects = [*listed("a/1.gif"), *listed("a/2.gif", etag="2"), *listed("a/3.gif")]
        assert compare_objects(connection, SOURCE, objects) == (1, 1)
        assert compare_objects(connection, "s3://elsewhere/", objects) == (3, 0)


def test_thousands_of_objects_fit_a_transaction(engine: Engine, network_id: int) -> None:
    names = [f"a/{number:05}.gif" for number in range(10_000)]
    with writing(engine) as connection:
        run = begin_run(connection, network_id=network_id, source_uri=SOURCE, prefix="a/")
        count = register_objects(connection, run, listed(*names), is_last=True, limits=ChunkLimits())
    assert count.queued == 10_000
    assert count.chunks == 157
