"""What a worker has in hand, and whose deadline is put off."""

import pytest

from annotator.store.queue.chunks import Piece
from annotator.store.queue.work import Claim
from annotator.types import MediaRef
from workers.annotating.held import Held


def claim_of(number: int) -> Claim:
    media = MediaRef(f"{number}.gif", f"s3://clips/{number}.gif")
    return Claim(number, 1, 1, media, Piece(number, media.media_id, 1), suspect=False, tries=1)


FIRST, SECOND, THIRD = (claim_of(number) for number in (1, 2, 3))


class Clocked:
    """Claims in hand, and a clock of ours."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.held = Held(clock=lambda: self.now_s)
        self.held.begin_session(1)
        self.held.add([FIRST, SECOND, THIRD], time_s=100.0)


@pytest.fixture
def clocked() -> Clocked:
    return Clocked()


def test_what_waits_gets_more_time_when_half_of_it_is_over(clocked: Clocked) -> None:
    clocked.held.settle(FIRST)
    clocked.now_s += 49.0
    assert clocked.held.choose_to_extend() == []
    clocked.now_s += 1.0
    assert clocked.held.choose_to_extend() == [SECOND, THIRD]


def test_as_long_as_that_is_not_written_it_is_asked_for_again(clocked: Clocked) -> None:
    clocked.held.settle(FIRST)
    clocked.now_s += 50.0
    assert clocked.held.choose_to_extend() == clocked.held.choose_to_extend() == [SECOND, THIRD]
    clocked.held.extended([SECOND, THIRD], time_s=100.0)
    assert clocked.held.choose_to_extend() == []


def test_a_worker_that_settles_nothing_gets_no_more_time(clocked: Clocked) -> None:
    clocked.now_s += 99.0
    assert clocked.held.choose_to_extend() == []
    clocked.held.settle(FIRST)
    clocked.held.extended(clocked.held.choose_to_extend(), time_s=100.0)
    clocked.now_s += 50.0
    assert clocked.held.choose_to_extend() == [], "nothing since then"
    clocked.held.settle(SECOND)
    assert clocked.held.choose_to_extend() == [THIRD]


def test_what_was_settled_or_lost_meanwhile_is_not_put_off(clocked: Clocked) -> None:
    clocked.held.settle(FIRST)
    clocked.now_s += 50.0
    chosen = clocked.held.choose_to_extend()
    clocked.held.settle(SECOND)
    clocked.held.extended(chosen, time_s=100.0)
    clocked.held.settle(THIRD)
    clocked.held.begin_session(2)
    clocked.now_s += 1000.0
    assert clocked.held.choose_to_extend() == []
