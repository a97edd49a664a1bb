"""Counts of backlogs that ended long ago are summed up: else they grow with each backlog, and are read all the time."""

from typing import Final

from sqlalchemy import Connection, text

from annotator.store.dialect import earlier, given_ids, ids_param, now
from annotator.store.queue.counts import FOLDED_RUN, hold_counts

# Pending and claimed media keep their backlog: it says whether anybody is asked to do them.
_SETTLED: Final = 2
_FORMER: Final = (
    "SELECT DISTINCT c.run_id FROM work_counts c JOIN runs r ON r.id = c.run_id"  # noqa: S608  (constants)
    f" WHERE c.state >= {_SETTLED} AND r.finished_at < {{before}} ORDER BY c.run_id LIMIT :limit"
)
_SUM_UP: Final = (
    "INSERT INTO work_counts AS c (network_id, run_id, lane, state, reason, media, cost_ms)"  # noqa: S608  (constants)
    f" SELECT network_id, {FOLDED_RUN}, lane, state, reason, sum(media), sum(cost_ms) FROM work_counts"
    f" WHERE run_id {{given}} AND state >= {_SETTLED} GROUP BY network_id, lane, state, reason"
    " ON CONFLICT (network_id, run_id, lane, state, reason) DO UPDATE"
    " SET media = c.media + excluded.media, cost_ms = c.cost_ms + excluded.cost_ms"
)


def fold_counts(connection: Connection, *, after_s: float, limit: int) -> int:
    """Add the counts of settled media of former backlogs to those of all former backlogs; sums stay what they are.

    What still changes of such a backlog (a media is tried again, or has changed) is counted under it as ever, and is
    added by a later call.

    Args:
        connection: in a writing transaction.
        after_s: how long ago a backlog must have ended.
        limit: most backlogs.

    Returns:
        How many backlogs; call again when as many were.

    """
    hold_counts(connection)
    former = text(_FORMER.format(before=earlier(connection, "after_s")))
    run_ids = connection.execute(former, {"after_s": after_s, "limit": limit}).scalars().all()
    if not run_ids:
        return 0
    given, bound = given_ids(connection), {"ids": ids_param(connection, run_ids)}
    connection.execute(text(_SUM_UP.format(given=given)), bound)
    connection.execute(text(f"DELETE FROM work_counts WHERE run_id {given} AND state >= {_SETTLED}"), bound)  # noqa: S608
    folded = f"UPDATE runs SET folded_at = {now(connection)} WHERE id {given} AND folded_at IS NULL"  # noqa: S608
    connection.execute(text(folded), bound)
    return len(run_ids)
