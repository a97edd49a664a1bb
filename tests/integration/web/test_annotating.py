"""The process that annotates for visitors is looked after: started, woken, replaced, and nothing in hand is lost."""

import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from annotator.store import Store
from annotator.store.web.jobs import Job, Room, Wanted, add_jobs, find_job, finish_job, take_job
from annotator.web.annotating import Annotating, Helper


def now() -> datetime:
    return datetime.now(UTC)


class HelperForTests:
    """A process that takes the next job, and ends as it is told."""

    def __init__(self, store: Store, session: str) -> None:
        self.store = store
        self.session = session
        self.code: int | None = None
        self.woken = 0
        self.has_left = False

    def take(self) -> int | None:
        with self.store.writing() as connection:
            job = take_job(connection, self.session, now=now())
        return None if job is None else job.job_id

    def finish(self, job_id: int) -> None:
        with self.store.writing() as connection:
            assert finish_job(connection, job_id, self.session, now=now(), media_id=None)

    def poll(self) -> int | None:
        return self.code

    def wake(self) -> None:
        self.woken += 1

    def leave(self, _within_s: float) -> None:
        self.has_left = True
        self.code = 0

    def kill(self) -> None:
        self.code = -9


class Starting:
    """Starts processes, and gives each to the test."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.started: list[HelperForTests] = []
        self.changed = threading.Condition()

    def __call__(self, session: str) -> Helper:
        with self.changed:
            self.started.append(HelperForTests(self.store, session))
            self.changed.notify_all()
            return self.started[-1]

    def wait_for(self, number: int) -> HelperForTests:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.started) >= number, timeout=20)
            return self.started[number - 1]


@pytest.fixture
def starting(sqlite_store: Store) -> Starting:
    return Starting(sqlite_store)


def looking_after(store: Store, starting: Starting, *, longest_s: float = 60.0) -> Annotating:
    return Annotating(store, starting, now=now, longest_s=longest_s, look_every_s=0.02, first_wait_s=0.02)


def add(store: Store, name: str = "a.gif") -> int:
    with store.writing() as connection:
        (job_id,) = add_jobs(
            connection, "eve", [Wanted(f"https://example.org/{name}", name)], room=Room(9, 9), now=now()
        )
    return job_id


def find(store: Store, job_id: int) -> Job:
    with store.reading() as connection:
        job = find_job(connection, job_id)
    assert job is not None
    return job


def eventually(is_so: Callable[[], bool]) -> None:
    until_s = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def test_it_is_started_when_there_is_something_to_do_and_woken_for_more(
    sqlite_store: Store, starting: Starting
) -> None:
    with looking_after(sqlite_store, starting) as annotating:
        assert starting.started == []
        job_id = add(sqlite_store)
        annotating.wake()
        helper = starting.wait_for(1)
        assert helper.take() == job_id
        helper.finish(job_id)
        add(sqlite_store, "b.gif")
        annotating.wake()
        eventually(lambda: helper.woken > 0)
    assert helper.has_left
    assert len(starting.started) == 1


def test_what_was_left_by_a_program_that_ended_is_taken_up_when_it_begins(
    sqlite_store: Store, starting: Starting
) -> None:
    job_id = add(sqlite_store)
    with looking_after(sqlite_store, starting):
        assert starting.wait_for(1).take() == job_id
    assert find(sqlite_store, job_id).state == "waiting"  # it was in hand when it was told to leave
    with looking_after(sqlite_store, starting):
        assert starting.wait_for(2).take() == job_id


def test_one_that_has_ended_by_itself_is_followed_by_another(sqlite_store: Store, starting: Starting) -> None:
    first, second = add(sqlite_store), add(sqlite_store, "b.gif")
    with looking_after(sqlite_store, starting):
        helper = starting.wait_for(1)
        assert helper.take() == first
        helper.finish(first)
        helper.code = 0
        assert starting.wait_for(2).take() == second


def test_what_ends_the_process_again_and_again_fails_and_the_next_is_done(
    sqlite_store: Store, starting: Starting, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = add(sqlite_store), add(sqlite_store, "b.gif")
    with looking_after(sqlite_store, starting):
        for number in (1, 2):
            helper = starting.wait_for(number)
            assert helper.take() == bad
            helper.code = -9
        assert starting.wait_for(3).take() == good
    assert (find(sqlite_store, bad).state, find(sqlite_store, bad).reason) == ("failed", "crashed")
    assert "has ended with -9" in caplog.text


def test_a_process_that_cannot_even_begin_is_not_started_for_ever(sqlite_store: Store, starting: Starting) -> None:
    job_id = add(sqlite_store)
    with looking_after(sqlite_store, starting):
        for number in (1, 2):
            starting.wait_for(number).code = 1
        eventually(lambda: len(starting.started) == 2 and starting.started[1].code == 1)
        eventually(lambda: find(sqlite_store, job_id).state != "running")
        add(sqlite_store, "b.gif")
        third = starting.wait_for(3)
        third.take()
    assert find(sqlite_store, job_id).reason == "crashed"


def test_one_that_is_told_to_end_is_no_fault_of_what_it_had_in_hand(sqlite_store: Store, starting: Starting) -> None:
    job_id = add(sqlite_store)
    with looking_after(sqlite_store, starting):
        for number in range(1, 5):
            helper = starting.wait_for(number)
            assert helper.take() == job_id
            helper.code = -15
        assert starting.wait_for(5).take() == job_id


def test_a_database_that_is_away_for_a_while_is_nobodys_fault(sqlite_store: Store, starting: Starting) -> None:
    job_id = add(sqlite_store)
    with looking_after(sqlite_store, starting):
        for number in range(1, 4):
            assert starting.wait_for(number).take() == job_id
            starting.started[-1].code = os.EX_TEMPFAIL  # it could not even give it back
        starting.wait_for(4).code = os.EX_TEMPFAIL  # and this one could take nothing
        assert starting.wait_for(5).take() == job_id
    assert find(sqlite_store, job_id).tries == 0


@pytest.mark.parametrize("code", [os.EX_SOFTWARE, -9])
def test_what_waits_is_not_to_blame_for_a_process_that_ends_while_it_has_nothing_in_hand(
    sqlite_store: Store, starting: Starting, code: int
) -> None:
    job_id = add(sqlite_store)
    with looking_after(sqlite_store, starting):
        for number in range(1, 4):
            starting.wait_for(number).code = code
        assert starting.wait_for(4).take() == job_id
    assert find(sqlite_store, job_id).tries == 0


def test_the_wait_before_each_new_start_grows_until_one_does_something(sqlite_store: Store, starting: Starting) -> None:
    job_id = add(sqlite_store)
    begun_s = [time.monotonic()]
    with looking_after(sqlite_store, starting):
        for number in range(1, 8):
            helper = starting.wait_for(number)
            begun_s.append(time.monotonic())
            helper.code = os.EX_TEMPFAIL
        # The waits are 0.02 s, 0.04 s, …: before the seventh there were six of them.
        assert begun_s[-1] - begun_s[0] > 0.02 * (2**6 - 1)
        helper = starting.wait_for(8)
        assert helper.take() == job_id
        helper.finish(job_id)
        add(sqlite_store, "b.gif")
        helper.code = 0
        ended_s = time.monotonic()
        starting.wait_for(9)
        assert time.monotonic() - ended_s < 0.02 * 2**7


def test_one_that_hangs_with_a_job_is_ended_and_the_job_counts_a_try(
    sqlite_store: Store, starting: Starting, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = add(sqlite_store), add(sqlite_store, "b.gif")
    with looking_after(sqlite_store, starting, longest_s=0.2):
        for number in (1, 2):
            assert starting.wait_for(number).take() == bad
        last = starting.wait_for(3)
        assert last.take() == good
        last.finish(good)
    assert (find(sqlite_store, bad).reason, find(sqlite_store, good).state) == ("crashed", "done")
    assert "hangs since" in caplog.text


def test_one_that_never_takes_anything_in_hand_is_ended_and_an_idle_one_is_not(
    sqlite_store: Store, starting: Starting
) -> None:
    job_id = add(sqlite_store)
    with looking_after(sqlite_store, starting, longest_s=0.2):
        second = starting.wait_for(2)  # the first has taken nothing
        assert second.take() == job_id
        second.finish(job_id)
        threading.Event().wait(0.5)
        assert second.code is None
    assert find(sqlite_store, job_id).state == "done"
