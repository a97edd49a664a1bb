"""Films beside small media, breakdowns, hangs, and faults of our own: what a worker does, on both databases."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, select, text

from annotator.decoding import PipelineParams
from annotator.pipeline import Annotator
from annotator.recognition.crops import ALIGNED
from annotator.store.connection import reading, writing
from annotator.store.queue.sweeping import sweep
from annotator.store.queue.work import Deadlines
from annotator.store.tables import ChunkState, WorkState, chunks, worker_sessions
from annotator.types import (
    F32,
    U8,
    ClipReport,
    FaceDetections,
    FrameBatch,
    Identity,
    MediaRef,
    TrackEvidence,
    TrackLabel,
)
from tests.integration.workers.bench import TIMEOUT_S, Bench, in_background, wait_until
from workers.annotating.doubles import FakeAnnotator
from workers.annotating.engine import Outcome
from workers.annotating.worker import Worker

FILM_BYTES = 64 << 20


def film_and_gifs(engine: Engine, *, films: int, gifs: int) -> Bench:
    keys = [f"film-{number}.mp4" for number in range(films)] + [f"{number}.gif" for number in range(gifs)]
    return Bench(engine, keys=keys, sizes=[FILM_BYTES] * films + [1000] * gifs)


@pytest.fixture
def benches() -> Iterator[list[Bench]]:
    made: list[Bench] = []
    yield made
    for bench in made:
        bench.close()


def chunk_state(bench: Bench, chunk_id: int) -> tuple[int, bool] | None:
    """Return a chunk's state and whether it waits; None where it is forgotten."""
    with reading(bench.engine) as connection:
        row = connection.execute(select(chunks).where(chunks.c.id == chunk_id)).one_or_none()
    return None if row is None else (row.state, row.not_before is not None)


def publish_all(bench: Bench) -> None:
    with writing(bench.engine) as connection:
        connection.execute(text("UPDATE chunks SET state = 1"))


# ------------------------------------------------------------------------------------------------------------- films


@dataclass
class Frames:
    content_sha256: str
    batches: Callable[[], Iterator[FrameBatch]]
    report = ClipReport(32, 32, 100, 1, 1, None)

    def __iter__(self) -> Iterator[FrameBatch]:
        return self.batches()


class FilmSource:
    """Films last until they are told to end; everything else has one frame."""

    def __init__(self) -> None:
        self.ends = threading.Event()
        self.opened: list[str] = []

    def spec(self) -> dict[str, object]:
        return {}

    @contextmanager
    def open(self, media: MediaRef) -> Iterator[Frames]:
        self.opened.append(media.media_id)

        def batches() -> Iterator[FrameBatch]:
            number = 0
            while number == 0 or (media.media_id.startswith("film") and not self.ends.is_set()):
                index = np.array([number], np.int64)
                pictures = np.zeros((1, 32, 32, 3), np.uint8)
                yield FrameBatch(pictures, index, index * 100, index * 100, np.array([100], np.int64))
                number += 1

        yield Frames(f"{abs(hash(media.uri)):064x}"[-64:], batches)


class NobodyDetector:
    def spec(self) -> dict[str, object]:
        return {}

    def detect(self, frames: Sequence[U8]) -> list[FaceDetections]:
        return [FaceDetections.empty() for _ in frames]

    def detect_clips(self, clips: Sequence[Sequence[U8]]) -> list[list[FaceDetections]]:
        return [self.detect(frames) for frames in clips]


class NoEmbedder:
    network_id = "none"
    crop = ALIGNED

    def embed(self, faces: U8) -> F32:
        return np.ones((len(faces), 1), np.float32)


class NobodyIdentifier:
    model = "nobody@1"
    digest = "0"
    photographs: dict[Identity, int] = {}  # noqa: RUF012 - never changed

    def identify(self, tracks: Sequence[TrackEvidence]) -> list[TrackLabel]:
        return [TrackLabel("unknown", ()) for _ in tracks]


def real_pipeline(source: FilmSource, *, decoders: int) -> Annotator:
    return Annotator(
        source=source,
        detector=NobodyDetector(),
        embedder=NoEmbedder(),
        identifier=NobodyIdentifier(),
        params=PipelineParams(decoders=decoders, max_wait_s=0.05, max_batch_bytes=1, max_inbox_bytes=1 << 18),
    )


