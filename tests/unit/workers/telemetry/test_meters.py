"""Clocks of the stages: shares since the last look, and seconds since the start."""

import threading

import pytest

from workers.telemetry.meters import Meters


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_share_is_the_busy_part_of_the_time_since_the_last_look() -> None:
    clock = Clock()
    meters = Meters(clock=clock)
    with meters.busy("write"):
        clock.now_s += 3
    clock.now_s += 1
    assert meters.shares()["write"] == 0.75
    clock.now_s += 4
    assert meters.shares()["write"] == 0.0


def test_work_that_is_under_way_counts_up_to_now_and_only_once() -> None:
    clock = Clock()
    meters = Meters(clock=clock)
    clock.now_s += 5
    meters.begin("decode")
    clock.now_s += 5
    assert meters.shares()["decode"] == 0.5
    clock.now_s += 10
    assert meters.shares()["decode"] == 1.0
    meters.end("decode")
    clock.now_s += 10
    assert meters.shares()["decode"] == 0.0
    assert meters.totals()["decode"] == 15.0


def test_a_stage_with_several_threads_is_full_when_all_of_them_are_at_work() -> None:
    clock = Clock()
    meters = Meters(threads={"claim": 4}, clock=clock)
    meters.set_threads("decode", 2)
    with meters.busy("decode"), meters.busy("claim"):
        clock.now_s += 1
    assert meters.threads()["decode"] == 2
    assert {stage: share for stage, share in meters.shares().items() if share} == {
        "decode": 0.5,
        "claim": 0.25,
        "idle": 1.0,
    }


def test_idle_is_the_time_of_the_task_threads_without_a_message() -> None:
    clock = Clock()
    meters = Meters(threads={"message": 2}, clock=clock)
    with meters.busy("message"):
        clock.now_s += 1
        with meters.busy("message"):
            clock.now_s += 1
    shares = meters.shares()
    assert shares["idle"] == 0.25
    assert set(shares) == {"fetch", "decode", "accelerator", "link", "starved", "write", "claim", "idle"}


def test_two_looks_at_the_same_moment_divide_by_nothing() -> None:
    meters = Meters(clock=Clock())
    assert meters.shares()["write"] == meters.shares()["write"] == 0.0


def test_an_error_ends_the_work_too() -> None:
    clock = Clock()
    meters = Meters(clock=clock)
    with pytest.raises(ZeroDivisionError), meters.busy("write"):
        raise ZeroDivisionError
    clock.now_s += 1
    assert meters.shares()["write"] == 0.0


def test_many_threads_lose_no_time() -> None:
    clock = Clock()
    meters = Meters(clock=clock)

    def work() -> None:
        for _ in range(2000):
            with meters.busy("write"):
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.now_s += 1
    assert meters.totals()["write"] == 0.0, "nobody is left inside"
