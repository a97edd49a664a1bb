"""The work of a queue: sessions, claims, the fence, the sweep. The protocol is told in docs/queue.md.

The row is the truth. A worker session claims media by their ids; what it reports counts only while the row still
names this session and this attempt (the fence). The clock is the database's. Every function works inside the caller's
writing transaction, on SQLite and on Postgres.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select, text, update

from annotator.store.chunks import LANES, ChunkLimits, Lane, Piece, add_chunks, pack
from annotator.store.columns import utc_now
from annotator.store.connection import open_engine, reading
from annotator.store.dialect import earlier, given_ids, ids_param, is_postgres, later, later_column, now
from annotator.store.tables import WorkState, media, sources, work, worker_sessions
from annotator.types import MediaRef

MAX_SWEPT: Final = 1000
_MAX_DEATHS: Final = 2


@dataclass(frozen=True, slots=True)
class Claim:
    """A media that a session has claimed.

    Attributes:
        media_id: its row.
        session_id: who has it: the first half of the fence.
        attempts: the number of this claim: the second half of the fence.
        media: what to read.
        piece: how it travels.
        suspect: the process that had it before died; it must run alone.
        tries: claims that ended with a verdict, this one included.

    """

    media_id: int
    session_id: int
    attempts: int
    media: MediaRef
    piece: Piece
    suspect: bool
    tries: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a session reports of a claim.

    Attributes:
        claim: which one.
        state: ``DONE``, ``FAILED``, or ``PENDING`` to let it be claimed again.
        reason: short and stable; None where done or given back.
        message: a sentence.
        delay_s: how long to wait before it is claimed again.
        gives_back: nothing was found out; the attempt counts nothing.
        forgets_etag: the object has changed; read whatever it is now.

    """

    claim: Claim
    state: WorkState
    reason: str | None = None
    message: str | None = None
    delay_s: float | None = None
    gives_back: bool = False
    forgets_etag: bool = False


@dataclass(slots=True)
class SweepReport:
    """What a sweep has found: sessions that fell silent, and media by what became of them."""

    sessions: int = 0
    requeued: int = 0
    suspects: int = 0
    settled: int = 0


# ---------------------------------------------------------------------------------------------------------- sessions


def open_session(
    connection: Connection,
    *,
    worker: str,
    lanes: Collection[str] = LANES,
    queues: Collection[str] = (),
    device: str | None = None,
) -> int:
    """Open a session and return its id.

    Args:
        connection: in a writing transaction.
        worker: host and process, e.g. ``"gpu-7:4711"``.
        lanes: what it works on.
        queues: whose messages it takes, e.g. ``("gpu",)``.
        device: what its networks run on, e.g. ``"cpu"``; None where it loads none.

    """
    row = {"worker": worker, "lanes": sorted(lanes), "queues": sorted(queues), "device": device, "in_hand": 0}
    opened = insert(worker_sessions).values(started_at=utc_now(), seen_at=utc_now(), **row)
    return int(connection.execute(opened.returning(worker_sessions.c.id)).scalar_one())


def heartbeat(
    connection: Connection,
    session_id: int,
    *,
    in_hand: int,
    busy: Mapping[str, float] | None = None,
    media_done: int | None = None,
) -> bool:
    """Say that a session lives, and what it does.

    Args:
        connection: in a writing transaction.
        session_id: which.
        in_hand: media that it has claimed and not reported.
        busy: share of the time since the last heartbeat that each stage was busy, 0 to 1; None where nobody measures.
        media_done: media that it has reported since it was opened; None where nobody counts.

    Returns:
        False if the session has been ended by a sweeper: drop all in hand and open a new one.

    """
    measured = {"busy": None if busy is None else dict(busy), "media_done": media_done}
    said = {"in_hand": in_hand} | {name: value for name, value in measured.items() if value is not None}
    beat = (
        update(worker_sessions)
        .where(worker_sessions.c.id == session_id, worker_sessions.c.ended_at.is_(None))
        .values(seen_at=utc_now(), **said)
    )
    return connection.execute(beat).rowcount == 1


