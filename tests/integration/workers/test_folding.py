"""Counts of backlogs that ended long ago are summed up, and no sum changes by it, then or later."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, text, update

from annotator.cli.relabelling import _WORKER_S
from annotator.settings import RetentionSettings
from annotator.store.columns import utc_now
from annotator.store.connection import reading, writing
from annotator.store.queue.counts import FOLDED_RUN, Delta, add_deltas, read_counts, recount, sum_up
from annotator.store.queue.folding import fold_counts
from annotator.store.registry import register_network
from annotator.store.tables import WorkState, runs, sources, work, work_counts
from workers.beat.forgetting import forget_all

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)
DAY_S = 86_400.0
OLD, YOUNG, OPEN, STOPPED = 1, 2, 3, 4
FATES = (  # backlog, state, reason
    *((OLD, WorkState.DONE, None),) * 3,
    (OLD, WorkState.FAILED, "undecodable"),
    (YOUNG, WorkState.DONE, None),
    (OPEN, WorkState.DONE, None),
    (OPEN, WorkState.PENDING, None),
    (STOPPED, WorkState.DONE, None),
    (STOPPED, WorkState.PENDING, None),
    (None, WorkState.DONE, None),
)


@pytest.fixture
def counted(engine: Engine) -> Engine:
    """Media of backlogs that ended long ago (one was stopped), lately, or not yet; and of none."""
    with writing(engine) as connection:
        network_id = register_network(connection, {"name": "fake"})
        connection.execute(insert(sources).values(id=1, uri="s3://clips/"))
        for run_id, finished_at in ((OLD, LONG_AGO), (YOUNG, utc_now()), (OPEN, None), (STOPPED, LONG_AGO)):
            of_run: dict[str, Any] = {"id": run_id, "network_id": network_id, "source_id": 1, "prefix": ""}
            connection.execute(
                insert(runs).values(options={}, started_at=LONG_AGO, finished_at=finished_at, worker_s=70.0, **of_run)
            )
        for media_id, (run, state, reason) in enumerate(FATES, 1):
            row = {"network_id": network_id, "media_id": media_id, "run_id": run, "state": state, "reason": reason}
            connection.execute(insert(work).values(cost_ms=10, **row))
        recount(connection)
        sum_up(connection)
    return engine


def sums(engine: Engine) -> Counter[Any]:
    """What all backlogs have together."""
    with reading(engine) as connection:
        rows = read_counts(connection).rows
    found: Counter[Any] = Counter()
    for row in rows:
        found[row.network_id, row.lane, row.state, row.reason, "media"] += row.media
        found[row.network_id, row.lane, row.state, row.reason, "cost_ms"] += row.cost_ms
    return found


def backlogs(engine: Engine) -> set[int]:
    with reading(engine) as connection:
        return set(connection.execute(select(work_counts.c.run_id)).scalars())


def fold(engine: Engine, *, limit: int = 100) -> int:
    with writing(engine) as connection:
        return fold_counts(connection, after_s=30 * DAY_S, limit=limit)


def is_counted(engine: Engine) -> bool:
    with writing(engine) as connection:
        return recount(connection) == []


def test_settled_media_of_former_backlogs_are_summed_up_and_all_sums_stay(counted: Engine) -> None:
    before = sums(counted)
    with reading(counted) as connection:
        pace = connection.execute(text(_WORKER_S)).scalar_one()
    assert fold(counted, limit=1) == 1
    assert fold(counted) == 1
    assert fold(counted) == 0
    assert sums(counted) == before
    assert backlogs(counted) == {0, FOLDED_RUN, YOUNG, OPEN, STOPPED}
    with reading(counted) as connection:
        counts = read_counts(connection)
        assert connection.execute(text(_WORKER_S)).scalar_one() == pace
    assert counts.media(run_id=OLD) == 0
    assert counts.media(WorkState.DONE, run_id=FOLDED_RUN) == 4
    assert counts.media(run_id=STOPPED) == counts.media(WorkState.PENDING, run_id=STOPPED) == 1
    assert counts.media(run_id=YOUNG) == 1
    assert is_counted(counted)


def test_what_changes_late_of_a_former_backlog_is_counted_and_summed_up_in_turn(counted: Engine) -> None:
    fold(counted)
    before = sums(counted)
    with writing(counted) as connection:  # a failed media is tried again, and done, for nobody
        connection.execute(update(work).where(work.c.reason == "undecodable").values(state=2, reason=None, run_id=None))
        failed = Delta(1, OLD, "gif", WorkState.FAILED, "undecodable", -1, -10)
        add_deltas(connection, [failed, Delta(1, None, "gif", WorkState.DONE, None, 1, 10)])
    after = sums(counted)
    assert after - before == {(1, "gif", WorkState.DONE, None, "media"): 1, (1, "gif", 2, None, "cost_ms"): 10}
    assert (1, "gif", WorkState.FAILED, "undecodable", "media") not in +after
    assert is_counted(counted)
    with writing(counted) as connection:
        sum_up(connection)
    assert OLD in backlogs(counted)
    assert fold(counted) == 1
    assert sums(counted) == after
    assert OLD not in backlogs(counted)
    assert is_counted(counted)


def test_a_recount_puts_what_was_wrong_of_former_backlogs_where_they_are_counted(counted: Engine) -> None:
    fold(counted)
    right = sums(counted)
    with writing(counted) as connection:
        connection.execute(update(work_counts).where(work_counts.c.run_id == FOLDED_RUN).values(media=9))
    with writing(counted) as connection:
        corrections = recount(connection)
    assert {one.run_id for one in corrections} == {FOLDED_RUN}
    assert sums(counted) == right


def test_beat_does_it_after_the_days_that_the_settings_say(counted: Engine) -> None:
    before = sums(counted)
    forget_all(counted, RetentionSettings(counts_days=365_000.0))
    assert OLD in backlogs(counted)
    forget_all(counted, RetentionSettings())
    assert OLD not in backlogs(counted)
    assert sums(counted) == before
