"""Registration: what a listing says of objects becomes media, work and chunks, some thousands of objects at a time.

The rows never pass through Python: COPY takes the objects into a temporary table, and SQL does the rest. ``pieces`` is
the temporary table of what is to travel; whatever leads to work goes through it, so lane, cost, chunks and counts are
made in one place. Rows of unchanged objects are read, never written.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, text

from annotator.errors import RegisteredMeanwhileError
from annotator.store.backlog.gone import KeyRange
from annotator.store.backlog.missing import forget_listed, note_missing
from annotator.store.dialect import is_postgres, now
from annotator.store.queue.attempts import NEXT_ATTEMPT
from annotator.store.queue.chunks import ChunkLimits
from annotator.store.queue.counts import Delta, add_deltas, moved
from annotator.store.queue.lanes import COST_SQL, FILM, LANE_SQL
from annotator.store.tables import WorkState

# A full chunk, in the units in which pieces fill it; an integer, so that equal pieces make equal chunks.
_FULL: Final = 1_000_000
_COPY_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, and how.

    Attributes:
        run_id: the backlog.
        network_id: which network is to annotate.
        source_id: where the objects lie.
        priority: higher goes first; what is pending with a lower one is taken over.
        refresh: also what is annotated.
        has_callback: somebody wants to be told of each media: what is pending for nobody else is taken over.
        is_queued_later: chunks are made at the end, in an order of their own.

    """

    run_id: int
    network_id: int
    source_id: int
    priority: int = 0
    refresh: bool = False
    has_callback: bool = False
    is_queued_later: bool = False