@pytest.mark.parametrize("decoders", [2, 3])
def test_gifs_of_a_later_message_finish_while_long_films_are_under_way(
    engine: Engine, benches: list[Bench], decoders: int
) -> None:
    source = FilmSource()
    bench = film_and_gifs(engine, films=3, gifs=10)
    benches.append(bench)
    worker = bench.worker(real_pipeline(source, decoders=decoders), max_films=decoders - 1)
    publish_all(bench)
    films = [in_background(worker.run_chunk, number, [number]) for number in range(1, 4)]
    wait_until(lambda: sum(name.startswith("film") for name in source.opened) == decoders - 1)
    gifs = in_background(worker.run_chunk, 4, range(4, 14))
    gifs.join(TIMEOUT_S)
    assert not gifs.is_alive(), "the small media wait behind the films"
    states = [row.state for row in bench.rows()]
    assert states[3:] == [WorkState.DONE] * 10
    assert states[:3].count(WorkState.CLAIMED) == decoders - 1, "the films are still under way"
    assert states[:3].count(WorkState.PENDING) == 3 - (decoders - 1), "a film without a place is not claimed"
    source.ends.set()
    for film in films:
        film.join(TIMEOUT_S)
        assert not film.is_alive()


def test_a_film_that_finds_no_place_goes_back_with_a_wait_and_costs_nothing(
    engine: Engine, benches: list[Bench]
) -> None:
    source = FilmSource()
    bench = film_and_gifs(engine, films=2, gifs=0)
    benches.append(bench)
    worker = bench.worker(real_pipeline(source, decoders=2))
    publish_all(bench)
    first = in_background(worker.run_chunk, 1, [1])
    wait_until(lambda: worker.in_hand == 1)
    worker.run_chunk(2, [2])
    assert chunk_state(bench, 2) == (ChunkState.WAITING, True)
    assert bench.row(2).attempts == 0
    source.ends.set()
    first.join(TIMEOUT_S)
    worker.run_chunk(2, [2])
    assert bench.states() == {WorkState.DONE: 2}


# --------------------------------------------------------------------------------------------- faults of the engine


class BreakingAnnotator(FakeAnnotator):
    """Breaks down over certain media, and remembers with whom they were under way."""

    def __init__(self, *uris: str) -> None:
        super().__init__(scripted={uri: ValueError("index out of range") for uri in uris})


def run_until_settled(worker: Worker, bench: Bench) -> None:
    """Publish what is due, as the feeder does, without waiting for the time."""
    for _ in range(200):
        with writing(bench.engine) as connection:
            connection.execute(text("UPDATE work SET not_before = NULL"))
            row = connection.execute(select(chunks).order_by(chunks.c.id).limit(1)).one_or_none()
        if row is None:
            return
        worker.run_chunk(row.id, row.media_ids)
    pytest.fail(f"it never ends: {bench.states()}")


def test_who_breaks_the_engine_is_named_and_the_innocent_succeed(engine: Engine, benches: list[Bench]) -> None:
    bench = film_and_gifs(engine, films=0, gifs=12)
    benches.append(bench)
    worker = bench.worker(BreakingAnnotator("s3://clips/3.gif", "s3://clips/8.gif"), max_tries=3)
    worker.run_chunk(1, range(1, 13))
    isolated = [row for row in bench.rows() if row.state == WorkState.PENDING]
    assert {4, 9} <= {row.media_id for row in isolated}, "3.gif and 8.gif"
    for row in isolated:
        assert row.suspect
        assert row.not_before is not None
        assert row.reason == "internal"
        assert row.attempts == row.losses, "together with others it costs nothing"
    run_until_settled(worker, bench)
    assert bench.states() == {WorkState.DONE: 10, WorkState.FAILED: 2}
    for media_id in (4, 9):
        row = bench.row(media_id)
        assert (row.state, row.reason) == (WorkState.FAILED, "internal")
        assert row.attempts - row.losses == 3, "each try alone counts"
    assert bench.fatal.empty(), "the media differ, but others were annotated in between"


def test_isolated_media_keep_to_their_wait(engine: Engine, benches: list[Bench]) -> None:
    bench = film_and_gifs(engine, films=0, gifs=2)
    benches.append(bench)
    annotator = BreakingAnnotator("s3://clips/0.gif")
    worker = bench.worker(annotator)
    worker.run_chunk(1, [1])
    worker.run_chunk(2, [1])
    assert annotator.seen == ["s3://clips/0.gif"]
    assert bench.row(1).attempts == 1


# ------------------------------------------------------------------------------------------------------------- hangs


class HangingAnnotator(FakeAnnotator):
    """Never returns from one media until the test lets go."""

    def __init__(self, uri: str) -> None:
        super().__init__()
        self._uri = uri
        self.let_go = threading.Event()

    def _outcome(self, one: MediaRef, is_known: Any) -> Outcome:
        if one.uri == self._uri:
            self.let_go.wait(TIMEOUT_S)
        return super()._outcome(one, is_known)


