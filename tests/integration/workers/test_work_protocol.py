"""Claim, fence, give back, sweep: the same on both databases."""

import contextlib
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, insert, select, text, type_coerce, update

from annotator.errors import StoreUnavailableError
from annotator.settings import WorkerSettings
from annotator.store.columns import UtcTime, utc_now
from annotator.store.connection import reading, writing
from annotator.store.queue.chunks import ChunkLimits, Piece, add_chunks, pack, put_back_unclaimed
from annotator.store.queue.feeding import Cursors, Wanted, take_due
from annotator.store.queue.sessions import close_session, heartbeat, open_session
from annotator.store.queue.sweeping import sweep
from annotator.store.queue.work import Claim, Deadlines, Report, claim, clear_suspicion, find_suspects, finish
from annotator.store.registry import register_network
from annotator.store.store import Store
from annotator.store.tables import WorkState, chunks, media, runs, sources, work, worker_sessions
from workers.beat import sweeper as sweeper_module
from workers.beat.sweeper import Sweeper

NETWORK = 1
LONG_AGO = "2001-01-01 00:00:00.000000"


@pytest.fixture
def pieces(engine: Engine) -> list[Piece]:
    """Three pending media."""
    with writing(engine) as connection:
        assert register_network(connection, {"name": "fake"}) == NETWORK
        connection.execute(insert(sources).values(id=1, uri="s3://clips/"))
        for number in (1, 2, 3):
            row = {"id": number, "source_id": 1, "key": f"a/{number}.gif", "etag": f"etag-{number}", "size_bytes": 1000}
            connection.execute(insert(media).values(**row))
            connection.execute(insert(work).values(network_id=NETWORK, media_id=number))
    return [Piece(number, f"a/{number}.gif", 1000) for number in (1, 2, 3)]


def opened(engine: Engine, worker: str = "host:1") -> int:
    with writing(engine) as connection:
        return open_session(connection, worker=worker)


def claimed(engine: Engine, session_id: int, ids: Sequence[int] = (1, 2, 3), *, suspects: bool = False) -> list[Claim]:
    with writing(engine) as connection:
        return claim(
            connection,
            network_id=NETWORK,
            media_ids=ids,
            session_id=session_id,
            deadlines=Deadlines(),
            suspects=suspects,
        )


def reported(engine: Engine, *reports: Report) -> set[int]:
    with writing(engine) as connection:
        return finish(connection, network_id=NETWORK, reports=reports)


def swept(engine: Engine, *, max_tries: int = 5):  # noqa: ANN201
    with writing(engine) as connection:
        return sweep(connection, session_timeout_s=45.0, max_tries=max_tries)


def state_of(engine: Engine, media_id: int):  # noqa: ANN201
    with reading(engine) as connection:
        return connection.execute(select(work).where(work.c.media_id == media_id)).one()


def waiting(engine: Engine) -> list[list[int]]:
    with reading(engine) as connection:
        rows = connection.execute(select(chunks.c.media_ids).where(chunks.c.state == 0).order_by(chunks.c.id))
        return [list(row.media_ids) for row in rows]


def falls_silent(engine: Engine, session_id: int) -> None:
    with writing(engine) as connection:
        connection.execute(
            text("UPDATE worker_sessions SET seen_at = :then WHERE id = :id"), {"then": LONG_AGO, "id": session_id}
        )


def passes_deadline(engine: Engine, media_id: int) -> None:
    with writing(engine) as connection:
        connection.execute(text("UPDATE work SET deadline_at = :t WHERE media_id = :m"), {"t": LONG_AGO, "m": media_id})


@pytest.mark.usefixtures("pieces")
def test_a_claim_says_what_to_read_and_who_comes_second_gets_nothing(engine: Engine) -> None:
    first, second = opened(engine), opened(engine, "host:2")
    won = claimed(engine, first, [3, 1])
    assert [one.media_id for one in won] == [3, 1]
    assert won[1].media.uri == "s3://clips/a/1.gif"
    assert won[1].media.etag == "etag-1"
    assert won[1].tries == 1
    assert claimed(engine, second, [1, 3]) == []
    assert [one.media_id for one in claimed(engine, second)] == [2]


