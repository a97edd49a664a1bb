"""The work of a queue: claims, reports, the fence. The protocol is told in docs/queue.md.

The row is the truth. A worker session claims media by their ids; what it reports counts only while the row still
names this session and this attempt (the fence). The clock is the database's. Every function works inside the caller's
writing transaction, on SQLite and on Postgres.
"""

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, text, update

from annotator.store.dialect import given_ids, ids_param, is_postgres, later, later_column, now
from annotator.store.queue.attempts import COUNT_ATTEMPT
from annotator.store.queue.chunks import USUAL_LIMITS, ChunkLimits, Piece
from annotator.store.queue.counts import add_deltas, moved, settled
from annotator.store.queue.lanes import Lane
from annotator.store.queue.requeue import Returned, add_again
from annotator.store.tables import WorkState, media, work
from annotator.types import MediaRef

# Four chunks share an engine, and their estimated cost may be wrong by a factor of four.
_WAITS_PER_COST: Final = 16


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
        free_tries: earlier ones that failed by no fault of the media, since it was asked for.
        run_id: the backlog that asked for it; None where nobody did.
        claimed_s: when, by this process's monotonic clock.

    """

    media_id: int
    session_id: int
    attempts: int
    media: MediaRef
    piece: Piece
    suspect: bool
    tries: int
    free_tries: int = 0
    run_id: int | None = None
    claimed_s: float = field(default_factory=time.monotonic, compare=False)

    @property
    def key(self) -> tuple[int, int, int]:
        """What tells this claim from every other one: the media and both halves of the fence."""
        return self.media_id, self.session_id, self.attempts


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
        costs_no_try: it is no fault of the media; the attempt is counted among its free tries.
        forgets_etag: the object has changed; read whatever it is now.
        runs_alone: it is suspected of what broke the engine; where it is pending, nothing else is in hand next time.

    """

    claim: Claim
    state: WorkState
    reason: str | None = None
    message: str | None = None
    delay_s: float | None = None
    gives_back: bool = False
    costs_no_try: bool = False
    forgets_etag: bool = False
    runs_alone: bool = False


# ------------------------------------------------------------------------------------------------------------ claims


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a claim may last, in seconds.

    Media of a chunk are claimed together and share an engine with the chunks of the other threads, so most of them wait
    before anybody looks at them. Their deadline gives them the longest time of one media, and beyond it the time that
    the whole chunk may wait.

    Attributes:
        by_lane: the longest time of one media.

    """

    by_lane: dict[Lane, float] = field(default_factory=lambda: {"gif": 600.0, "film": 1800.0})

    def of(self, pieces: Collection[Piece]) -> float:
        """Return the deadline of media that are claimed together.

        It is at most twice that of one media: the broker's visibility timeout is at least as long.
        """
        longest_s = max(self.by_lane[piece.lane] for piece in pieces)
        return longest_s + min(longest_s, _WAITS_PER_COST * sum(piece.cost_ms for piece in pieces) / 1000)


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
        What was pending, in the order of the ids; nothing under a session that has ended.

    """
    described = {row.id: row for row in describe_media(connection, media_ids)}
    if not described:
        return []
    pieces = {media_id: Piece(media_id, key, size_bytes) for media_id, key, _, size_bytes, _ in described.values()}
    bound: dict[str, Any] = {
        "s": session_id,
        "n": network_id,
        "ids": ids_param(connection, sorted(described)),
        "wall": deadlines.of(list(pieces.values())),
        "suspect": suspects,
    }
    rows = connection.execute(text(_claim_sql(connection)), bound).all()
    add_deltas(connection, moved(rows, network_id=network_id, left=WorkState.PENDING, reached=WorkState.CLAIMED))
    won = {media_id: counted for media_id, *counted in rows}
    return [
        _claimed(won[media_id], session_id=session_id, described=described[media_id], piece=pieces[media_id])
        for media_id in media_ids
        if media_id in won
    ]