def test_a_network_that_never_returns_makes_the_worker_leave_and_blames_what_was_under_way(
    engine: Engine, benches: list[Bench]
) -> None:
    bench = film_and_gifs(engine, films=0, gifs=12)
    benches.append(bench)
    annotator = HangingAnnotator("s3://clips/2.gif")
    worker = bench.worker(annotator, heartbeat_s=0.05, deadlines=Deadlines({"gif": 1.0, "film": 60.0}), drain_s=1.0)
    running = in_background(worker.run_chunk, 1, range(1, 13))
    assert bench.hung.wait(TIMEOUT_S)
    running.join(TIMEOUT_S)
    assert not running.is_alive()
    assert worker.is_draining
    with reading(bench.engine) as connection:
        assert connection.execute(select(worker_sessions.c.ended_at)).scalar_one() is not None
    rows = {row.media_id: row for row in bench.rows()}
    assert rows[1].state == WorkState.DONE
    assert rows[3].state == WorkState.CLAIMED, "left to the sweeper, as after a death"
    assert rows[12].state == WorkState.PENDING, "what has not begun goes back"
    assert not rows[12].suspect
    with writing(bench.engine) as connection:
        sweep(connection, session_timeout_s=45.0, max_tries=5)
    assert bench.row(3).suspect
    assert bench.row(3).state == WorkState.PENDING
    annotator.let_go.set()


# ------------------------------------------------------------------------------------------------- faults of our own


def test_a_fault_in_a_task_gives_the_chunk_back_at_once_with_a_wait_and_frees_the_thread(
    engine: Engine, benches: list[Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = film_and_gifs(engine, films=0, gifs=5)
    benches.append(bench)
    worker = bench.worker(FakeAnnotator())
    publish_all(bench)

    def faulty(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a fault of ours")

    with monkeypatch.context() as patch:
        patch.setattr("workers.annotating.worker.claim", faulty)
        worker.run_chunk(1, range(1, 6))
    assert chunk_state(bench, 1) == (ChunkState.WAITING, True)
    worker.run_chunk(1, range(1, 6))
    assert bench.states() == {WorkState.DONE: 5}


def test_a_message_that_names_other_media_than_its_chunk_loses_none(engine: Engine, benches: list[Bench]) -> None:
    bench = film_and_gifs(engine, films=0, gifs=5)
    benches.append(bench)
    worker = bench.worker(FakeAnnotator())
    publish_all(bench)
    worker.run_chunk(1, [1, 2, 999_999_999_999])
    assert bench.states() == {WorkState.DONE: 2, WorkState.PENDING: 3}
    assert chunk_state(bench, 1) == (ChunkState.PUBLISHED, False), "found by the sweep for unclaimed chunks"


# ---------------------------------------------------------------------------------------------------------- suspects


def test_a_suspect_beside_a_film_comes_back_later_and_keeps_new_films_out(engine: Engine, benches: list[Bench]) -> None:
    source = FilmSource()
    bench = film_and_gifs(engine, films=2, gifs=2)
    benches.append(bench)
    with writing(bench.engine) as connection:
        connection.execute(text("UPDATE work SET suspect = true WHERE media_id = 3"))
    worker = bench.worker(real_pipeline(source, decoders=3), max_films=2)
    publish_all(bench)
    film = in_background(worker.run_chunk, 1, [1])
    wait_until(lambda: worker.in_hand == 1)
    worker.run_chunk(3, [3, 4])
    assert bench.row(3).state == WorkState.PENDING
    assert bench.row(4).state == WorkState.DONE, "who is beyond suspicion does not wait"
    assert chunk_state(bench, 3) == (ChunkState.WAITING, True)
    worker.run_chunk(2, [2])
    assert bench.row(2).state == WorkState.PENDING
    source.ends.set()
    film.join(TIMEOUT_S)
    worker.run_chunk(3, [3, 4])
    assert bench.row(3).state == WorkState.DONE


def test_a_message_that_was_taken_and_not_claimed_comes_back_when_its_worker_is_gone(
    engine: Engine, benches: list[Bench]
) -> None:
    bench = film_and_gifs(engine, films=0, gifs=5)
    benches.append(bench)
    worker = bench.worker(FakeAnnotator())
    publish_all(bench)

    def is_taken() -> bool:
        with reading(bench.engine) as connection:
            return connection.execute(select(chunks.c.session_id)).scalar_one() is not None

    with worker._gate.alone():  # as while a suspect runs
        running = in_background(worker.run_chunk, 1, range(1, 6))
        wait_until(is_taken)
        with writing(bench.engine) as connection:
            sweep(connection, session_timeout_s=45.0, max_tries=5)
        assert chunk_state(bench, 1) == (ChunkState.PUBLISHED, False), "its worker lives"
        with writing(bench.engine) as connection:
            sweep(connection, session_timeout_s=-60.0, max_tries=5)
        assert chunk_state(bench, 1) == (ChunkState.WAITING, False)
    running.join(TIMEOUT_S)