@pytest.mark.usefixtures("pieces")
def test_ids_that_do_not_exist_are_no_claim(engine: Engine) -> None:
    session = opened(engine)
    assert claimed(engine, session, [77]) == []
    assert claimed(engine, session, []) == []


@pytest.mark.usefixtures("pieces")
def test_a_report_counts_once(engine: Engine) -> None:
    session = opened(engine)
    one, two, _ = claimed(engine, session)
    done = Report(one, WorkState.DONE)
    failed = Report(two, WorkState.FAILED, reason="undecodable", message='It\'s "no" media.')
    assert reported(engine, done, failed) == {1, 2}
    assert reported(engine, done) == set()
    assert state_of(engine, 1).state == WorkState.DONE
    assert state_of(engine, 1).finished_at is not None
    row = state_of(engine, 2)
    assert (row.state, row.reason, row.message) == (WorkState.FAILED, "undecodable", 'It\'s "no" media.')
    assert claimed(engine, session) == []


@pytest.mark.usefixtures("pieces")
def test_the_fence_refuses_a_late_report(engine: Engine) -> None:
    slow, fast = opened(engine), opened(engine, "host:2")
    (late,) = claimed(engine, slow, [1])
    falls_silent(engine, slow)
    assert swept(engine).requeued == 1
    (again,) = claimed(engine, fast, [1], suspects=True)
    assert reported(engine, Report(late, WorkState.DONE)) == set()
    assert state_of(engine, 1).session_id == fast
    assert reported(engine, Report(again, WorkState.DONE)) == {1}


@pytest.mark.usefixtures("pieces")
def test_the_fence_refuses_an_earlier_attempt_of_the_same_session(engine: Engine) -> None:
    session = opened(engine)
    (early,) = claimed(engine, session, [1])
    passes_deadline(engine, 1)
    swept(engine)
    (again,) = claimed(engine, session, [1])
    assert reported(engine, Report(early, WorkState.DONE)) == set()
    assert reported(engine, Report(again, WorkState.DONE)) == {1}


@pytest.mark.usefixtures("pieces")
def test_what_is_given_back_counts_nothing_and_travels_again(engine: Engine) -> None:
    session = opened(engine)
    won = claimed(engine, session)
    assert reported(engine, *(Report(one, WorkState.PENDING, gives_back=True) for one in won)) == {1, 2, 3}
    assert waiting(engine) == [[1, 2, 3]]
    assert [one.tries for one in claimed(engine, session)] == [1, 1, 1]


@pytest.mark.usefixtures("pieces")
def test_a_retry_counts_waits_and_travels_again(engine: Engine) -> None:
    session = opened(engine)
    (one,) = claimed(engine, session, [1])
    reported(engine, Report(one, WorkState.PENDING, reason="source_unavailable", delay_s=60.0))
    row = state_of(engine, 1)
    assert (row.state, row.reason) == (WorkState.PENDING, "source_unavailable")
    assert row.not_before is not None
    assert waiting(engine) == [[1]]
    with writing(engine) as connection:
        assert take_due(connection, Wanted("gif", "gpu", limit=9), cursors=Cursors()) == []
    assert [again.tries for again in claimed(engine, session, [1])] == [2]


@pytest.mark.usefixtures("pieces")
def test_a_changed_object_is_read_as_it_is_now(engine: Engine) -> None:
    session = opened(engine)
    (one,) = claimed(engine, session, [1])
    reported(engine, Report(one, WorkState.PENDING, reason="source_changed", forgets_etag=True))
    assert [again.media.etag for again in claimed(engine, session, [1])] == [None]


@pytest.mark.usefixtures("pieces")
def test_a_heartbeat_after_the_end_says_that_the_session_is_over(engine: Engine) -> None:
    session = opened(engine)
    with writing(engine) as connection:
        assert heartbeat(connection, session, in_hand=3)
    falls_silent(engine, session)
    assert swept(engine).sessions == 1
    with writing(engine) as connection:
        assert not heartbeat(connection, session, in_hand=3)


