"""Parts of a work, several at a time: in order, few ahead, errors told."""

import os
from collections.abc import Iterator
from threading import Barrier, get_ident

import pytest

from annotator.runtime.blas import side_by_side


@pytest.mark.parametrize("limit", [1, 2, 4])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 9])
def test_all_parts_are_done_in_order(limit: int, count: int) -> None:
    assert list(side_by_side(lambda part: part * part, range(count), limit=limit)) == [n * n for n in range(count)]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor does one part at a time")
def test_two_parts_are_under_way_at_once() -> None:
    both = Barrier(2, timeout=20)

    def wait(part: int) -> int:
        both.wait()
        return part

    assert list(side_by_side(wait, range(4), limit=2)) == [0, 1, 2, 3]


def test_one_at_a_time_or_a_single_part_is_done_by_the_caller() -> None:
    assert set(side_by_side(lambda _: get_ident(), range(3), limit=1)) == {get_ident()}
    assert list(side_by_side(lambda _: get_ident(), range(1), limit=4)) == [get_ident()]


def test_few_parts_are_read_ahead() -> None:
    read = 0

    def parts() -> Iterator[int]:
        nonlocal read
        for part in range(100):
            read += 1
            yield part

    for done, _ in enumerate(side_by_side(lambda part: part, parts(), limit=2)):
        assert read <= done + 3


def test_an_error_of_a_part_is_raised_in_its_place() -> None:
    told = side_by_side(lambda part: 1 // (2 - part), range(4), limit=2)
    assert [next(told), next(told)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(told)