def close_session(connection: Connection, session_id: int) -> None:
    """End a session in an orderly way; give back what it has in hand first."""
    closed = update(worker_sessions).where(worker_sessions.c.id == session_id, worker_sessions.c.ended_at.is_(None))
    connection.execute(closed.values(ended_at=utc_now(), in_hand=0))


def end_sessions_of(connection: Connection, worker: str) -> None:
    """End the sessions of a process that is known to be dead, so that the next sweep takes its media back at once.

    Args:
        connection: in a writing transaction.
        worker: host and process, as given to :func:`open_session`.

    """
    of_process = (worker_sessions.c.worker == worker) & worker_sessions.c.ended_at.is_(None)
    connection.execute(update(worker_sessions).where(of_process).values(ended_at=utc_now()))


def is_worker_ready(database_url: str, pid: int) -> bool:
    """Say whether a worker process has an open session: it is warmed up and takes work."""
    engine = open_engine(database_url)
    try:
        with reading(engine) as connection:
            of_process = worker_sessions.c.worker.like(f"%:{pid}") & worker_sessions.c.ended_at.is_(None)
            found = select(func.count()).select_from(worker_sessions).where(of_process)
            return connection.execute(found).scalar_one() > 0
    finally:
        engine.dispose()


# ------------------------------------------------------------------------------------------------------------ claims


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a claim may last, in seconds, by lane."""

    by_lane: dict[Lane, float] = field(default_factory=lambda: {"gif": 600.0, "film": 1800.0})

    def of(self, pieces: Collection[Piece]) -> float:
        """Return the longest deadline of some media."""
        return max(self.by_lane[piece.lane] for piece in pieces)


def claim(
    connection: Connection,
    *,
    network_id: int,
    media_ids: Sequence[int],
    session_id: int,
    deadlines: Deadlines,
    suspects: bool = False,
) -> list[Claim]:
    """Claim media by id; who comes second gets nothing.

    Args:
        connection: in a writing transaction.
        network_id: which network is to annotate them.
        media_ids: those of a message.
        session_id: who claims.
        deadlines: after which the sweeper takes them back.
        suspects: claim suspects only, for running alone; by default they are left out.

    Returns:
        What was pending, in the order of the ids.

    """
    described = {row.id: row for row in _describe(connection, media_ids)}
    if not described:
        return []
    pieces = {row.id: Piece(row.id, row.key, row.size_bytes) for row in described.values()}
    # By primary key. Workers do not search: that is slow under one old snapshot.
    statement = text(
        f"UPDATE work SET state = 1, session_id = :s, attempts = attempts + 1, not_before = NULL,"  # noqa: S608  (only constants are joined)
        f" deadline_at = {later(connection, 'wall')}"
        f" WHERE network_id = :n AND media_id {given_ids(connection)} AND state = 0"
        f" AND suspect = :suspect RETURNING media_id, attempts, losses, suspect"
    )
    given = ids_param(connection, sorted(described))
    bound: dict[str, Any] = {
        "s": session_id,
        "n": network_id,
        "ids": given,
        "wall": deadlines.of(list(pieces.values())),
    }
    bound["suspect"] = suspects
    won = {row.media_id: row for row in connection.execute(statement, bound)}
    return [
        Claim(
            media_id=media_id,
            session_id=session_id,
            attempts=won[media_id].attempts,
            media=_media_ref(described[media_id]),
            piece=pieces[media_id],
            suspect=bool(won[media_id].suspect),
            tries=won[media_id].attempts - won[media_id].losses,
        )
        for media_id in media_ids
        if media_id in won
    ]


def find_suspects(connection: Connection, network_id: int, media_ids: Sequence[int]) -> list[int]:
    """Return those pending media that must run alone."""
    statement = text(
        f"SELECT media_id FROM work WHERE network_id = :n AND media_id {given_ids(connection)}"  # noqa: S608
        " AND state = 0 AND suspect ORDER BY media_id"
    )
    found = connection.execute(statement, {"n": network_id, "ids": ids_param(connection, media_ids)})
    return [row.media_id for row in found]


def _describe(connection: Connection, media_ids: Sequence[int]) -> Sequence[Row[*tuple[Any, ...]]]:
    wanted = select(media.c.id, media.c.key, media.c.etag, media.c.size_bytes, sources.c.uri)
    joined = wanted.join_from(media, sources, media.c.source_id == sources.c.id)
    return connection.execute(joined.where(media.c.id.in_(media_ids))).all()


def _media_ref(row: Row[*tuple[Any, ...]]) -> MediaRef:
    return MediaRef(media_id=row.key, uri=row.uri + row.key, etag=row.etag)


def finish(connection: Connection, *, network_id: int, reports: Sequence[Report]) -> set[int]:
    """Report claims through the fence. Write results only for the ids returned, in the same transaction.

    Media that may be claimed again become chunks for the feeder.

    Args:
        connection: in a writing transaction.
        network_id: the network of the claims.
        reports: at most one per media.

    Returns:
        The media of which the report counts; of the others somebody else decides.

    """
    if not reports:
        return set()
    columns = (
        ("media_id", "bigint"),
        ("session_id", "bigint"),
        ("attempts", "smallint"),
        ("state", "smallint"),
        ("reason", "text"),
        ("message", "text"),
        ("delay_s", "float8"),
        ("lost", "smallint"),
    )
    if is_postgres(connection):
        listed = ", ".join(f"{name} {kind}" for name, kind in columns)
        given = f"jsonb_to_recordset(CAST(:rows AS jsonb)) AS u({listed})"
    else:
        listed = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name, _ in columns)
        given = f"(SELECT {listed} FROM json_each(:rows)) AS u"  # noqa: S608  (only constants are joined)
    # «state = 1» is left out on purpose: with it the planner takes the hot sweep index.
    statement = text(
        f"UPDATE work SET state = u.state, session_id = NULL, deadline_at = NULL, reason = u.reason,"  # noqa: S608
        f" message = u.message, losses = losses + u.lost, not_before = {later_column(connection, 'u.delay_s')},"
        f" suspect = CASE WHEN u.lost = 1 THEN suspect ELSE false END,"
        f" finished_at = CASE WHEN u.state = 0 THEN NULL ELSE {now(connection)} END"
        f" FROM {given}"
        f" WHERE work.network_id = :n AND work.media_id = u.media_id AND work.session_id = u.session_id"
        f" AND work.attempts = u.attempts RETURNING work.media_id"
    )
    rows = json.dumps([_report_row(report) for report in reports])
    counted = {row.media_id for row in connection.execute(statement, {"rows": rows, "n": network_id})}
    _requeue_reported(connection, network_id, [one for one in reports if one.claim.media_id in counted])
    return counted


def _report_row(report: Report) -> dict[str, object]:
    return {
        "media_id": report.claim.media_id,
        "session_id": report.claim.session_id,
        "attempts": report.claim.attempts,
        "state": int(report.state),
        "reason": report.reason,
        "message": report.message,
        "delay_s": report.delay_s,
        "lost": int(report.gives_back),
    }


def _requeue_reported(connection: Connection, network_id: int, reports: Sequence[Report]) -> None:
    forgotten = [report.claim.media_id for report in reports if report.forgets_etag]
    if forgotten:
        connection.execute(update(media).where(media.c.id.in_(forgotten)).values(etag=None))
    pending = [report for report in reports if report.state == WorkState.PENDING]
    for delay_s in sorted({report.delay_s or 0.0 for report in pending}):
        pieces = [report.claim.piece for report in pending if (report.delay_s or 0.0) == delay_s]
        alone = {report.claim.media_id for report in pending if report.claim.suspect}
        add_chunks(connection, network_id, _groups(pieces, alone), delay_s=delay_s or None)


def _groups(pieces: Sequence[Piece], alone: Collection[int]) -> list[list[Piece]]:
    together = [piece for piece in pieces if piece.media_id not in alone]
    return [*pack(together, limits=ChunkLimits()), *([piece] for piece in pieces if piece.media_id in alone)]


# ------------------------------------------------------------------------------------------------------------- sweep


def sweep(connection: Connection, *, session_timeout_s: float, max_tries: int) -> SweepReport:
    """Take back what was lost: claims of sessions that fell silent, and claims past their deadline.

    A session that falls silent is taken for dead; its media are suspects and run alone next time. A suspect that is
    lost once more, alone, has killed its process: the second such death quarantines it. A claim that passes its
    deadline in a living session counts as a try.

    Args:
        connection: in a writing transaction.
        session_timeout_s: silence after which a session is over.
        max_tries: tries until a media that passes its deadline is given up.

    """
    silent = text(
        f"UPDATE worker_sessions SET ended_at = {now(connection)}"  # noqa: S608  (only constants are joined)
        f" WHERE ended_at IS NULL AND seen_at < {earlier(connection, 'timeout')} RETURNING id"
    )
    report = SweepReport(sessions=len(connection.execute(silent, {"timeout": session_timeout_s}).all()))
    bound = {"max_tries": max_tries, "max_deaths": _MAX_DEATHS, "limit": MAX_SWEPT}
    while swept := connection.execute(text(_sweep_sql(connection)), bound).all():
        _requeue_swept(connection, swept, report)
    return report


def _sweep_sql(connection: Connection) -> str:
    lost = (
        "SELECT w.network_id, w.media_id, s.ended_at IS NOT NULL AS died"  # noqa: S608  (only constants are joined)
        " FROM work w LEFT JOIN worker_sessions s ON s.id = w.session_id"
        f" WHERE w.state = 1 AND (w.deadline_at < {now(connection)} OR s.ended_at IS NOT NULL) LIMIT :limit"
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
        f" message = CASE WHEN {quarantined} THEN 'its worker process died twice with nothing else in hand'"
        f" WHEN {given_up} THEN 'not done before its deadline, several times' END,"
        f" finished_at = CASE WHEN ({quarantined}) OR ({given_up}) THEN {now(connection)} END,"
        " losses = losses + CASE WHEN lost.died THEN 1 ELSE 0 END,"
        " deaths = deaths + CASE WHEN lost.died AND suspect THEN 1 ELSE 0 END,"
        " suspect = suspect OR lost.died"
        " FROM lost WHERE work.network_id = lost.network_id AND work.media_id = lost.media_id"
        " RETURNING work.network_id, work.media_id, work.state, work.suspect"
    )


def _requeue_swept(connection: Connection, swept: Sequence[Row[*tuple[Any, ...]]], report: SweepReport) -> None:
    pending = [row for row in swept if row.state == WorkState.PENDING]
    pieces = {row.id: Piece(row.id, row.key, row.size_bytes) for row in _describe(connection, _ids(pending))}
    alone = {row.media_id for row in pending if row.suspect}
    for network_id in sorted({row.network_id for row in pending}):
        of_network = [pieces[row.media_id] for row in pending if row.network_id == network_id]
        add_chunks(connection, network_id, _groups(of_network, alone))
    report.requeued += len(pending)
    report.suspects += len(alone)
    report.settled += len(swept) - len(pending)


def _ids(rows: Sequence[Row[*tuple[Any, ...]]]) -> list[int]:
    return sorted({row.media_id for row in rows})


def clear_suspicion(connection: Connection, network_id: int, claims: Sequence[Claim]) -> None:
    """Say that the process lives after all: it was silent (its database was away), it did not die of these media.

    Only rows that nobody has claimed since are touched.
    """
    for one in claims:
        still = (work.c.network_id == network_id) & (work.c.media_id == one.media_id)
        unclaimed = (work.c.state == WorkState.PENDING) & (work.c.attempts == one.attempts)
        connection.execute(update(work).where(still, unclaimed).values(suspect=one.suspect))