@pytest.mark.usefixtures("pieces")
def test_a_living_session_is_not_swept(engine: Engine) -> None:
    session = opened(engine)
    claimed(engine, session)
    report = swept(engine)
    assert (report.sessions, report.requeued) == (0, 0)
    assert state_of(engine, 1).state == WorkState.CLAIMED


@pytest.mark.usefixtures("pieces")
def test_the_media_of_a_dead_session_run_alone_and_one_that_kills_three_times_is_quarantined(engine: Engine) -> None:
    first = opened(engine)
    claimed(engine, first)
    falls_silent(engine, first)
    assert swept(engine).suspects == 3
    assert waiting(engine) == [[1], [2], [3]]
    for death in (1, 2, 3):
        session = opened(engine, f"host:{death}")
        assert claimed(engine, session, [1]) == [], "a suspect must not run with others"
        (one,) = claimed(engine, session, [1], suspects=True)
        assert one.suspect
        assert one.tries == 1
        falls_silent(engine, session)
        swept(engine)
        assert state_of(engine, 1).deaths == death
        assert (state_of(engine, 1).state == WorkState.QUARANTINED) == (death == 3), "twice may be chance"
    row = state_of(engine, 1)
    assert (row.state, row.reason) == (WorkState.QUARANTINED, "worker_died")
    assert state_of(engine, 2).deaths == 0


@pytest.mark.usefixtures("pieces")
def test_nobody_claims_under_a_session_that_has_ended(engine: Engine) -> None:
    session = opened(engine)
    falls_silent(engine, session)
    swept(engine)
    assert claimed(engine, session) == []
    swept(engine)
    assert [state_of(engine, media_id).suspect for media_id in (1, 2, 3)] == [False] * 3


def long_running_sweeper(engine: Engine, **settings: int) -> Sweeper:
    """Return one that has reached the database all the time."""
    clock = [0.0]
    sweeper = Sweeper(engine, WorkerSettings(**settings), clock=lambda: clock[0])  # type: ignore[arg-type]
    for _ in range(4):
        sweeper.run()
        clock[0] += 15.0
    return sweeper


def assert_ended_after_a_timeout(engine: Engine, session: int, sweeper: Sweeper, clock: list[float]) -> None:
    """The session has 45 s, by the sweeper's clock, to say that it lives; it says nothing."""
    for later_s in (0.0, 15.0, 29.0):
        clock[0] += later_s
        sweeper.run()
        assert state_of(engine, 1).session_id == session, "it had no time yet to say that it lives"
    clock[0] += 2.0
    sweeper.run()
    assert [state_of(engine, media_id).state for media_id in (1, 2, 3)] == [WorkState.PENDING] * 3


@pytest.mark.usefixtures("pieces")
def test_who_was_silent_while_the_database_was_away_is_not_ended(engine: Engine) -> None:
    session, clock = opened(engine), [0.0]
    claimed(engine, session)
    sweeper = Sweeper(engine, WorkerSettings(), clock=lambda: clock[0])
    sweeper.run()
    clock[0] += 60.0  # the sweeper itself has not reached the database
    falls_silent(engine, session)
    passes_deadline(engine, 1)
    assert_ended_after_a_timeout(engine, session, sweeper, clock)


