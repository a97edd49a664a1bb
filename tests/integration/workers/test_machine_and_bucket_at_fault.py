"""A worker on a machine at fault, and one that may read nothing of a bucket: no backlog is lost by either."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, insert, select

from annotator.store.connection import reading, writing
from annotator.store.tables import ChunkState, WorkState, chunks, media, sources, work
from annotator.types import MediaFailure, MediaRef
from tests.integration.workers.bench import TIMEOUT_S, Bench, in_background, wait_until
from workers.annotating.doubles import FakeAnnotator
from workers.annotating.refusals import MOST_REFUSALS

GIFS = 60
CHUNK = 20
OTHERS = range(101, 106)


@pytest.fixture
def bench(engine: Engine) -> Iterator[Bench]:
    """Three chunks of twenty GIFs."""
    made = Bench(engine, keys=[f"{number}.gif" for number in range(1, GIFS + 1)])
    with writing(engine) as connection:
        connection.execute(chunks.update().values(state=ChunkState.PUBLISHED))
    yield made
    made.close()


def failing(reason: str, *, is_transient: bool, most: int = GIFS) -> FakeAnnotator:
    """Return one to which each of the first GIFs is a failure."""
    scripted: dict[str, Exception | MediaFailure] = {}
    for number in range(1, most + 1):
        one = MediaRef(f"{number}.gif", f"s3://clips/{number}.gif", "1")
        scripted[one.uri] = MediaFailure(one, "fake@1", reason, "why", is_transient=is_transient)
    return FakeAnnotator(scripted=scripted)


def ids_of(chunk: int) -> range:
    return range((chunk - 1) * CHUNK + 1, chunk * CHUNK + 1)


@pytest.mark.parametrize("reason", ["local_disk", "machine_limit", "decoder_killed", "device_memory"])
def test_a_machine_at_fault_takes_no_try_of_its_media_and_leaves_the_others_alone(bench: Bench, reason: str) -> None:
    worker = bench.worker(failing(reason, is_transient=True))
    threads = [in_background(worker.run_chunk, 1, ids_of(1))]
    wait_until(lambda: all(bench.row(media_id).reason == reason for media_id in ids_of(1)))
    threads.append(in_background(worker.run_chunk, 2, ids_of(2)))
    wait_until(lambda: chunk_of(bench, 2) == (ChunkState.WAITING, None))
    rows = bench.rows()
    for row in rows[:CHUNK]:
        assert (row.state, row.attempts - row.losses, row.free_tries) == (WorkState.PENDING, 0, 1)
        assert row.not_before is not None
    assert {row.attempts for row in rows[CHUNK:]} == {0}, "nothing more is claimed"
    assert all(thread.is_alive() for thread in threads), "they take no message either"
    worker.start_draining()
    for thread in threads:
        thread.join(TIMEOUT_S)
        assert not thread.is_alive(), "a rest holds up no drain"


def test_after_a_rest_one_media_of_each_message_is_tried_until_one_succeeds(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.annotating.machine.FIRST_REST_S", 0.0)
    annotator = failing("local_disk", is_transient=True, most=2 * CHUNK)
    worker = bench.worker(annotator)
    worker.run_chunk(1, ids_of(1))
    for chunk in (2, 3):
        worker.run_chunk(chunk, ids_of(chunk))
        assert len(annotator.seen) == CHUNK + chunk - 1
    assert [row.free_tries for row in bench.rows()] == [1] * (CHUNK + 1) + [0] * (2 * CHUNK - 1)
    for row in bench.rows()[CHUNK + 1 : 2 * CHUNK]:
        assert (row.state, row.attempts - row.losses, row.not_before) == (WorkState.PENDING, 0, None)
    assert bench.states() == {WorkState.PENDING: GIFS - 1, WorkState.DONE: 1}
    worker.run_chunk(0, ids_of(3))
    assert bench.states() == {WorkState.PENDING: 2 * CHUNK, WorkState.DONE: CHUNK}


def chunk_of(bench: Bench, chunk_id: int) -> tuple[int, object]:
    with reading(bench.engine) as connection:
        row = connection.execute(select(chunks).where(chunks.c.id == chunk_id)).one()
    return row.state, row.not_before


def add_others(bench: Bench) -> None:
    """Add pending media of another bucket."""
    with writing(bench.engine) as connection:
        connection.execute(insert(sources).values(id=2, uri="s3://others/"))
        rows = [{"id": number, "source_id": 2, "key": f"{number}.gif", "etag": "1"} for number in OTHERS]
        connection.execute(insert(media), rows)
        connection.execute(insert(work), [{"network_id": bench.network_id, "media_id": one} for one in OTHERS])


def test_a_forbidden_bucket_stops_no_worker_and_none_of_its_media_fails(bench: Bench) -> None:
    add_others(bench)
    annotator = failing("forbidden", is_transient=False)
    worker = bench.worker(annotator)
    worker.run_chunk(1, ids_of(1))
    assert len(annotator.seen) == MOST_REFUSALS == CHUNK
    worker.run_chunk(2, ids_of(2))
    worker.run_chunk(0, [*ids_of(3), *OTHERS])
    assert len(annotator.seen) == CHUNK + 1 + 1 + len(OTHERS), "of each message one media of the bucket is tried"
    assert bench.states() == {WorkState.PENDING: GIFS, WorkState.DONE: len(OTHERS)}
    for row in bench.rows()[:GIFS]:
        assert (row.reason, row.attempts - row.losses, row.free_tries) == ("bucket_refused", 0, 1)
        assert row.not_before is not None
    assert bench.fatal.empty()
    assert not worker.is_draining


def test_an_object_that_may_not_be_read_fails_where_its_neighbours_are_read(bench: Bench) -> None:
    one = MediaRef("2.gif", "s3://clips/2.gif", "1")
    forbidden = MediaFailure(one, "fake@1", "forbidden", "why", is_transient=False)
    worker = bench.worker(FakeAnnotator(scripted={one.uri: forbidden}))
    worker.run_chunk(1, ids_of(1))
    assert (bench.row(2).state, bench.row(2).reason) == (WorkState.FAILED, "forbidden")
    assert bench.states() == {WorkState.PENDING: GIFS - CHUNK, WorkState.DONE: CHUNK - 1, WorkState.FAILED: 1}