def give_back_unheard(connection: Connection, *, network_id: int, session_id: int, media_ids: Collection[int]) -> None:
    """Let be claimed again what a session has claimed without knowing: the connection broke at the commit.

    Args:
        connection: in a writing transaction.
        network_id: which network is to annotate them.
        session_id: the session that knows nothing of them.
        media_ids: which.

    """
    if not media_ids:
        return
    statement = text(
        "UPDATE work SET state = 0, session_id = NULL, deadline_at = NULL, losses = losses + 1"  # noqa: S608
        f" WHERE network_id = :n AND media_id {given_ids(connection)} AND session_id = :s AND state = 1"
        " RETURNING run_id, lane, cost_ms"
    )
    given = ids_param(connection, sorted(media_ids))
    rows = connection.execute(statement, {"n": network_id, "s": session_id, "ids": given}).all()
    add_deltas(connection, moved(rows, network_id=network_id, left=WorkState.CLAIMED, reached=WorkState.PENDING))


def extend(
    connection: Connection, *, network_id: int, session_id: int, media_ids: Collection[int], time_s: float
) -> None:
    """Give claims of a session more time, from now on; those that it has lost meanwhile are left.

    Args:
        connection: in a writing transaction.
        network_id: which network annotates them.
        session_id: the session that has claimed them.
        media_ids: which.
        time_s: until their deadline.

    """
    statement = text(
        f"UPDATE work SET deadline_at = {later(connection, 'wall')}"  # noqa: S608  (only constants are joined)
        f" WHERE network_id = :n AND media_id {given_ids(connection)} AND session_id = :s AND state = 1"
    )
    given = ids_param(connection, sorted(media_ids))
    connection.execute(statement, {"n": network_id, "s": session_id, "ids": given, "wall": time_s})


def _claim_sql(connection: Connection) -> str:
    # By primary key. Workers do not search: that is slow under one old snapshot.
    return (
        f"UPDATE work SET state = 1, session_id = :s, not_before = NULL, {COUNT_ATTEMPT},"  # noqa: S608  (only constants are joined)
        f" deadline_at = {later(connection, 'wall')}"
        f" WHERE network_id = :n AND media_id {given_ids(connection)} AND state = 0 AND suspect = :suspect"
        # A worker that does not know yet that it was taken for dead would burden innocent media with its next «death».
        " AND EXISTS (SELECT 1 FROM worker_sessions WHERE id = :s AND ended_at IS NULL)"
        " RETURNING media_id, attempts, losses, free_tries, suspect, run_id, lane, cost_ms"
    )


def _claimed(won: Sequence[Any], *, session_id: int, described: Row[*tuple[Any, ...]], piece: Piece) -> Claim:
    attempts, losses, free_tries, suspect, run_id, *_ = won
    media_id, key, etag, _, source_uri = described
    return Claim(
        media_id=media_id,
        session_id=session_id,
        attempts=attempts,
        media=MediaRef(media_id=key, uri=source_uri + key, etag=etag),
        piece=piece,
        suspect=bool(suspect),
        tries=attempts - losses,
        free_tries=free_tries,
        run_id=run_id,
    )


def find_suspects(connection: Connection, network_id: int, media_ids: Sequence[int]) -> list[int]:
    """Return those pending media that must run alone, and may run now."""
    statement = text(
        f"SELECT media_id FROM work WHERE network_id = :n AND media_id {given_ids(connection)}"  # noqa: S608
        f" AND state = 0 AND suspect AND (not_before IS NULL OR not_before <= {now(connection)}) ORDER BY media_id"
    )
    found = connection.execute(statement, {"n": network_id, "ids": ids_param(connection, media_ids)})
    return [row.media_id for row in found]


def describe_media(connection: Connection, media_ids: Sequence[int]) -> Sequence[Row[*tuple[Any, ...]]]:
    """Return id, key, etag, size and the source's URI of media."""
    wanted = text(
        "SELECT m.id, m.key, m.etag, m.size_bytes, s.uri FROM media m JOIN sources s ON s.id = m.source_id"  # noqa: S608
        f" WHERE m.id {given_ids(connection)}"
    )
    return connection.execute(wanted, {"ids": ids_param(connection, media_ids)}).all()


# ----------------------------------------------------------------------------------------------------------- reports

_REPORT_COLUMNS: Final = (
    ("media_id", "bigint"),
    ("session_id", "bigint"),
    ("attempts", "smallint"),
    ("state", "smallint"),
    ("reason", "text"),
    ("message", "text"),
    ("delay_s", "float8"),
    ("lost", "smallint"),
    ("free", "smallint"),
    ("alone", "smallint"),
)