@pytest.mark.usefixtures("pieces")
def test_who_was_silent_while_the_database_only_read_is_not_ended(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("a file has no standby")
    session, clock = opened(engine), [0.0]
    claimed(engine, session)
    sweeper = Sweeper(engine, WorkerSettings(), clock=lambda: clock[0])
    for _ in range(7):  # a sweeper that has begun spares everybody, and then nobody for as long
        sweeper.run()
        clock[0] += 15.0
    only_reads = f'ALTER DATABASE "{engine.url.database}" {{}} default_transaction_read_only'
    with writing(engine) as connection:
        connection.execute(text(only_reads.format("SET") + " = on"))
    engine.dispose()
    with pytest.raises(StoreUnavailableError, match="read-only"):
        sweeper.run()
    with reading(engine) as connection:
        connection.execute(text("SET TRANSACTION READ WRITE"))
        connection.execute(text(only_reads.format("RESET")))
        connection.commit()
    engine.dispose()
    falls_silent(engine, session)
    assert_ended_after_a_timeout(engine, session, sweeper, clock)


@pytest.mark.usefixtures("pieces")
def test_who_died_is_ended_though_the_database_refuses_every_third_sweep(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailableError("the database only reads")

    session, clock = opened(engine), [0.0]
    claimed(engine, session)
    sweeper = Sweeper(engine, WorkerSettings(), clock=lambda: clock[0])
    ended_s = None
    for number in range(1, 241):  # an hour
        with monkeypatch.context() as patched:
            if number % 3 == 0:
                patched.setattr(sweeper_module, "sweep", refuse)
            with contextlib.suppress(StoreUnavailableError):
                sweeper.run()
        if number == 7:  # a grace has just begun
            falls_silent(engine, session)
        if ended_s is None and state_of(engine, 1).session_id != session:
            ended_s = clock[0]
        clock[0] += 15.0
    assert ended_s == 90.0 + 45.0, "it had a timeout to say that it lives, and no more than one"


@pytest.mark.usefixtures("pieces")
def test_a_sweeper_that_begins_while_the_database_is_just_back_ends_nobody(engine: Engine) -> None:
    session, clock = opened(engine), [1000.0]
    claimed(engine, session)
    falls_silent(engine, session)
    passes_deadline(engine, 1)
    sweeper = Sweeper(engine, WorkerSettings(), clock=lambda: clock[0])
    assert_ended_after_a_timeout(engine, session, sweeper, clock)


@pytest.mark.usefixtures("pieces")
def test_what_a_worker_that_left_had_in_hand_is_taken_back_though_the_database_was_away(engine: Engine) -> None:
    session, clock = opened(engine), [0.0]
    claimed(engine, session)
    sweeper = Sweeper(engine, WorkerSettings(), clock=lambda: clock[0])
    clock[0] += 60.0
    with writing(engine) as connection:
        close_session(connection, session)
    sweeper.run()
    assert state_of(engine, 1).state == WorkState.PENDING


@pytest.mark.usefixtures("pieces")
def test_a_sweep_of_many_media_has_several_transactions(engine: Engine) -> None:
    session = opened(engine)
    with writing(engine) as connection:
        rows = [{"id": number, "source_id": 1, "key": f"b/{number}.gif"} for number in range(4, 1502)]
        connection.execute(insert(media), rows)
        lost = {"network_id": NETWORK, "state": 1, "session_id": session, "deadline_at": utc_now()}
        connection.execute(insert(work).values(**lost), [{"media_id": row["id"]} for row in rows])
    falls_silent(engine, session)
    first = swept(engine)
    assert (first.requeued, first.is_all) == (1000, False)
    with writing(engine) as connection:
        close_session(connection, session)
    Sweeper(engine, WorkerSettings()).run()
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).where(work.c.state == WorkState.CLAIMED)).scalar_one() == 0


@pytest.mark.usefixtures("pieces")
def test_a_sweep_begins_behind_the_claims_that_are_settled_and_before_all_others(engine: Engine) -> None:
    session = opened(engine)
    claimed(engine, session)
    with reading(engine) as connection:
        clock = connection.execute(select(type_coerce(utc_now(), UtcTime()))).scalar_one()
    since = swept(engine).since
    assert timedelta(seconds=-1) < since - (clock - timedelta(seconds=45)) < timedelta(seconds=30)
    passes_deadline(engine, 1)
    with writing(engine) as connection:
        report = sweep(connection, session_timeout_s=45.0, max_tries=5, since=since)
    assert report.requeued == 0, "it is not looked at"
    assert swept(engine).requeued == 1
    passes_deadline(engine, 2)
    long_running_sweeper(engine).run()
    assert state_of(engine, 2).state == WorkState.PENDING


