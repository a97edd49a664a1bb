"""A worker in this process: messages in, rows out, on both databases."""

import queue
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import DatabaseError, OperationalError

from annotator.errors import ModelError, StoreUnavailableError
from annotator.store.connection import reading, writing
from annotator.store.queue.sessions import heartbeat
from annotator.store.queue.sweeping import sweep
from annotator.store.queue.work import Deadlines
from annotator.store.tables import (
    ChunkState,
    WorkState,
    annotations,
    chunks,
    contents,
    media,
    work,
    worker_sessions,
)
from annotator.types import MediaFailure, MediaRef
from tests.integration.workers.bench import TIMEOUT_S, Bench, in_background, wait_until
from workers.annotating.doubles import FakeAnnotator
from workers.annotating.engine import Outcome
from workers.annotating.results import StoreRows

MEDIA = 40


@pytest.fixture
def bench(engine: Engine) -> Iterator[Bench]:
    made = Bench(engine, keys=[f"{number}.gif" for number in range(1, MEDIA + 1)])
    yield made
    made.close()


IDS = tuple(range(1, MEDIA + 1))


def test_a_message_becomes_rows_and_a_second_one_changes_nothing(bench: Bench) -> None:
    annotator = FakeAnnotator()
    worker = bench.worker(annotator)
    worker.run_chunk(1, IDS)
    assert bench.states() == {WorkState.DONE: MEDIA}
    assert bench.count(annotations) == MEDIA
    assert worker.in_hand == 0
    worker.run_chunk(1, IDS)
    assert len(annotator.seen) == MEDIA
    assert bench.count(chunks) == 1, "the chunk of the message is forgotten, the other one is not"


def test_the_same_message_in_many_threads_is_done_once(bench: Bench) -> None:
    annotator = FakeAnnotator()
    worker = bench.worker(annotator)
    threads = [in_background(worker.run_chunk, 1, IDS) for _ in range(4)]
    for thread in threads:
        thread.join(TIMEOUT_S)
    assert bench.states() == {WorkState.DONE: MEDIA}
    assert len(annotator.seen) == MEDIA


def test_two_workers_share_the_work_and_double_nothing(bench: Bench) -> None:
    first, second = FakeAnnotator(), FakeAnnotator()
    threads = [in_background(bench.worker(one).run_chunk, 1, IDS) for one in (first, second)]
    for thread in threads:
        thread.join(TIMEOUT_S)
    assert len(first.seen) + len(second.seen) == MEDIA
    assert bench.states() == {WorkState.DONE: MEDIA}


def test_one_broken_media_fails_alone_with_its_reason(bench: Bench) -> None:
    uri = "s3://clips/7.gif"
    broken = MediaFailure(MediaRef("7.gif", uri, "1"), "fake@1", "undecodable", "It is no media.", is_transient=False)
    bench.worker(FakeAnnotator(scripted={uri: broken})).run_chunk(1, IDS)
    assert bench.states() == {WorkState.DONE: MEDIA - 1, WorkState.FAILED: 1}
    assert (bench.row(7).reason, bench.row(7).message) == ("undecodable", "It is no media.")


def test_passing_trouble_waits_in_the_database_and_not_in_the_worker(bench: Bench) -> None:
    uri = "s3://clips/7.gif"
    away = MediaFailure(MediaRef("7.gif", uri, "1"), "fake@1", "source_unavailable", "503", is_transient=True)
    bench.worker(FakeAnnotator(scripted={uri: away})).run_chunk(1, IDS)
    assert bench.row(7).state == WorkState.PENDING
    assert bench.row(7).not_before is not None
    with reading(bench.engine) as connection:
        waiting = connection.execute(select(chunks.c.media_ids).where(chunks.c.not_before.is_not(None)))
        assert [list(row.media_ids) for row in waiting] == [[7]]


