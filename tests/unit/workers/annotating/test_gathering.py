"""Gathering: what comes one by one is taken in batches, and nothing waits longer than it should."""

import threading
import time

import pytest

from workers.annotating.gathering import Gathering

LONG_S = 30.0  # a test that waits so long has failed


def taken_meanwhile(gathering: Gathering[int]) -> tuple[threading.Thread, list[list[int]]]:
    """Take one batch in a thread of its own."""
    batches: list[list[int]] = []
    thread = threading.Thread(target=lambda: batches.append(gathering.take()), daemon=True)
    thread.start()
    return thread, batches


def test_as_many_as_fit_are_taken_together_in_their_order() -> None:
    gathering = Gathering[int](most=3, max_wait_s=LONG_S, expects_more=lambda: True)
    for item in range(7):
        gathering.put(item)
    assert [gathering.take(), gathering.take()] == [[0, 1, 2], [3, 4, 5]]


def test_nobody_waits_where_no_more_is_expected() -> None:
    gathering = Gathering[int](most=3, max_wait_s=LONG_S, expects_more=lambda: False)
    gathering.put(1)
    began_s = time.monotonic()
    assert gathering.take() == [1]
    assert time.monotonic() - began_s < LONG_S / 2


def test_the_last_that_is_expected_ends_the_wait_of_the_first() -> None:
    expected = 2
    gathering = Gathering[int](most=10, max_wait_s=LONG_S, expects_more=lambda: expected > 0)
    thread, batches = taken_meanwhile(gathering)
    gathering.put(1)
    expected = 0
    gathering.put(2)
    thread.join(LONG_S / 2)
    assert batches == [[1, 2]]


def test_the_first_waits_so_long_and_no_longer() -> None:
    gathering = Gathering[int](most=10, max_wait_s=0.05, expects_more=lambda: True)
    gathering.put(1)
    began_s = time.monotonic()
    assert gathering.take() == [1]
    assert 0.04 <= time.monotonic() - began_s < LONG_S


def test_what_is_there_when_it_is_closed_is_taken_and_then_it_ends() -> None:
    gathering = Gathering[int](most=2, max_wait_s=LONG_S, expects_more=lambda: True)
    for item in range(3):
        gathering.put(item)
    gathering.close()
    assert [gathering.take(), gathering.take(), gathering.take()] == [[0, 1], [2], []]


def test_a_taker_that_waits_for_the_first_is_let_go_when_it_is_closed() -> None:
    gathering = Gathering[int](most=2, max_wait_s=LONG_S, expects_more=lambda: True)
    thread, batches = taken_meanwhile(gathering)
    gathering.close()
    thread.join(LONG_S / 2)
    assert batches == [[]]


@pytest.mark.parametrize("putters", [1, 4])
def test_each_item_is_taken_once_whoever_puts_it(putters: int) -> None:
    gathering = Gathering[int](most=5, max_wait_s=0.001, expects_more=lambda: True)
    threads = [
        threading.Thread(target=lambda first=first: [gathering.put(first * 100 + one) for one in range(100)])
        for first in range(putters)
    ]
    for thread in threads:
        thread.start()
    found: list[int] = []
    while len(found) < 100 * putters:
        found += gathering.take()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(100 * putters))
