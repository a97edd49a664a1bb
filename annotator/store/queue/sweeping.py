"""The sweep: taking back what was lost, and deciding whose fault it was. The protocol is told in docs/queue.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, func, select, text, type_coerce

from annotator.store.columns import UtcTime
from annotator.store.dialect import earlier, is_postgres, later, later_value, now
from annotator.store.queue.chunks import USUAL_LIMITS, ChunkLimits, Piece, forget_lost, put_back_taken
from annotator.store.queue.counts import add_deltas, settled
from annotator.store.queue.feeding import follow_indexes
from annotator.store.queue.outbox import Told, find_receivers, tell_media
from annotator.store.queue.requeue import Returned, add_again
from annotator.store.queue.work import describe_media
from annotator.store.tables import WorkState, work

MAX_SWEPT: Final = 1000
# Workers also die of what no media has done: machines that are taken away, a shortage of memory. Where they are killed
# at random, one every 20 s, an innocent media that ran alone was killed a second time at about 1.5 % of these kills (a
# backlog of 1,000 media, 25 kills). A third time is far rarer, and costs one more death where a media is to blame.
_MAX_DEATHS: Final = 3
BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class SweepReport:
    """What a sweep has found: sessions that fell silent, and media by what became of them.

    Attributes:
        sessions: that fell silent.
        requeued: media that are pending again.
        suspects: those of them that run alone next time.
        settled: media that were given up.
        is_all: nothing is left for a further transaction.
        since: no claim has an earlier deadline, except such whose transactions ended just now.

    """

    sessions: int = 0
    requeued: int = 0
    suspects: int = 0
    settled: int = 0
    is_all: bool = True
    since: datetime = BEGINNING


def sweep(
    connection: Connection,
    *,
    session_timeout_s: float,
    max_tries: int,
    spares_silent: bool = False,
    since: datetime = BEGINNING,
    limits: ChunkLimits = USUAL_LIMITS,
) -> SweepReport:
    """Take back what was lost: claims of sessions that fell silent, and claims past their deadline.

    At most a thousand media: where more are lost, the report says so, and each thousand has a transaction of its own.

    A session that falls silent is taken for dead; its media are suspects and run alone next time. A suspect that is
    lost once more, alone, may have killed its process: the third such death quarantines it. A claim that passes its
    deadline in a living session counts as a try.

    Args:
        connection: in a writing transaction.
        session_timeout_s: silence after which a session is over.
        max_tries: tries until a media that passes its deadline is given up.
        spares_silent: the database was away: nobody could say that he lives, or report what he has done. Only what
            belongs to sessions that have ended is taken back.
        since: deadlines before this are not looked at, see :attr:`SweepReport.since`.
        limits: of a chunk.

    """
    follow_indexes(connection)
    report = SweepReport()
    if not spares_silent:
        report.sessions = _end_silent(connection, session_timeout_s)
    bound = {"max_tries": max_tries, "max_deaths": _MAX_DEATHS, "limit": MAX_SWEPT, "since": since}
    lost = text(_sweep_sql(connection, spares_silent=spares_silent)).bindparams(bindparam("since", type_=UtcTime()))
    swept = connection.execute(lost, bound).all()
    for network_id in {row.network_id for row in swept}:
        of_network = [row for row in swept if row.network_id == network_id]
        add_deltas(connection, settled(of_network, network_id=network_id))
    _requeue_swept(connection, swept, report, limits)
    _tell(connection, [row for row in swept if row.state != WorkState.PENDING])
    put_back_taken(connection)  # what a session that ended had taken and not yet claimed
    report.is_all = len(swept) < MAX_SWEPT
    report.since = _first_deadline(connection, since, margin_s=session_timeout_s)
    return report


def _end_silent(connection: Connection, timeout_s: float) -> int:
    # Where the database's clock was put back, a session that has died would count as living until it is late again.
    early = text(
        f"UPDATE worker_sessions SET seen_at = {now(connection)}"  # noqa: S608  (only constants are joined)
        f" WHERE ended_at IS NULL AND seen_at > {later(connection, 'timeout')}"
    )
    connection.execute(early, {"timeout": timeout_s})
    silent = text(
        f"UPDATE worker_sessions SET ended_at = {now(connection)}"  # noqa: S608  (only constants are joined)
        f" WHERE ended_at IS NULL AND seen_at < {earlier(connection, 'timeout')} RETURNING id"
    )
    return len(connection.execute(silent, {"timeout": timeout_s}).all())


def _first_deadline(connection: Connection, since: datetime, *, margin_s: float) -> datetime:
    """Return before which deadline no claim is left.

    Rows that were claimed once stay in the index while an old snapshot may see them; the next sweep begins behind them.
    A claim that is not committed yet may have any deadline after its beginning, and is not older than the margin.
    """
    claimed = (work.c.state == WorkState.CLAIMED) & (work.c.deadline_at >= since)
    first = connection.execute(select(func.min(work.c.deadline_at)).where(claimed)).scalar_one()
    clock = type_coerce(later_value(connection, -margin_s), UtcTime())
    latest = connection.execute(select(clock)).scalar_one()
    return latest if first is None else min(first, latest)


def _sweep_sql(connection: Connection, *, spares_silent: bool) -> str:
    is_late = "" if spares_silent else f"w.deadline_at < {now(connection)} OR "
    lost = (
        "SELECT w.network_id, w.media_id, s.ended_at IS NOT NULL AS died"  # noqa: S608  (only constants are joined)
        " FROM work w LEFT JOIN worker_sessions s ON s.id = w.session_id"
        " WHERE w.state = 1 AND w.deadline_at >= :since"
        f" AND ({is_late}s.ended_at IS NOT NULL) LIMIT :limit"
    )
    if is_postgres(connection):
        lost += " FOR UPDATE OF w SKIP LOCKED"
    quarantined = "lost.died AND suspect AND deaths + 1 >= :max_deaths"
    given_up = "NOT lost.died AND attempts - losses >= :max_tries"
    return (
        f"WITH lost AS {'MATERIALIZED ' if is_postgres(connection) else ''}({lost})"  # noqa: S608  (only constants are joined)
        " UPDATE work SET session_id = NULL, deadline_at = NULL,"
        f" state = CASE WHEN {quarantined} THEN 4 WHEN {given_up} THEN 3 ELSE 0 END,"
        f" reason = CASE WHEN {quarantined} THEN 'worker_died' WHEN {given_up} THEN 'deadline' END,"
        f" message = CASE WHEN {quarantined} THEN 'its worker process died three times with nothing else in hand'"
        f" WHEN {given_up} THEN 'not done before its deadline, several times' END,"
        f" finished_at = CASE WHEN ({quarantined}) OR ({given_up}) THEN {now(connection)} END,"
        " losses = losses + CASE WHEN lost.died THEN 1 ELSE 0 END,"
        " deaths = deaths + CASE WHEN lost.died AND suspect THEN 1 ELSE 0 END,"
        " suspect = suspect OR lost.died"
        " FROM lost WHERE work.network_id = lost.network_id AND work.media_id = lost.media_id"
        " RETURNING work.network_id, work.media_id, work.state, work.suspect,"
        " work.run_id, work.lane, work.cost_ms, work.reason,"
        " work.message, work.attempts, work.finished_at"
    )


def _requeue_swept(
    connection: Connection, swept: Sequence[Row[*tuple[Any, ...]]], report: SweepReport, limits: ChunkLimits
) -> None:
    pending = [row for row in swept if row.state == WorkState.PENDING]
    media_ids = sorted({row.media_id for row in pending})
    pieces = {row.id: Piece(row.id, row.key, row.size_bytes) for row in describe_media(connection, media_ids)}
    for network_id in sorted({row.network_id for row in swept}):
        forget_lost(connection, network_id, [row.media_id for row in swept if row.network_id == network_id])
        of_network = [row for row in pending if row.network_id == network_id]
        returned = [Returned(pieces[row.media_id], row.run_id, is_alone=row.suspect) for row in of_network]
        add_again(connection, network_id, returned, limits=limits)
    report.requeued += len(pending)
    report.suspects += sum(row.suspect for row in pending)
    report.settled += len(swept) - len(pending)


def _tell(connection: Connection, given_up: Sequence[Row[*tuple[Any, ...]]]) -> None:
    wanted = find_receivers(connection, {row.run_id for row in given_up if row.run_id is not None})
    for row in given_up:
        if row.run_id in wanted:
            told = Told(row.media_id, row.run_id, f"{row.attempts}-{row.finished_at}", row.reason, row.message)
            tell_media(connection, [told], network_id=row.network_id)