def test_bytes_that_are_annotated_already_are_linked(bench: Bench) -> None:
    bench.worker(FakeAnnotator()).run_chunk(1, IDS)
    with writing(bench.engine) as connection:
        connection.execute(text("UPDATE work SET state = 0 WHERE media_id <= 5"))
        connection.execute(text("UPDATE media SET content_id = NULL WHERE id <= 5"))
    bench.worker(FakeAnnotator()).run_chunk(1, IDS)
    assert bench.states() == {WorkState.DONE: MEDIA}
    assert bench.count(contents) == MEDIA
    with reading(bench.engine) as connection:
        unlinked = select(func.count()).select_from(media).where(media.c.content_id.is_(None))
        assert connection.execute(unlinked).scalar_one() == 0


class RefusingRows(StoreRows):
    """Rows that the database refuses for one media."""

    def write(self, connection: Connection, outcomes: Sequence[Outcome], media_ids: Mapping[str, int]) -> None:
        super().write(connection, outcomes, media_ids)
        if any(one.media.media_id == "7.gif" for one in outcomes):
            connection.execute(text("INSERT INTO contents (id, sha256) VALUES (NULL, NULL)"))


@pytest.mark.usefixtures("caplog")
def test_one_row_that_the_database_refuses_harms_no_other(bench: Bench) -> None:
    rows = RefusingRows(network_id=bench.network_id, labelling_id=bench.labelling_id, identify=lambda _: [])
    bench.worker(FakeAnnotator(), rows=rows).run_chunk(1, IDS)
    assert bench.states() == {WorkState.DONE: MEDIA - 1, WorkState.FAILED: 1}
    assert bench.row(7).reason == "unstorable"
    assert bench.count(annotations) == MEDIA - 1


class LosingRows(StoreRows):
    """Loses every second transaction against another one, as after a deadlock."""

    writes = 0

    def write(self, connection: Connection, outcomes: Sequence[Outcome], media_ids: Mapping[str, int]) -> None:
        self.writes += 1
        if self.writes % 2:
            raise OperationalError("INSERT", {}, PostgresError("40P01"))
        super().write(connection, outcomes, media_ids)


class PostgresError(Exception):
    def __init__(self, pgcode: str) -> None:
        super().__init__(pgcode)
        self.pgcode = pgcode


def test_a_transaction_lost_against_another_one_is_no_fault_of_the_result(bench: Bench) -> None:
    rows = LosingRows(network_id=bench.network_id, labelling_id=bench.labelling_id, identify=lambda _: [])
    bench.worker(FakeAnnotator(), rows=rows).run_chunk(1, IDS)
    assert bench.states() == {WorkState.DONE: MEDIA}