@pytest.mark.usefixtures("pieces")
def test_a_verdict_clears_the_suspicion(engine: Engine) -> None:
    session = opened(engine)
    claimed(engine, session, [1])
    falls_silent(engine, session)
    swept(engine)
    other = opened(engine, "host:2")
    with reading(engine) as connection:
        assert find_suspects(connection, NETWORK, [1, 2, 3]) == [1]
    (one,) = claimed(engine, other, [1], suspects=True)
    reported(engine, Report(one, WorkState.DONE))
    assert not state_of(engine, 1).suspect


@pytest.mark.usefixtures("pieces")
def test_a_worker_that_only_was_silent_takes_the_suspicion_back(engine: Engine) -> None:
    session = opened(engine)
    won = claimed(engine, session, [1])
    falls_silent(engine, session)
    swept(engine)
    with writing(engine) as connection:
        clear_suspicion(connection, NETWORK, won)
    assert not state_of(engine, 1).suspect


@pytest.mark.usefixtures("pieces")
def test_a_media_that_keeps_passing_its_deadline_is_given_up(engine: Engine) -> None:
    session = opened(engine)
    for attempt in (1, 2):
        assert len(claimed(engine, session, [1])) == 1, attempt
        passes_deadline(engine, 1)
        swept(engine, max_tries=2)
    row = state_of(engine, 1)
    assert (row.state, row.reason) == (WorkState.FAILED, "deadline")


@pytest.mark.usefixtures("pieces")
def test_a_sweep_passes_over_work_that_an_orderly_end_left_nothing_of(engine: Engine) -> None:
    session = opened(engine)
    won = claimed(engine, session)
    reported(engine, *(Report(one, WorkState.DONE) for one in won))
    with writing(engine) as connection:
        close_session(connection, session)
    assert swept(engine).requeued == 0
    with reading(engine) as connection:
        assert connection.execute(select(worker_sessions.c.ended_at)).scalar_one() is not None


def test_unclaimed_chunks_are_published_again_and_settled_ones_forgotten(engine: Engine, pieces: list[Piece]) -> None:
    session = opened(engine)
    done, held = claimed(engine, session, [1, 2])
    reported(engine, Report(done, WorkState.DONE))
    with writing(engine) as connection:
        add_chunks(connection, NETWORK, [[one] for one in pieces])
        take_due(connection, Wanted("gif", "gpu", limit=9), cursors=Cursors())
        assert put_back_unclaimed(connection, after_s=900.0) == 0
        connection.execute(update(chunks).values(published_at=utc_now()))
        connection.execute(text("UPDATE chunks SET published_at = :then"), {"then": LONG_AGO})
        assert put_back_unclaimed(connection, after_s=900.0) == 1
        left = connection.execute(select(func.count()).select_from(chunks)).scalar_one()
    assert waiting(engine) == [[3]]
    assert left == 2, f"the chunk of {held.media_id} is in hand, the one of 1 is settled"


@pytest.mark.usefixtures("pieces")
def test_what_is_pending_again_stays_with_its_backlog_and_keeps_its_priority(engine: Engine) -> None:
    with writing(engine) as connection:
        backlog = {"network_id": NETWORK, "source_id": 1, "prefix": "", "options": {}, "started_at": utc_now()}
        connection.execute(insert(runs).values(id=7, priority=5, **backlog))
        connection.execute(update(work).where(work.c.media_id < 3).values(run_id=7))
    session = opened(engine)
    one, two, three = claimed(engine, session)
    reported(engine, *(Report(held, WorkState.PENDING, gives_back=True) for held in (one, three)))
    with writing(engine) as connection:
        close_session(connection, session)
    swept(engine)
    session = opened(engine)
    reported(engine, Report(*claimed(engine, session, [two.media_id], suspects=True), WorkState.FAILED))
    assert Store(engine).retry(network_id=NETWORK) == 1
    with reading(engine) as connection:
        found = connection.execute(select(chunks.c.media_ids, chunks.c.run_id, chunks.c.priority)).all()
    assert sorted(tuple(row) for row in found) == [([1], 7, 5), ([2], 7, 5), ([2], 7, 5), ([3], None, 0)]