@dataclass(slots=True)
class ListingCount:
    """What a listing has come to.

    Attributes:
        listed: objects that are wanted.
        new: not known before.
        changed: known with another version mark.
        deleted: known, and marked as gone.
        queued: put into chunks, or to be at the end.
        chunks: made.
        left_out: objects that a filter refuses, or that cannot be registered.
        missing: known and not listed; whether they are gone is decided when all is listed.

    """

    listed: int = 0
    new: int = 0
    changed: int = 0
    deleted: int = 0
    queued: int = 0
    chunks: int = 0
    left_out: int = 0
    missing: int = 0

    def add(self, other: "ListingCount") -> None:
        """Add another part of the listing."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def register_objects(
    connection: Connection,
    asked: Asked,
    objects: Sequence[tuple[str, str, int]],
    *,
    told: KeyRange | None,
    limits: ChunkLimits,
) -> ListingCount:
    """Register objects in the caller's transaction.

    Args:
        connection: in a writing transaction.
        asked: who asks for them.
        objects: key, etag and size, in the order of their keys.
        told: of which keys these objects are all; None where they are a choice, and nothing can be said to be missing.
        limits: of a chunk.

    Raises:
        TooManyMissingError: register a part of them.
        RegisteredMeanwhileError: another transaction has registered some of them; run this one again.
        sqlalchemy.exc.IntegrityError: as well.

    """
    count = ListingCount(listed=len(objects))
    make_tables(connection)
    _copy(connection, objects)
    if told is not None:
        count.missing = note_missing(connection, asked.run_id, asked.source_id, told)
    if objects:
        forget_listed(connection, asked.source_id, objects[0][0], objects[-1][0])
        _find_pieces(connection, asked, objects, count)
        count.queued = _ask_for_work(connection, asked)
        if count.queued and not asked.is_queued_later:
            count.chunks = add_chunks_of_pieces(connection, asked, limits)
    return count


# ------------------------------------------------------------------------------------------------- temporary tables


def make_tables(connection: Connection) -> None:
    """Make ``listed`` and ``pieces``, empty; on Postgres each connection keeps its own, and a commit empties them."""
    listed = 'key text COLLATE "C", etag text, size_bytes bigint'
    pieces = "id bigint, place bigint, kind smallint, is_changed boolean, lane text, cost_ms integer, size_bytes bigint"
    for name, columns in (("listed", listed), ("pieces", pieces)):
        if is_postgres(connection):
            there = connection.execute(text(f"SELECT to_regclass('pg_temp.{name}') IS NOT NULL")).scalar_one()
            made = f"CREATE TEMP TABLE {name} ({columns}) ON COMMIT DELETE ROWS"
            connection.execute(text(f"DELETE FROM pg_temp.{name}" if there else made))  # noqa: S608  (constants)
        else:
            plain = columns.replace(' COLLATE "C"', "")
            connection.execute(text(f"CREATE TEMP TABLE IF NOT EXISTS {name} ({plain})"))
            connection.execute(text(f"DELETE FROM temp.{name}"))  # noqa: S608  (constants)


def _copy(connection: Connection, objects: Sequence[tuple[str, str, int]]) -> None:
    cursor: Any = connection.connection.cursor()
    if is_postgres(connection):
        cursor.copy_expert("COPY pg_temp.listed FROM STDIN", io.StringIO(_copy_lines(objects)))
    else:
        cursor.executemany("INSERT INTO temp.listed VALUES (?, ?, ?)", objects)


def _copy_lines(objects: Sequence[tuple[str, str, int]]) -> str:
    r"""Return what COPY reads. Most keys have nothing to escape, which is cheaper to see afterwards, all at once.

    >>> _copy_lines([("a\tb", "1", 2)])
    'a\\tb\t1\t2\n'
    """
    lines = "".join([f"{key}\t{etag}\t{size_bytes}\n" for key, etag, size_bytes in objects])
    count = len(objects)
    if lines.count("\t") == 2 * count and lines.count("\n") == count and "\\" not in lines and "\r" not in lines:
        return lines
    return "".join(f"{copy_field(key)}\t{copy_field(etag)}\t{size_bytes}\n" for key, etag, size_bytes in objects)


def copy_field(value: str) -> str:
    """Return a text as a field that COPY reads."""
    return value.translate(_COPY_ESCAPES)


# ------------------------------------------------------------------------------------------------- what is to be done

# The bounds repeat what the join says: with them the planner reads a stretch of the index, whatever it believes.
_KNOWN: Final = "media.source_id = :source AND media.key = listed.key AND media.key BETWEEN :low AND :high"
_WITH_WORK: Final = (
    " LEFT JOIN work ON work.network_id = :network AND work.media_id = media.id"
    " LEFT JOIN runs AS asker ON asker.id = work.run_id"
)
_CHANGED: Final = "media.etag IS DISTINCT FROM listed.etag"
# Pending for somebody else whom this backlog outranks, who has stopped, or who does not ask to be told.
_TAKEN: Final = (
    "(work.state = 0 AND work.run_id IS DISTINCT FROM :run AND (coalesce(asker.priority, 0) < :priority OR :refresh"
    " OR asker.stopped_at IS NOT NULL OR (:has_callback AND asker.callback_url IS NULL)))"
)
_REFRESHED: Final = "(:refresh AND work.state <> 0 AND work.run_id IS DISTINCT FROM :run)"
# It failed because it was not there, was marked as gone, and is there again.
_BACK: Final = "(media.deleted_at IS NOT NULL AND work.reason = 'not_found' AND work.state > 1)"
_NEW, _AGAIN, _TAKEN_OVER = 0, 1, 2

_LOOK: Final = (
    "SELECT count(*) - count(media.id) AS new, coalesce(sum(CASE WHEN media.id IS NOT NULL AND"  # noqa: S608  (constants)
    f" {_CHANGED} THEN 1 ELSE 0 END), 0) AS changed,"
    " coalesce(sum(CASE WHEN media.deleted_at IS NOT NULL THEN 1 ELSE 0 END), 0) AS revived,"
    f" coalesce(sum(CASE WHEN media.id IS NOT NULL AND (work.media_id IS NULL OR {_CHANGED} OR {_TAKEN}"
    f" OR {_REFRESHED} OR {_BACK}) THEN 1 ELSE 0 END), 0) AS known"
    f" FROM listed LEFT JOIN media ON {_KNOWN}{_WITH_WORK}"
)
_PIECES: Final = "INSERT INTO pieces (id, place, kind, is_changed, lane, cost_ms, size_bytes)"
_ADD_KNOWN: Final = (
    f"{_PIECES} SELECT id, id, kind, is_changed, {LANE_SQL}, {COST_SQL}, size_bytes FROM ("  # noqa: S608  (constants)
    f"SELECT media.id, {_CHANGED} AS is_changed, CASE WHEN work.media_id IS NULL THEN {_NEW}"
    f" WHEN {_CHANGED} OR {_REFRESHED} OR {_BACK} THEN {_AGAIN} ELSE {_TAKEN_OVER} END AS kind,"
    " listed.key, listed.size_bytes"
    f" FROM listed JOIN media ON {_KNOWN}{_WITH_WORK}"
    f" WHERE work.media_id IS NULL OR {_CHANGED} OR {_TAKEN} OR {_REFRESHED} OR {_BACK}) AS known"
)
_UPDATE_CHANGED: Final = (
    "UPDATE media SET etag = listed.etag, size_bytes = listed.size_bytes, content_id = NULL, deleted_at = NULL"  # noqa: S608  (constants)
    f" FROM listed WHERE {_KNOWN} AND {_CHANGED} AND media.id IN (SELECT id FROM pieces WHERE is_changed)"
)
_REVIVE: Final = f"UPDATE media SET deleted_at = NULL FROM listed WHERE {_KNOWN} AND media.deleted_at IS NOT NULL"  # noqa: S608
_INSERT: Final = (
    "INSERT INTO media (source_id, key, etag, size_bytes)"  # noqa: S608  (constants)
    " SELECT :source, listed.key, listed.etag, listed.size_bytes FROM listed"
    f" WHERE NOT EXISTS (SELECT 1 FROM media WHERE {_KNOWN}) ORDER BY listed.key"
)
_ADD_NEW: Final = (
    f"WITH fresh AS ({_INSERT} RETURNING id, key, size_bytes)"  # noqa: S608  (constants)
    f" {_PIECES} SELECT id, id, {_NEW}, false, {LANE_SQL}, {COST_SQL}, size_bytes FROM fresh"
)


def _find_pieces(
    connection: Connection, asked: Asked, objects: Sequence[tuple[str, str, int]], count: ListingCount
) -> None:
    """Bring ``media`` up to date, and put what is to travel into ``pieces``."""
    bound = _bound(asked) | {"low": objects[0][0], "high": objects[-1][0]}
    seen = connection.execute(text(_LOOK), bound).one()
    count.new, count.changed = int(seen.new), int(seen.changed)
    if count.new and not is_postgres(connection):  # no INSERT inside of a statement: they are found as known ones
        connection.execute(text(_INSERT), bound)
    if seen.known or (count.new and not is_postgres(connection)):
        connection.execute(text(_ADD_KNOWN), bound)
    if count.new and is_postgres(connection) and connection.execute(text(_ADD_NEW), bound).rowcount != count.new:
        raise RegisteredMeanwhileError("the same objects are registered by somebody else at the same time")
    if count.changed:
        _forget_elsewhere(connection, asked.network_id)
        connection.execute(text(_UPDATE_CHANGED), bound)
    if seen.revived:
        connection.execute(text(_REVIVE), bound)


def _bound(asked: Asked) -> dict[str, Any]:
    return {
        "source": asked.source_id,
        "network": asked.network_id,
        "run": asked.run_id,
        "priority": asked.priority,
        "refresh": asked.refresh,
        "has_callback": asked.has_callback,
    }


def _forget_elsewhere(connection: Connection, network_id: int) -> None:
    """What other networks have settled of objects that have changed is no longer so; their next backlog asks anew."""
    for other in connection.execute(text("SELECT id FROM networks WHERE id <> :n"), {"n": network_id}).scalars().all():
        settled = text(
            "DELETE FROM work WHERE network_id = :n AND state >= 2"
            " AND media_id IN (SELECT id FROM pieces WHERE is_changed) RETURNING state, run_id, lane, reason, cost_ms"
        )
        rows = connection.execute(settled, {"n": other}).all()
        for state in sorted({row.state for row in rows}):
            of_state = [row for row in rows if row.state == state]
            add_deltas(connection, moved(of_state, network_id=other, left=WorkState(state), reached=None))


# --------------------------------------------------------------------------------------------------------------- work

_INSERT_WORK: Final = (
    "INSERT INTO work (network_id, media_id, run_id, lane, cost_ms)"  # noqa: S608  (constants)
    f" SELECT :network, id, :run, lane, cost_ms FROM pieces WHERE kind = {_NEW} ORDER BY id"
)
# Who has it in hand is fenced out by the number of the attempt; what was tried before counts no more.
_RESET_WORK: Final = (
    f"UPDATE work SET state = 0, attempts = {NEXT_ATTEMPT}, losses = {NEXT_ATTEMPT}, free_tries = 0,"  # noqa: S608  (constants)
    " deaths = 0, suspect = false, session_id = NULL, deadline_at = NULL, not_before = NULL, finished_at = NULL,"
    " reason = NULL, message = NULL, run_id = :run, lane = pieces.lane, cost_ms = pieces.cost_ms"
    f" FROM pieces WHERE work.network_id = :network AND work.media_id = pieces.id AND pieces.kind = {_AGAIN}"
)
_TAKE_WORK: Final = (
    "UPDATE work SET run_id = :run, lane = pieces.lane, cost_ms = pieces.cost_ms"  # noqa: S608  (constants)
    f" FROM pieces WHERE work.network_id = :network AND work.media_id = pieces.id AND pieces.kind = {_TAKEN_OVER}"
)
# Forgotten since it was looked at: another network's producer has found the object changed.
_WITHOUT_WORK: Final = (
    f"UPDATE pieces SET kind = {_NEW} WHERE kind <> {_NEW} AND NOT EXISTS"  # noqa: S608  (constants)
    " (SELECT 1 FROM work WHERE work.network_id = :network AND work.media_id = pieces.id)"
)
# Claimed since it was looked at: it keeps its asker.
_DROP_CLAIMED: Final = (
    f"DELETE FROM pieces WHERE kind = {_TAKEN_OVER} AND NOT EXISTS"  # noqa: S608  (constants)
    " (SELECT 1 FROM work WHERE work.network_id = :network AND work.media_id = pieces.id AND work.state = 0)"
)


# Results stay until new ones replace them; whoever looks whether bytes are annotated is told no.
_MARK_STALE: Final = (
    "INSERT INTO stale_contents (network_id, content_id)"
    " SELECT DISTINCT CAST(:network AS integer), media.content_id FROM pieces JOIN media ON media.id = pieces.id"
    " WHERE media.content_id IS NOT NULL ORDER BY media.content_id ON CONFLICT DO NOTHING"
)


def _ask_for_work(connection: Connection, asked: Asked) -> int:
    """Make or reset the work rows of the pieces, with the counts; return how many media travel."""
    bound = {"network": asked.network_id, "run": asked.run_id}
    kinds = set(connection.execute(text("SELECT DISTINCT kind FROM pieces")).scalars())
    if kinds & {_AGAIN, _TAKEN_OVER}:
        left = _lock_known(connection, asked.network_id)
        connection.execute(text(_WITHOUT_WORK), bound)
        connection.execute(text(_DROP_CLAIMED), bound)
        connection.execute(text(_RESET_WORK), bound)
        connection.execute(text(_TAKE_WORK), bound)
        add_deltas(connection, left)
    if kinds:
        connection.execute(text(_INSERT_WORK), bound)
    if asked.refresh:
        connection.execute(text(_MARK_STALE), {"network": asked.network_id})
    summed = text("SELECT lane, count(*) AS media, sum(cost_ms) AS cost_ms FROM pieces GROUP BY lane")
    pending = connection.execute(summed).all()
    reached = (asked.network_id, asked.run_id)
    add_deltas(
        connection,
        [Delta(*reached, row.lane, WorkState.PENDING, None, int(row.media), int(row.cost_ms)) for row in pending],
    )
    return sum(int(row.media) for row in pending)


def _lock_known(connection: Connection, network_id: int) -> list[Delta]:
    """Hold the rows that are about to be moved; return by how much their states lose."""
    rows = "SELECT work.state, work.run_id, work.lane, work.reason, work.cost_ms, pieces.kind FROM pieces"
    rows += f" JOIN work ON work.network_id = :network AND work.media_id = pieces.id WHERE pieces.kind <> {_NEW}"
    if is_postgres(connection):
        rows += " ORDER BY work.media_id FOR UPDATE OF work"
    statement = text(
        "SELECT state, run_id, lane, reason, count(*) AS media, sum(cost_ms) AS cost_ms"  # noqa: S608  (constants)
        f" FROM ({rows}) AS held WHERE kind = {_AGAIN} OR state = 0 GROUP BY state, run_id, lane, reason"
    )
    return [
        Delta(network_id, row.run_id, row.lane, WorkState(row.state), row.reason, -int(row.media), -int(row.cost_ms))
        for row in connection.execute(statement, {"network": network_id})
    ]


# ------------------------------------------------------------------------------------------------------------- chunks


def add_chunks_of_pieces(connection: Connection, asked: Asked, limits: ChunkLimits) -> int:
    """Add chunks of what is in ``pieces``, by ``place``; return how many.

    A piece fills a part of its chunk: of its number, its bytes or its cost, whichever is most. A chunk takes pieces
    until it is full, so the last one may go over; films go alone.
    """
    least, most = ("least", "greatest") if is_postgres(connection) else ("min", "max")
    ids = "array_agg(id ORDER BY place)" if is_postgres(connection) else "json_group_array(id)"
    parts = (
        f"{-(-_FULL // limits.media)}, coalesce(size_bytes, 0) * {_FULL} / {limits.size_bytes},"
        f" CAST(cost_ms AS bigint) * {_FULL} / {limits.cost_ms}"
    )
    # Sums of integers are fast, those of bigint are numeric.
    weighed = f"SELECT *, CAST({least}({_FULL}, {most}({parts})) AS integer) AS part FROM pieces"  # noqa: S608  (constants)
    filled = "sum(part) OVER (PARTITION BY lane ORDER BY place ROWS UNBOUNDED PRECEDING) - part"
    packed = (
        f"SELECT *, CASE lane WHEN '{FILM}' THEN -place ELSE ({filled}) / {_FULL} END AS number"  # noqa: S608  (constants)
        f" FROM ({weighed}) AS weighed ORDER BY place"
    )
    statement = text(
        "INSERT INTO chunks (network_id, run_id, lane, priority, state, media_ids, cost_ms, created_at)"  # noqa: S608  (constants)
        f" SELECT :network, :run, lane, :priority, 0, {ids}, sum(cost_ms), {now(connection)}"
        f" FROM ({packed}) AS packed GROUP BY lane, number ORDER BY min(place)"
    )
    bound = {"network": asked.network_id, "run": asked.run_id, "priority": asked.priority}
    return connection.execute(statement, bound).rowcount