class BrokenRows(StoreRows):
    """Refuses with the given code for a while, whatever is written."""

    code = ""
    refusals = 8

    def write(self, connection: Connection, outcomes: Sequence[Outcome], media_ids: Mapping[str, int]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise DatabaseError("INSERT", {}, PostgresError(self.code))
        super().write(connection, outcomes, media_ids)


# A right that is missing, a table that is missing, a damaged index, one deadlock after the other.
@pytest.mark.parametrize("code", ["42501", "42P01", "XX000", "40P01"])
def test_a_database_that_is_at_fault_costs_no_result(bench: Bench, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.annotating.writer._RETRY_EVERY_S", 0.01)
    rows = BrokenRows(network_id=bench.network_id, labelling_id=bench.labelling_id, identify=lambda _: [])
    rows.code = code
    bench.worker(FakeAnnotator(), rows=rows).run_chunk(1, IDS)
    assert bench.states() == {WorkState.DONE: MEDIA}


def test_a_worker_that_was_taken_for_dead_drops_all_and_starts_over(bench: Bench) -> None:
    worker = bench.worker(FakeAnnotator(media_s=0.2), heartbeat_s=0.2)
    running = in_background(worker.run_chunk, 1, IDS)
    while not worker.in_hand:
        pass
    with writing(bench.engine) as connection:
        connection.execute(text("UPDATE worker_sessions SET seen_at = '2001-01-01 00:00:00.000000'"))
        assert sweep(connection, session_timeout_s=45.0, max_tries=5).requeued > 0
    running.join(TIMEOUT_S)
    assert not running.is_alive(), "the message returns although nothing of it was finished"
    assert bench.count(worker_sessions) == 2
    with reading(bench.engine) as connection:
        suspects = select(func.count()).select_from(work).where(work.c.suspect)
        assert connection.execute(suspects).scalar_one() == 0, "the process lives: nobody is to blame"
    bench.worker(FakeAnnotator()).run_chunk(1, IDS)
    assert bench.states() == {WorkState.DONE: MEDIA}
    assert bench.count(annotations) == MEDIA


def test_a_chunk_goes_back_from_a_worker_that_does_not_know_yet_that_it_was_taken_for_dead(bench: Bench) -> None:
    worker = bench.worker(FakeAnnotator())
    with writing(bench.engine) as connection:
        connection.execute(text("UPDATE worker_sessions SET ended_at = '2001-01-01 00:00:00.000000'"))
        connection.execute(text("UPDATE chunks SET state = 1"))
    worker.run_chunk(1, IDS)
    assert bench.states() == {WorkState.PENDING: MEDIA}
    with reading(bench.engine) as connection:
        row = connection.execute(select(chunks).where(chunks.c.id == 1)).one()
    assert row.state == ChunkState.WAITING, "nobody would publish these media again"
    assert row.not_before is not None


def test_a_media_claimed_again_after_its_deadline_settles_both_claims(bench: Bench) -> None:
    annotator = FakeAnnotator(media_s=0.2)
    worker = bench.worker(annotator)
    threads = [in_background(worker.run_chunk, 1, IDS[:8])]
    wait_until(lambda: worker.in_hand == 8)
    with writing(bench.engine) as connection:
        connection.execute(text("UPDATE work SET deadline_at = '2001-01-01 00:00:00.000000' WHERE state = 1"))
        assert sweep(connection, session_timeout_s=45.0, max_tries=5).requeued >= 4
    threads.append(in_background(worker.run_chunk, 3, IDS[:8]))
    for thread in threads:
        thread.join(TIMEOUT_S)
        assert not thread.is_alive(), "its task thread waits for ever"
    assert worker.in_hand == 0
    assert bench.states() == {WorkState.DONE: 8, WorkState.PENDING: MEDIA - 8}
    assert len(annotator.seen) == 8, "what is in hand is not done twice"


def test_what_waits_for_its_turn_in_a_worker_that_gets_on_is_given_more_time(bench: Bench) -> None:
    worker = bench.worker(FakeAnnotator(media_s=0.1), heartbeat_s=0.05, deadlines=Deadlines({"gif": 1.0, "film": 2.0}))
    running = in_background(worker.run_chunk, 1, IDS)
    wait_until(lambda: worker.in_hand == MEDIA)
    first = bench.row(MEDIA)
    wait_until(lambda: (bench.row(MEDIA).deadline_at or first.deadline_at) > first.deadline_at)
    assert bench.row(MEDIA).attempts == first.attempts == 1
    running.join(TIMEOUT_S)
    assert bench.states() == {WorkState.DONE: MEDIA}


def test_suspects_run_alone(bench: Bench) -> None:
    with writing(bench.engine) as connection:
        connection.execute(text("UPDATE work SET suspect = true WHERE media_id IN (3, 4)"))
    seen: list[int] = []

    class Watching(FakeAnnotator):
        def _outcome(self, one: MediaRef, is_known: Any) -> Outcome:
            if one.media_id in {"3.gif", "4.gif"}:
                seen.append(bench.workers[0].in_hand)
            return super()._outcome(one, is_known)

    worker = bench.worker(Watching(media_s=0.01))
    threads = [in_background(worker.run_chunk, 1, ids) for ids in (IDS[:20], IDS[20:])]
    for thread in threads:
        thread.join(TIMEOUT_S)
    assert seen == [1, 1]
    assert bench.states() == {WorkState.DONE: MEDIA}


def test_a_message_of_nothing_but_suspects_is_done(bench: Bench) -> None:
    with writing(bench.engine) as connection:
        connection.execute(text("UPDATE work SET suspect = true"))
    bench.worker(FakeAnnotator()).run_chunk(1, IDS[:20])
    assert bench.states()[WorkState.DONE] == 20


def test_a_heart_that_stumbled_beats_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    beats: queue.Queue[int] = queue.Queue()

    def stumbling(connection: Connection, session_id: int, *, in_hand: int, **measured: Any) -> bool:
        beats.put(in_hand)
        if beats.qsize() == 1:
            raise RuntimeError("no room in the pool")
        return heartbeat(connection, session_id, in_hand=in_hand, **measured)

    monkeypatch.setattr("workers.annotating.session.heartbeat", stumbling)
    bench.worker(FakeAnnotator(), heartbeat_s=0.02)
    wait_until(lambda: beats.qsize() > 2)


def test_a_worker_taken_for_dead_goes_on_though_the_database_leaves_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise StoreUnavailableError("the database does not answer")

    monkeypatch.setattr("workers.annotating.worker.clear_suspicion", away)
    worker = bench.worker(FakeAnnotator(media_s=0.2), heartbeat_s=0.2)
    running = in_background(worker.run_chunk, 1, IDS[:4])
    wait_until(lambda: worker.in_hand == 4)
    with writing(bench.engine) as connection:
        sweep(connection, session_timeout_s=-60.0, max_tries=5)
    running.join(TIMEOUT_S)
    assert not running.is_alive(), "its task thread waits for ever"
    assert bench.states()[WorkState.DONE] >= 4


def test_a_drain_finishes_what_it_can_gives_back_the_rest_and_ends_the_session(bench: Bench) -> None:
    worker = bench.worker(FakeAnnotator(media_s=0.1), drain_s=1.5)
    running = in_background(worker.run_chunk, 1, IDS)
    while not worker.in_hand:
        pass
    worker.start_draining()
    worker.start_draining()
    running.join(TIMEOUT_S)
    assert worker.close()
    states = bench.states()
    assert states[WorkState.DONE] >= 3
    assert states[WorkState.PENDING] == MEDIA - states[WorkState.DONE]
    assert WorkState.CLAIMED not in states
    with reading(bench.engine) as connection:
        assert connection.execute(select(worker_sessions.c.ended_at)).scalar_one() is not None
        queued = connection.execute(select(chunks.c.media_ids).where(chunks.c.id > 2)).all()
        lost = connection.execute(select(func.sum(work.c.losses))).scalar_one()
    assert sum(len(row.media_ids) for row in queued) == states[WorkState.PENDING] == lost
    bench.worker(FakeAnnotator()).run_chunk(1, IDS)
    assert bench.states() == {WorkState.DONE: MEDIA}


def test_a_message_that_comes_while_it_drains_goes_back_to_the_feeder(bench: Bench) -> None:
    worker = bench.worker(FakeAnnotator())
    with writing(bench.engine) as connection:
        connection.execute(text("UPDATE chunks SET state = 1"))
    worker.start_draining()
    worker.run_chunk(1, IDS)
    assert bench.states() == {WorkState.PENDING: MEDIA}
    with reading(bench.engine) as connection:
        assert connection.execute(select(chunks.c.state).where(chunks.c.id == 1)).scalar_one() == 0


def test_a_fault_of_the_networks_gives_everything_back_and_is_told(bench: Bench) -> None:
    fault = ModelError("the weights fail their check")
    worker = bench.worker(FakeAnnotator(scripted={"s3://clips/7.gif": fault}), drain_s=3.0)
    worker.run_chunk(1, IDS)
    assert bench.fatal.get(timeout=TIMEOUT_S) is fault
    assert WorkState.CLAIMED not in bench.states()
    assert bench.row(7).state == WorkState.PENDING
    assert worker.is_draining


def test_films_have_a_longer_deadline(bench: Bench) -> None:
    with writing(bench.engine) as connection:
        connection.execute(text("UPDATE media SET key = 'film.mp4', size_bytes = 20000000 WHERE id = 1"))
    worker = bench.worker(FakeAnnotator(media_s=0.5), deadlines=Deadlines({"gif": 100.0, "film": 10_000.0}))
    running = in_background(worker.run_chunk, 1, [1])
    while not worker.in_hand:
        pass
    with reading(bench.engine) as connection:
        later = (
            "now() + interval '1 hour'" if bench.engine.dialect.name == "postgresql" else "datetime('now', '1 hour')"
        )
        is_film = connection.execute(text(f"SELECT deadline_at > {later} FROM work WHERE media_id = 1")).scalar_one()
    running.join(TIMEOUT_S)
    assert is_film
