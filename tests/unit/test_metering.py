"""When the networks starve, and when they are busy."""

import threading

import pytest

from annotator.metering import Hunger, SharedStage, Stage


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Stage]] = []

    def set_threads(self, stage: Stage, count: int) -> None:
        raise AssertionError((stage, count))

    def begin(self, stage: Stage) -> None:
        self.told.append(("begin", stage))

    def end(self, stage: Stage) -> None:
        self.told.append(("end", stage))


def test_waiting_with_nothing_in_hand_is_no_starving() -> None:
    heard = Heard()
    with Hunger(heard).waiting():
        pass
    assert heard.told == []


def test_a_media_that_comes_while_the_networks_wait_makes_them_starve() -> None:
    heard = Heard()
    hunger = Hunger(heard)
    with hunger.waiting():
        with hunger.media(), hunger.media():
            assert heard.told == [("begin", "starved")]
        assert heard.told == [("begin", "starved"), ("end", "starved")]


def test_starving_ends_with_the_wait() -> None:
    heard = Heard()
    hunger = Hunger(heard)
    with hunger.media():
        with hunger.waiting():
            assert heard.told == [("begin", "starved")]
        assert heard.told == [("begin", "starved"), ("end", "starved")]
    assert len(heard.told) == 2


def test_starving_ends_when_something_comes_and_begins_again_when_it_is_taken() -> None:
    heard = Heard()
    hunger = Hunger(heard)
    with hunger.media(), hunger.waiting():
        hunger.come()
        hunger.come()
        assert heard.told == [("begin", "starved"), ("end", "starved")]
        hunger.taken(1)
        assert len(heard.told) == 2
        hunger.taken(1)
        assert heard.told[2:] == [("begin", "starved")]


def test_what_was_taken_before_it_was_told_of_leaves_nothing_behind() -> None:
    heard = Heard()
    hunger = Hunger(heard)
    hunger.taken(1)
    hunger.come()
    with hunger.media(), hunger.waiting():
        assert heard.told == [("begin", "starved")]


def test_a_stage_that_two_threads_are_in_is_busy_once_from_the_first_to_the_last() -> None:
    heard = Heard()
    stage = SharedStage(heard, "accelerator")
    both_are_in = threading.Barrier(2, timeout=10)
    other_is_out = threading.Event()

    def other() -> None:
        stage.run(both_are_in.wait)
        other_is_out.set()

    def until_other_is_out() -> list[tuple[str, Stage]]:
        both_are_in.wait()
        assert other_is_out.wait(10)
        return list(heard.told)

    thread = threading.Thread(target=other)
    thread.start()
    assert stage.run(until_other_is_out)[0] == [("begin", "accelerator")]
    thread.join()
    assert heard.told == [("begin", "accelerator"), ("end", "accelerator")]


def test_an_error_ends_the_stage_too() -> None:
    heard = Heard()
    stage = SharedStage(heard, "accelerator")
    with pytest.raises(ZeroDivisionError):
        stage.run(lambda: 1 // 0)
    assert heard.told == [("begin", "accelerator"), ("end", "accelerator")]


def test_those_that_are_in_a_stage_together_share_its_time() -> None:
    now_s = [100.0]
    stage = SharedStage(Heard(), "accelerator", clock=lambda: now_s[0])

    def pass_by(seconds: float) -> None:
        now_s[0] += seconds

    def first() -> float:
        pass_by(2)
        _, second_s = stage.run(lambda: pass_by(6))
        pass_by(1)
        return second_s

    pass_by(10)
    second_s, first_s = stage.run(first)
    assert (first_s, second_s) == (2 + 3 + 1, 3)
