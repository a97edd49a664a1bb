"""What is to be told of a media is written in the transaction of its result, and of nothing else."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event, insert, select, text

from annotator.store.columns import utc_now
from annotator.store.connection import reading, writing
from annotator.store.queue.outbox import ReceiverMemory
from annotator.store.queue.sessions import open_session
from annotator.store.queue.sweeping import sweep
from annotator.store.queue.work import Claim, Deadlines, Report, claim, finish
from annotator.store.store import Store
from annotator.store.tables import WorkState, media, outbox, runs, sources, work
from tests.store_values import ADA, BEN, annotation, failure, known, track, unknown
from workers.annotating.results import StoreRows

TOLD, SILENT = 1, 2


class Bench:
    """Media 1 and 2 belong to a backlog that has a receiver, 3 to one that has none, 4 to none."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        store = Store(engine)
        self.network_id = store.register_network({"name": "fake"})
        labelling_id = store.register_labelling(
            self.network_id, model="test@1", digest="0", photographs={ADA: 1, BEN: 1}
        )
        self.rows = StoreRows(network_id=self.network_id, labelling_id=labelling_id, identify=lambda _: [])
        with writing(engine) as connection:
            connection.execute(insert(sources).values(id=1, uri="s3://gifs/"))
            for run_id, url in ((TOLD, "https://hooks.example.com/"), (SILENT, None)):
                row = {"id": run_id, "network_id": self.network_id, "source_id": 1, "prefix": "", "options": {}}
                connection.execute(insert(runs).values(started_at=utc_now(), callback_url=url, **row))
            for number, run_id in enumerate((TOLD, TOLD, SILENT, None), start=1):
                connection.execute(insert(media).values(id=number, source_id=1, key=f"{number}.gif", etag="1"))
                connection.execute(insert(work).values(network_id=self.network_id, media_id=number, run_id=run_id))
            self.session_id = open_session(connection, worker="host:1")

    def claim(self, *ids: int) -> list[Claim]:
        with writing(self.engine) as connection:
            return claim(
                connection,
                network_id=self.network_id,
                media_ids=ids,
                session_id=self.session_id,
                deadlines=Deadlines(),
                suspects=False,
            )

    def settle(self, *reports: Report, outcomes: Any = ()) -> None:
        with writing(self.engine) as connection:
            counted = finish(connection, network_id=self.network_id, reports=reports)
            if outcomes:
                ids = {report.claim.media.uri: report.claim.media_id for report in reports}
                self.rows.write(connection, list(outcomes), ids)
            self.rows.tell(connection, [one for one in reports if one.claim.media_id in counted])

    def told(self) -> list[dict[str, Any]]:
        with reading(self.engine) as connection:
            return list(connection.execute(select(outbox.c.payload).order_by(outbox.c.id)).scalars())


@pytest.fixture
def bench(engine: Engine) -> Bench:
    return Bench(engine)


def done(one: Claim) -> Report:
    return Report(one, WorkState.DONE)


def test_who_is_in_a_media_is_told_to_the_receiver_of_its_backlog(bench: Bench) -> None:
    claims = bench.claim(1, 2, 3, 4)
    first = annotation(
        claims[0].media, tracks=[track(0), track(1, start_ms=500)], labels=[known(ADA), known(BEN, confidence=0.99)]
    )
    others = [
        annotation(one.media, content=number, tracks=[track(0)], labels=[unknown(ADA)], damage="it ends early")
        for number, one in enumerate(claims[1:], start=2)
    ]
    bench.settle(*(done(one) for one in claims), outcomes=[first, *others])
    one, two = bench.told()
    assert [label.pop("confidence") for label in one["labels"]] == pytest.approx([0.99, 0.97], abs=0.01)
    assert one == {
        "event": "media.annotated",
        "idempotency_key": f"media-{TOLD}-{bench.network_id}-1-{bench.session_id}-1",
        "media_uri": "s3://gifs/1.gif",
        "status": "annotated",
        "reason": None,
        "message": None,
        "model": "test@1",
        "labels": [
            {"identity": "Bén Brown", "kg_mid": None, "start_ms": 500, "end_ms": 800, "screen_time_ms": 300},
            {"identity": "Ada Lovelace", "kg_mid": "/m/0ada", "start_ms": 0, "end_ms": 300, "screen_time_ms": 300},
        ],
        "backlog": {"id": TOLD, "uri": "s3://gifs/"},
    }
    assert (two["status"], two["labels"]) == ("damaged", [])