@pytest.mark.usefixtures("pieces")
def test_a_report_may_let_a_media_run_alone_next_time(engine: Engine) -> None:
    session = opened(engine)
    one, two, three = claimed(engine, session)
    back = [Report(held, WorkState.PENDING, gives_back=True, runs_alone=True) for held in (one, two)]
    reported(engine, *back, Report(three, WorkState.DONE, runs_alone=True))
    assert waiting(engine) == [[1], [2]]
    assert claimed(engine, session) == []
    alone = claimed(engine, session, suspects=True)
    assert [(held.media_id, held.suspect, held.tries) for held in alone] == [(1, True, 1), (2, True, 1)]
    assert not state_of(engine, 3).suspect
    reported(engine, Report(alone[0], WorkState.DONE))
    assert not state_of(engine, 1).suspect


def test_media_of_a_large_chunk_have_time_to_wait_for_each_other() -> None:
    deadlines = Deadlines({"gif": 200.0, "film": 1000.0})
    gifs = [Piece(number, f"{number}.gif", 1 << 20) for number in range(64)]
    assert 200.0 < deadlines.of(gifs[:1]) < 202.0
    assert deadlines.of(gifs) == pytest.approx(200.0 + 64 * 0.1 * 16)
    assert deadlines.of([Piece(number, "a.gif", 30 << 20) for number in range(64)]) == 400.0, "twice at most"
    assert 1000.0 < deadlines.of([Piece(1, "film.mp4", 20 << 20)]) < 1020.0


@pytest.mark.usefixtures("pieces")
def test_what_goes_back_travels_in_chunks_of_the_size_that_is_set(engine: Engine) -> None:
    session, limits = opened(engine), ChunkLimits(media=2)
    won = claimed(engine, session)
    with writing(engine) as connection:
        reports = [Report(one, WorkState.PENDING, gives_back=True) for one in won]
        finish(connection, network_id=NETWORK, reports=reports, limits=limits)
    assert waiting(engine) == [[1, 2], [3]]
    claimed(engine, session)
    for media_id in (1, 2, 3):
        passes_deadline(engine, media_id)
    long_running_sweeper(engine, chunk_media=2).run()
    assert waiting(engine)[2:] == [[1, 2], [3]]
    with writing(engine) as connection:
        connection.execute(update(work).values(state=3, reason="undecodable"))
    assert Store(engine).retry(network_id=NETWORK, limits=limits) == 3
    assert waiting(engine)[4:] == [[1, 2], [3]]


@pytest.mark.usefixtures("pieces")
def test_retrying_lets_failed_media_travel_again(engine: Engine) -> None:
    session = opened(engine)
    one, two, _ = claimed(engine, session)
    reported(engine, Report(one, WorkState.FAILED, reason="undecodable"), Report(two, WorkState.DONE))
    with writing(engine) as connection:
        connection.execute(insert(media).values(id=9, source_id=2, key="local.gif"))
        connection.execute(insert(sources).values(id=2, uri="file:///"))
        connection.execute(insert(work).values(network_id=NETWORK, media_id=9, state=3, reason="undecodable"))
    assert Store(engine).retry(network_id=NETWORK) == 2
    assert waiting(engine) == [[1]], "files of this machine do not travel"
    assert [again.tries for again in claimed(engine, session, [1])] == [1]


def test_chunks_are_bounded_and_films_go_alone() -> None:
    gifs = [Piece(number, f"{number}.gif", 30 << 20) for number in range(3)]
    film = Piece(9, "film.mp4", 20 << 20)
    packed = pack([gifs[0], film, *gifs[1:]], limits=ChunkLimits(size_bytes=64 << 20))
    assert [[one.media_id for one in group] for group in packed] == [[9], [0, 1], [2]]
    small = [Piece(number, "x.gif", 1) for number in range(130)]
    assert [len(group) for group in pack(small, limits=ChunkLimits())] == [64, 64, 2]
