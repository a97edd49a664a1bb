"""What visitors have asked to be annotated, on both databases: one session has a job in hand, and none is lost."""

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta

import pytest

from annotator.store import Store
from annotator.store.titles import names_given
from annotator.store.web.jobs import (
    MOST_TRIES,
    SILENT_AFTER,
    Job,
    NoRoomError,
    Room,
    Wanted,
    add_jobs,
    find_job,
    finish_job,
    give_back,
    has_work,
    list_jobs,
    note_job,
    take_job,
)
from tests import web_archive
from tests.store_values import ADA, BEN, digest

NOW = datetime(2026, 11, 27, 8, tzinfo=UTC)
ROOM = Room(of_one=3, of_all=4)
LATER = NOW + SILENT_AFTER + timedelta(seconds=1)


def add(store: Store, *names: str, owner: str = "eve", now: datetime = NOW) -> tuple[int, ...]:
    wanted = [Wanted(f"https://example.org/{name}", name) for name in names]
    with store.writing() as connection:
        return add_jobs(connection, owner, wanted, room=ROOM, now=now)


def take(store: Store, session: str, *, now: datetime = NOW) -> Job | None:
    with store.writing() as connection:
        return take_job(connection, session, now=now)


def find(store: Store, job_id: int) -> Job:
    with store.reading() as connection:
        found = find_job(connection, job_id)
    assert found is not None
    return found


def test_jobs_are_taken_in_order_each_by_one_session(store: Store) -> None:
    first, second = add(store, "a.gif", "b.gif")
    assert (find(store, first).state, find(store, second).ahead) == ("waiting", 1)
    taken = take(store, "one")
    assert taken is not None
    assert (taken.job_id, taken.state, taken.stage, taken.name) == (first, "running", "starting", "a.gif")
    assert find(store, second).ahead == 1
    other = take(store, "two")
    assert other is not None
    assert other.job_id == second
    assert take(store, "three") is None
    with store.reading() as connection:
        assert not has_work(connection, now=NOW)


def test_what_a_session_says_counts_while_it_has_the_job_in_hand(store: Store) -> None:
    (job_id,) = add(store, "a.gif")
    take(store, "lost")
    taken = take(store, "next", now=LATER)
    assert taken is not None
    with store.writing() as connection:
        assert not note_job(connection, job_id, "lost", stage="looking", frames=7, now=LATER)
        assert not finish_job(connection, job_id, "lost", now=LATER, media_id=1)
        assert note_job(connection, job_id, "next", stage="looking", frames=5, now=LATER)
    assert (find(store, job_id).stage, find(store, job_id).frames) == ("looking", 5)
    with store.writing() as connection:
        assert finish_job(connection, job_id, "next", now=LATER, media_id=9)
    done = find(store, job_id)
    assert (done.state, done.media_id, done.stage, done.finished_at, done.is_over) == ("done", 9, None, LATER, True)


def test_what_a_session_gives_back_costs_no_try_and_what_loses_sessions_fails(store: Store) -> None:
    (job_id,) = add(store, "a.gif")
    for number in range(MOST_TRIES + 2):
        assert take(store, f"stopped {number}") is not None
        with store.writing() as connection:
            give_back(connection, f"stopped {number}", is_lost=False)
    for number in range(MOST_TRIES):
        assert take(store, f"lost {number}") is not None
        with store.writing() as connection:
            give_back(connection, f"lost {number}", is_lost=True)
    assert take(store, "last") is None
    failed = find(store, job_id)
    assert (failed.state, failed.reason) == ("failed", "crashed")
    assert "ended twice" in (failed.message or "")


def test_a_job_whose_session_is_silent_is_taken_by_the_next_one(store: Store) -> None:
    add(store, "a.gif")
    take(store, "one")
    assert take(store, "two") is None
    with store.reading() as connection:
        assert has_work(connection, now=LATER)
    assert take(store, "two", now=LATER) is not None


def test_there_is_room_for_so_many_of_one_visitor_and_of_all(store: Store) -> None:
    add(store, "a.gif", "b.gif")
    with pytest.raises(NoRoomError, match="there is room for 1"):
        add(store, "c.gif", "d.gif")
    with store.reading() as connection:
        assert len(list_jobs(connection, "eve", limit=10)) == 2  # all or none
    add(store, "c.gif", owner="bob")
    with pytest.raises(NoRoomError, match="there is room for 1"):
        add(store, "d.gif", "e.gif", owner="bob")
    job = take(store, "one")
    assert job is not None
    with store.writing() as connection:
        finish_job(connection, job.job_id, "one", now=NOW, media_id=None, failure=("undecodable", "It is no media."))
    add(store, "d.gif", "e.gif", owner="bob")
    failed = find(store, job.job_id)
    assert (failed.state, failed.reason, failed.message) == ("failed", "undecodable", "It is no media.")


def test_of_those_who_add_at_once_no_more_come_in_than_there_is_room_for(store: Store) -> None:
    wanted = [Wanted("https://example.org/a.gif", "a.gif")] * ROOM.of_one
    with ThreadPoolExecutor(1) as threads:
        with store.writing() as connection:
            add_jobs(connection, "eve", wanted, room=ROOM, now=NOW)
            other = threads.submit(add, store, "b.gif")
            wait([other], timeout=1)  # it waits for this transaction; else it would see none of its jobs
        with pytest.raises(NoRoomError):
            other.result()


def test_of_those_who_take_at_once_each_gets_another_one(store: Store) -> None:
    ids = add(store, "a.gif", "b.gif", "c.gif")
    with ThreadPoolExecutor(5) as threads:
        taken = [job.job_id for job in threads.map(lambda number: take(store, f"s{number}"), range(5)) if job]
    assert sorted(taken) == sorted(ids)


def test_what_failed_long_ago_is_forgotten_when_others_come_and_what_became_a_media_is_not(store: Store) -> None:
    failed, done = add(store, "a.gif", "b.gif")
    for job_id, media_id in ((failed, None), (done, 7)):
        take(store, "one")
        with store.writing() as connection:
            failure = None if media_id else ("not_found", "It is not there.")
            assert finish_job(connection, job_id, "one", now=NOW, media_id=media_id, failure=failure)
    add(store, "c.gif", now=NOW + timedelta(days=31))
    with store.reading() as connection:
        assert [job.name for job in list_jobs(connection, "eve", limit=10)] == ["c.gif", "b.gif"]
        assert names_given(connection, dict.fromkeys((7, 8), f"file:///{digest(1)}.gif")) == {7: "b.gif"}
        assert names_given(connection, {7: f"https://example.org/{digest(1)}.gif?key=secret"}) == {}  # an address typed


def test_a_job_that_is_done_says_who_is_in_it(store: Store) -> None:
    ids = web_archive.fill(store)
    jobs = add(store, "both.gif", "none.gif")
    for job_id, media_id in zip(jobs, (ids["both"], 999), strict=True):
        take(store, "one")
        with store.writing() as connection:
            assert finish_job(connection, job_id, "one", now=NOW, media_id=media_id)
    assert find(store, jobs[0]).people == ((ADA.name, 0.99), (BEN.name, 0.9))
    assert find(store, jobs[1]).people == ()
