"""The batching engine and the gate, with an annotator that takes no time."""

import queue
import threading

import pytest

from annotator.errors import AnnotatorError, ModelError
from annotator.types import KnownMedia, MediaAnnotation, MediaRef
from workers.annotating.doubles import FakeAnnotator
from workers.annotating.engine import BatchingEngine, Breakdown, Outcome
from workers.annotating.gate import Gate

TIMEOUT_S = 10.0


def media(number: int) -> MediaRef:
    return MediaRef(f"{number}.gif", f"s3://clips/{number}.gif")


class Running:
    """An engine whose outcomes come through a queue."""

    def __init__(self, annotator: FakeAnnotator, **known: object) -> None:
        self.outcomes: queue.Queue[Outcome | Breakdown] = queue.Queue()
        self.fatal: queue.Queue[AnnotatorError] = queue.Queue()
        self.engine = BatchingEngine(annotator, on_fatal=self.fatal.put, **known)  # type: ignore[arg-type]
        self.engine.start()

    def submit(self, *numbers: int) -> None:
        for number in numbers:
            self.engine.submit(media(number), self.outcomes.put)

    def take(self, count: int) -> list[Outcome | Breakdown]:
        return [self.outcomes.get(timeout=TIMEOUT_S) for _ in range(count)]


def test_media_of_many_threads_come_back_to_who_asked() -> None:
    running = Running(FakeAnnotator())
    threads = [threading.Thread(target=running.submit, args=(number, number + 100)) for number in range(20)]
    for thread in threads:
        thread.start()
    taken = running.take(40)
    assert {one.media for one in taken if not isinstance(one, Breakdown)} == {
        media(n) for number in range(20) for n in (number, number + 100)
    }
    assert running.engine.in_hand == 0
    assert running.engine.close(timeout_s=TIMEOUT_S)


def test_bytes_that_are_annotated_already_are_told_as_known() -> None:
    running = Running(FakeAnnotator(), is_known=lambda _: True)
    running.submit(1)
    assert isinstance(running.take(1)[0], KnownMedia)
    running.engine.close(timeout_s=TIMEOUT_S)


def bugs(*numbers: int) -> FakeAnnotator:
    return FakeAnnotator(scripted={media(number).uri: ValueError("a bug") for number in numbers})


def test_who_breaks_the_engine_alone_is_to_blame_and_the_engine_goes_on() -> None:
    running = Running(bugs(1))
    running.submit(1)
    (broken,) = running.take(1)
    assert isinstance(broken, Breakdown)
    assert broken.was_alone
    assert (broken.failure.reason, broken.failure.is_transient) == ("internal", True)
    running.submit(2)
    assert isinstance(running.take(1)[0], MediaAnnotation)
    assert running.engine.close(timeout_s=TIMEOUT_S)


def test_who_was_under_way_with_others_is_told_so_and_who_waited_is_annotated() -> None:
    running = Running(bugs(3))
    running.submit(*range(1, 10))
    outcomes = running.take(9)
    broken = [one for one in outcomes if isinstance(one, Breakdown)]
    assert 1 < len(broken) < 9
    assert media(3) in {one.failure.media for one in broken}
    assert not any(one.was_alone for one in broken)
    assert running.engine.begun() == []
    assert running.engine.close(timeout_s=TIMEOUT_S)


def test_the_same_media_may_break_the_engine_again_and_again() -> None:
    running = Running(bugs(1, 2))
    for number in (1, 2, 1, 2, 1, 2, 1, 2, 1, 2):
        running.submit(number)
        running.take(1)
    assert running.fatal.empty()
    running.submit(3)
    assert isinstance(running.take(1)[0], MediaAnnotation)
    assert running.engine.close(timeout_s=TIMEOUT_S)


def test_different_media_that_break_it_alone_in_a_row_stop_the_engine() -> None:
    running = Running(bugs(1, 2, 3, 4, 6, 7, 8, 9, 10))
    for number in range(1, 11):  # the fifth is annotated in between: the networks work
        running.submit(number)
        running.take(1)
    assert "5 different media in a row" in str(running.fatal.get(timeout=TIMEOUT_S))


def test_networks_that_fail_on_an_empty_picture_stop_the_engine_and_blame_nobody() -> None:
    annotator = bugs(1)
    running = Running(annotator)
    annotator.broken = RuntimeError("the device is lost")
    running.submit(1)
    (broken,) = running.take(1)
    assert isinstance(broken, Breakdown)
    assert not broken.was_alone
    assert "the device is lost" in str(running.fatal.get(timeout=TIMEOUT_S))


def test_networks_that_do_not_run_are_found_before_anything_is_claimed() -> None:
    annotator = FakeAnnotator()
    annotator.broken = RuntimeError("no kernel image")
    with pytest.raises(ModelError, match="no kernel image"):
        Running(annotator)


def test_a_fault_of_the_networks_stops_the_engine_and_leaves_media_unanswered() -> None:
    running = Running(FakeAnnotator(scripted={media(1).uri: ModelError("the weights fail their check")}))
    running.submit(1)
    assert isinstance(running.fatal.get(timeout=TIMEOUT_S), ModelError)
    assert running.outcomes.empty()
    assert running.engine.in_hand == 1
    assert running.engine.close(timeout_s=TIMEOUT_S)


def test_what_was_abandoned_never_comes_back() -> None:
    running = Running(FakeAnnotator(media_s=0.05))
    running.submit(1, 2, 3, 4, 5)
    running.engine.abandon()
    assert running.engine.in_hand == 0
    running.submit(6)
    later = running.take(1)[0]
    assert isinstance(later, MediaAnnotation)
    assert later.media == media(6)
    running.engine.close(timeout_s=TIMEOUT_S)


def test_closing_ends_an_idle_engine() -> None:
    running = Running(FakeAnnotator())
    assert running.engine.close(timeout_s=TIMEOUT_S)


def test_who_must_be_alone_waits_for_the_others_and_keeps_them_out() -> None:
    gate = Gate()
    log: list[str] = []
    inside = threading.Event()
    leave = threading.Event()

    def together() -> None:
        with gate.together():
            inside.set()
            leave.wait(TIMEOUT_S)
            log.append("together")

    def alone() -> None:
        with gate.alone():
            log.append("alone")

    first = threading.Thread(target=together)
    first.start()
    inside.wait(TIMEOUT_S)
    second = threading.Thread(target=alone)
    second.start()
    assert log == []
    leave.set()
    first.join(TIMEOUT_S)
    second.join(TIMEOUT_S)
    assert log == ["together", "alone"]
    with gate.together(), gate.together():
        pass
