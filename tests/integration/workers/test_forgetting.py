"""What nobody looks at any more is deleted by beat, and nothing else."""

from datetime import UTC, datetime

from sqlalchemy import Engine, insert, select, update

from annotator.settings import RetentionSettings
from annotator.store.columns import utc_now
from annotator.store.connection import writing
from annotator.store.queue.counts import Delta, add_deltas, read_counts, sum_up
from annotator.store.queue.sessions import open_session
from annotator.store.tables import WorkState, work_counts, worker_sessions
from workers.beat.forgetting import forget_all

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


def test_sessions_are_forgotten_a_week_after_their_end(engine: Engine) -> None:
    with writing(engine) as connection:
        ids = [open_session(connection, worker=f"host:{number}") for number in range(3)]
        for session_id, ended_at in zip(ids, (LONG_AGO, utc_now(), None), strict=True):
            ended = update(worker_sessions).where(worker_sessions.c.id == session_id)
            connection.execute(ended.values(ended_at=ended_at, seen_at=LONG_AGO))
    assert forget_all(engine, RetentionSettings()) == 1
    assert forget_all(engine, RetentionSettings()) == 0
    with writing(engine) as connection:
        left = connection.execute(select(worker_sessions.c.id).order_by(worker_sessions.c.id))
        assert left.scalars().all() == ids[1:]


def test_counts_of_nothing_are_forgotten_and_come_back_with_the_next_media(engine: Engine) -> None:
    pending = Delta(1, 7, "gif", WorkState.PENDING, None, 5, 300)
    gone = Delta(1, 7, "gif", WorkState.PENDING, None, -5, -300)
    done = Delta(1, 7, "gif", WorkState.DONE, None, 5, 300)
    with writing(engine) as connection:
        add_deltas(connection, [pending])
        sum_up(connection)
        add_deltas(connection, [gone, done])
        sum_up(connection)
        cost_only = {"network_id": 1, "run_id": 8, "lane": "gif", "state": 0, "reason": "", "media": 0, "cost_ms": 1}
        connection.execute(insert(work_counts).values(**cost_only))
    assert forget_all(engine, RetentionSettings()) == 1
    with writing(engine) as connection:
        left = connection.execute(select(work_counts.c.run_id, work_counts.c.state).order_by(work_counts.c.run_id))
        assert [tuple(row) for row in left] == [(7, 2), (8, 0)]
        add_deltas(connection, [pending])
        sum_up(connection)
        assert read_counts(connection, run_id=7).media(WorkState.PENDING) == 5