def test_a_failure_is_told_with_its_reason_and_a_retry_is_not(bench: Bench) -> None:
    one, two = bench.claim(1, 2)
    failed = failure(one.media)
    bench.settle(
        Report(one, WorkState.FAILED, reason=failed.reason, message=failed.message),
        Report(two, WorkState.PENDING, reason="source_unavailable", delay_s=5.0),
    )
    (told,) = bench.told()
    assert (told["event"], told["status"], told["reason"]) == ("media.failed", "failed", "undecodable")
    assert told["message"] == "It is no media."
    assert told["labels"] == []


def test_a_late_report_tells_nothing(bench: Bench) -> None:
    (late,) = bench.claim(1)
    with writing(bench.engine) as connection:
        connection.execute(text("UPDATE work SET attempts = attempts + 1"))
    bench.settle(done(late))
    assert bench.told() == []


@pytest.mark.parametrize("by_another_worker", [False, True])
def test_another_try_of_the_same_media_has_another_key(bench: Bench, *, by_another_worker: bool) -> None:
    (first,) = bench.claim(1)
    bench.settle(Report(first, WorkState.FAILED, reason="undecodable"))
    Store(bench.engine).retry(network_id=bench.network_id)
    if by_another_worker:
        with writing(bench.engine) as connection:
            bench.session_id = open_session(connection, worker="host:2")
    (second,) = bench.claim(1)
    assert first.tries == second.tries, "they are counted anew"
    bench.settle(Report(second, WorkState.FAILED, reason="undecodable"))
    first_told, second_told = bench.told()
    assert first_told["idempotency_key"] != second_told["idempotency_key"]


def test_what_the_sweeper_gives_up_is_told_too(bench: Bench) -> None:
    bench.claim(1, 3)
    with writing(bench.engine) as connection:
        connection.execute(text("UPDATE work SET deadline_at = '2001-01-01 00:00:00.000000' WHERE state = 1"))
        assert sweep(connection, session_timeout_s=45.0, max_tries=1).settled == 2
    (told,) = bench.told()
    assert (told["media_uri"], told["reason"], told["model"]) == ("s3://gifs/1.gif", "deadline", None)


@pytest.fixture
def statements(engine: Engine) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def test_backlogs_without_a_receiver_cost_one_question(bench: Bench, statements: list[str]) -> None:
    (one,) = bench.claim(3)
    statements.clear()
    with writing(bench.engine) as connection:
        for _ in range(5):
            bench.rows.tell(connection, [done(one)])
    assert len([statement for statement in statements if "callback_url" in statement]) == 1
    (unasked,) = bench.claim(4)
    statements.clear()
    with writing(bench.engine) as connection:
        bench.rows.tell(connection, [done(unasked)])
    assert [statement for statement in statements if "SELECT" in statement] == []


def test_a_receiver_that_comes_later_is_found_after_a_while(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = ReceiverMemory()
    with writing(bench.engine) as connection:
        assert memory.with_receiver(connection, [TOLD, SILENT, None]) == {TOLD}
        connection.execute(text("UPDATE runs SET callback_url = 'https://hooks.example.com/'"))
        assert memory.with_receiver(connection, [SILENT]) == frozenset()
        monkeypatch.setattr("annotator.store.queue.outbox._LOOK_AGAIN_S", 0.0)
        memory = ReceiverMemory()
        assert memory.with_receiver(connection, [SILENT]) == {SILENT}
