"""A backlog for tests of the web application: failures, media that wait, a worker, and the rate of the last minutes."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, select, update

from annotator.store import Store
from annotator.store.columns import utc_now
from annotator.store.queue.chunks import Piece, add_chunks
from annotator.store.queue.counts import Delta, add_deltas
from annotator.store.queue.sessions import heartbeat, open_session
from annotator.store.tables import WorkState, progress, runs, sources, work
from tests.store_values import SPEC, failure, ref

BEGAN = datetime(2026, 1, 1, 8, 0, tzinfo=UTC)


def add_failures(store: Store) -> None:
    """Add seven media that failed, one after the other: five broken ones, then two that were too large."""
    network_id = store.register_network(SPEC)
    outcomes = [
        failure(ref(f"broken-{number}.gif"), message=f"No frame {number} <b>at all</b>.") for number in range(5)
    ]
    outcomes += [failure(ref(f"large-{number}.gif"), reason="too_large", message="It is large.") for number in range(2)]
    store.save(outcomes, network_id=network_id, labelling_id=1)
    with store.writing() as connection:
        for media_id in connection.execute(select(work.c.media_id).where(work.c.state >= WorkState.FAILED)).scalars():
            at = BEGAN + timedelta(minutes=media_id)
            connection.execute(update(work).where(work.c.media_id == media_id).values(finished_at=at))


def add_backlog(store: Store, *, waiting: int = 0) -> None:
    """Add a backlog, a worker, and a point for each of the last minutes, in which 100 media were done.

    Args:
        store: has a source.
        waiting: media that the counts say are pending.

    """
    with store.writing() as connection:
        source_id = connection.execute(select(sources.c.id).order_by(sources.c.id)).scalars().first()
        backlog = {"network_id": 1, "source_id": source_id, "prefix": "2026/", "options": {}}
        begun = insert(runs).values(started_at=utc_now(), listed_at=utc_now(), **backlog).returning(runs.c.id)
        run_id = connection.execute(begun).scalar_one()
        pieces = [Piece(number, f"2026/{number}.gif", 1000) for number in range(100, 103)]
        add_chunks(connection, 1, [pieces], run_id=run_id)
        if waiting:
            add_deltas(connection, [Delta(1, run_id, "gif", WorkState.PENDING, None, waiting, 100 * waiting)])
        session_id = open_session(connection, worker="gpu-7:4711", queues=["gpu"], device="cpu", network_id=1)
        heartbeat(connection, session_id, in_hand=64, busy={"decode": 0.9}, media_done=500)
        now = connection.execute(select(utc_now())).scalar_one()
        for ago in range(1, 9):
            counts = {"pending": 1000, "claimed": 0, "done": 100 * (9 - ago), "failed": 0, "pending_cost_ms": 0}
            counts["done_cost_ms"] = 100 * counts["done"]
            row = counts | {"network_id": 1, "lane": "gif", "at": now - timedelta(minutes=ago)}
            connection.execute(insert(progress).values(row))