def finish(
    connection: Connection, *, network_id: int, reports: Sequence[Report], limits: ChunkLimits = USUAL_LIMITS
) -> set[int]:
    """Report claims through the fence. Write results only for the ids returned, in the same transaction.

    Media that may be claimed again become chunks for the feeder.

    Args:
        connection: in a writing transaction.
        network_id: the network of the claims.
        reports: at most one per media.
        limits: of a chunk.

    Returns:
        The media of which the report counts; of the others somebody else decides.

    """
    if not reports:
        return set()
    given = ids_param(connection, [report.claim.media_id for report in reports])
    bound = {"rows": json.dumps([_report_row(report) for report in reports]), "n": network_id, "ids": given}
    counted = {row.media_id: row for row in connection.execute(text(_finish_sql(connection)), bound)}
    add_deltas(connection, settled(counted.values(), network_id=network_id))
    forgotten = [one.claim.media_id for one in reports if one.forgets_etag and one.claim.media_id in counted]
    if forgotten:
        connection.execute(update(media).where(media.c.id.in_(forgotten)).values(etag=None))
    pending = [one for one in reports if one.state == WorkState.PENDING and one.claim.media_id in counted]
    again = [_returned(one, counted[one.claim.media_id].run_id) for one in pending]
    add_again(connection, network_id, again, limits=limits)
    return set(counted)


def _finish_sql(connection: Connection) -> str:
    if is_postgres(connection):
        listed = ", ".join(f"{name} {kind}" for name, kind in _REPORT_COLUMNS)
        given = f"jsonb_to_recordset(CAST(:rows AS jsonb)) AS u({listed})"
    else:
        listed = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name, _ in _REPORT_COLUMNS)
        given = f"(SELECT {listed} FROM json_each(:rows)) AS u"  # noqa: S608  (only constants are joined)
    # «state = 1» is left out on purpose: with it the planner takes the hot sweep index.
    return (
        "UPDATE work SET state = u.state, session_id = NULL, deadline_at = NULL, reason = u.reason,"  # noqa: S608
        " message = u.message, losses = losses + u.lost, free_tries = free_tries + u.free,"
        f" not_before = {later_column(connection, 'u.delay_s')},"
        " suspect = CASE WHEN u.alone = 1 THEN true WHEN u.lost = 1 THEN suspect ELSE false END,"
        f" finished_at = CASE WHEN u.state = 0 THEN NULL ELSE {now(connection)} END"
        f" FROM {given}"
        " WHERE work.network_id = :n AND work.media_id = u.media_id AND work.session_id = u.session_id"
        # Said twice: whatever the planner thinks of the table's size (nothing yet, after a listing), it goes by key.
        f" AND work.attempts = u.attempts AND work.media_id {given_ids(connection)}"
        " RETURNING work.media_id, work.state, work.reason, work.run_id, work.lane, work.cost_ms"
    )


def _report_row(report: Report) -> dict[str, object]:
    return {
        "media_id": report.claim.media_id,
        "session_id": report.claim.session_id,
        "attempts": report.claim.attempts,
        "state": int(report.state),
        "reason": report.reason,
        "message": report.message,
        "delay_s": report.delay_s,
        "lost": int(report.gives_back or report.costs_no_try),
        "free": int(report.costs_no_try),
        "alone": int(report.runs_alone and report.state == WorkState.PENDING),
    }


def _returned(report: Report, run_id: int | None) -> Returned:
    is_alone = report.claim.suspect or report.runs_alone
    return Returned(report.claim.piece, run_id, is_alone=is_alone, delay_s=report.delay_s or None)


def clear_suspicion(connection: Connection, network_id: int, claims: Sequence[Claim]) -> None:
    """Say that the process lives after all: it was silent (its database was away), it did not die of these media.

    Only rows that nobody has claimed since are touched.
    """
    for one in claims:
        still = (work.c.network_id == network_id) & (work.c.media_id == one.media_id)
        unclaimed = (work.c.state == WorkState.PENDING) & (work.c.attempts == one.attempts)
        connection.execute(update(work).where(still, unclaimed).values(suspect=one.suspect))
