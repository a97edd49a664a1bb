"""How many media are in which state, without counting them: deltas, their sums, and the repair from the rows.

Whoever moves rows of ``work`` between states appends in the same transaction by how much (:func:`add_deltas`). Nothing
is ever updated in place, so no two workers wait for each other, and an analyst's old snapshot slows nobody down. Beat
sums the deltas up (:func:`sum_up`). The counts of now are the sums and the deltas that are not in them yet, read in one
statement: one snapshot sees each delta in exactly one of the two.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, text

from annotator.store.dialect import is_postgres
from annotator.store.tables import WorkState, store_settings, work_deltas

# Deltas that one transaction sums up: some tenths of a second.
MAX_SUMMED: Final = 20_000
FOLDED_RUN: Final = -1
"""In place of a backlog: the settled media of all that ended long ago (``annotator.store.queue.folding``)."""
_COMPACTOR_LOCK: Final = 0x636F756E  # "coun": the key of Postgres's advisory lock of the one who sums up or repairs
_MARKS: Final = "work_deltas"  # the name of the row of store_settings
_COUNTED: Final = "work_is_counted"  # as well; it comes with the first count of all rows
_KEY: Final = ("network_id", "run_id", "lane", "state", "reason")
_COLUMNS: Final = ", ".join(_KEY)
_ADDED: Final = "media = c.media + excluded.media, cost_ms = c.cost_ms + excluded.cost_ms"
# With a range that has two ends the planner follows the primary key, also before it knows anything of the table.
_NEW: Final = f"id > :low AND id <= {(1 << 63) - 1}"
_Key = tuple[int, int, str, int, str]


@dataclass(frozen=True, slots=True)
class Delta:
    """By how much the number of media with these properties changed.

    Attributes:
        network_id: of the work.
        run_id: the backlog that asked for it; None where nobody did, :data:`FOLDED_RUN` for all that ended long ago.
        lane: how it travels.
        state: the state that was left (negative numbers) or reached (positive ones).
        reason: of failed and quarantined media; None in every other state.
        media: how many.
        cost_ms: their estimated cost together.

    """

    network_id: int
    run_id: int | None
    lane: str
    state: WorkState
    reason: str | None
    media: int
    cost_ms: int

    @property
    def key(self) -> _Key:
        """As it stands in the tables, which know no NULL: 0 for no backlog, the empty string for no reason."""
        reason = self.reason if self.state >= WorkState.FAILED else None
        return self.network_id, self.run_id or 0, self.lane, int(self.state), reason or ""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many media there are, by network, backlog, lane, state and reason.

    Attributes:
        rows: the counts; no two have the same key.

    """

    rows: tuple[Delta, ...]

    def media(self, *states: WorkState, **where: object) -> int:
        """Return the number of media in some states (all by default).

        Args:
            states: any of these.
            where: other attributes of :class:`Delta` that must be equal, e.g. ``lane="gif"``.

        >>> counts = Counts((Delta(1, None, "gif", WorkState.PENDING, None, 5, 300),))
        >>> counts.media(WorkState.PENDING, lane="gif"), counts.media(WorkState.DONE)
        (5, 0)
        """
        return sum(row.media for row in self._chosen(states, where))

    def cost_ms(self, *states: WorkState, **where: object) -> int:
        """Return the estimated cost of the media in some states (all by default); as :meth:`media`."""
        return sum(row.cost_ms for row in self._chosen(states, where))

    def _chosen(self, states: Sequence[WorkState], where: Mapping[str, object]) -> Iterable[Delta]:
        in_state = (row for row in self.rows if not states or row.state in states)
        return (row for row in in_state if all(getattr(row, name) == value for name, value in where.items()))


# ------------------------------------------------------------------------------------------------------------ append


def add_deltas(connection: Connection, deltas: Iterable[Delta]) -> None:
    """Append by how much the caller's transaction changes the counts; equal keys are added up.

    Call it after the rows of ``work`` have been moved: a delta must not be older than its transaction, or
    :func:`sum_up` may look past it.

    Args:
        connection: in a writing transaction.
        deltas: what was left and what was reached.

    """
    summed: dict[_Key, list[int]] = defaultdict(lambda: [0, 0])
    for delta in deltas:
        together = summed[delta.key]
        together[0] += delta.media
        together[1] += delta.cost_ms
    rows = [_row(key, media, cost_ms) for key, (media, cost_ms) in summed.items() if media or cost_ms]
    if rows:
        connection.execute(insert(work_deltas).inline(), rows)


def moved(
    rows: Iterable[Row[*tuple[Any, ...]]],
    *,
    network_id: int,
    left: WorkState | None,
    reached: WorkState | None,
) -> list[Delta]:
    """Return the deltas of rows of ``work`` that went from one state to another.

    Args:
        rows: with ``run_id``, ``lane`` and ``cost_ms``; with ``reason`` too where one of the states has reasons.
        network_id: of all of them.
        left: the state before; None where there was no row.
        reached: the state now; None where the row is gone.

    """
    has_reasons = max(left or 0, reached or 0) >= WorkState.FAILED
    summed: dict[tuple[int | None, str, str | None], list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        together = summed[row.run_id, row.lane, row.reason if has_reasons else None]
        together[0] += 1
        together[1] += row.cost_ms
    signs = [(state, sign) for state, sign in ((left, -1), (reached, 1)) if state is not None]
    return [
        Delta(network_id, run_id, lane, state, reason, sign * media, sign * cost_ms)
        for (run_id, lane, reason), (media, cost_ms) in summed.items()
        for state, sign in signs
    ]


def settled(rows: Iterable[Row[*tuple[Any, ...]]], *, network_id: int) -> list[Delta]:
    """Return the deltas of rows of ``work`` that were claimed and are in another state now.

    Args:
        rows: with ``state``, ``reason``, ``run_id``, ``lane`` and ``cost_ms``.
        network_id: of all of them.

    """
    by_state: dict[int, list[Row[*tuple[Any, ...]]]] = defaultdict(list)
    for row in rows:
        by_state[row.state].append(row)
    deltas = (
        moved(same, network_id=network_id, left=WorkState.CLAIMED, reached=WorkState(state))
        for state, same in by_state.items()
    )
    return [delta for some in deltas for delta in some]


def _row(key: _Key, media: int, cost_ms: int) -> dict[str, object]:
    return {**dict(zip(_KEY, key, strict=True)), "media": media, "cost_ms": cost_ms}


# -------------------------------------------------------------------------------------------------------------- read


def read_counts(connection: Connection, *, network_id: int | None = None, run_id: int | None = None) -> Counts:
    """Return the counts of now: what has been summed up, and the deltas since.

    Args:
        connection: any.
        network_id: of one network; all by default.
        run_id: of one backlog; all by default.

    """
    wanted = {"network_id": network_id, "run_id": run_id}
    given = {name: value for name, value in wanted.items() if value is not None}
    where = "".join(f" AND {name} = :{name}" for name in given)
    statement = text(
        f"SELECT {_COLUMNS}, sum(media) AS media, sum(cost_ms) AS cost_ms FROM ("  # noqa: S608  (only constants are joined)
        f"SELECT {_COLUMNS}, media, cost_ms FROM work_counts WHERE true{where}"
        f" UNION ALL SELECT {_COLUMNS}, media, cost_ms FROM work_deltas WHERE {_NEW}{where}"
        f") AS both_of_them GROUP BY {_COLUMNS} ORDER BY {_COLUMNS}"
    )
    found = connection.execute(statement, {**given, "low": _read_marks(connection).low})
    return Counts(tuple(_delta(row) for row in found if row.media or row.cost_ms))


def _delta(row: Row[*tuple[Any, ...]]) -> Delta:
    key = row.network_id, row.run_id or None, row.lane, WorkState(row.state), row.reason or None
    return Delta(*key, int(row.media), int(row.cost_ms))


# ------------------------------------------------------------------------------------------------------------ sum up


def sum_up(connection: Connection, *, limit: int = MAX_SUMMED) -> int:
    """Move deltas into the counts, in the caller's transaction: killed before its commit, it has done nothing.

    What commits late is found by a later call: deltas are taken when they are visible, whatever their number. One
    process at a time sums up; another one's call returns at once.

    Args:
        connection: in a writing transaction.
        limit: most deltas to sum up; call again when as many were.

    Returns:
        How many deltas were summed up.

    """
    if not is_postgres(connection):
        return _sum_up_sqlite(connection, limit)
    lock = text("SELECT pg_try_advisory_xact_lock(:key)")
    if not connection.execute(lock, {"key": _COMPACTOR_LOCK}).scalar_one():
        return 0
    marks = _read_marks(connection)
    taken = connection.execute(text(_SUM_UP), {"low": marks.low, "limit": limit}).one()
    moved_on = marks.after(
        highest=taken.highest, is_all=taken.deltas < limit, xmin=int(taken.xmin), xmax=int(taken.xmax)
    )
    if moved_on != marks:
        _write_marks(connection, moved_on)
    return int(taken.deltas)


# By ranges of the primary key throughout: any other way would read what is deleted and not yet gone.
_SUM_UP: Final = f"""
WITH gone AS (
  DELETE FROM work_deltas WHERE id > :low AND id <= (
    SELECT max(id) FROM (SELECT id FROM work_deltas WHERE {_NEW} ORDER BY id LIMIT :limit) AS chosen
  ) RETURNING *
), summed AS (
  INSERT INTO work_counts AS c ({_COLUMNS}, media, cost_ms)
  SELECT {_COLUMNS}, sum(media), sum(cost_ms) FROM gone GROUP BY {_COLUMNS} ORDER BY {_COLUMNS}
  ON CONFLICT ({_COLUMNS}) DO UPDATE SET {_ADDED}
)
SELECT count(*) AS deltas, max(id) AS highest,
  CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS xmin,
  CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS xmax
FROM gone
"""  # noqa: S608  (only constants are joined)


def _sum_up_sqlite(connection: Connection, limit: int) -> int:
    chosen = "SELECT max(id) FROM (SELECT id FROM work_deltas ORDER BY id LIMIT :limit)"
    highest = connection.execute(text(chosen), {"limit": limit}).scalar_one()
    if highest is None:
        return 0
    added = text(
        f"INSERT INTO work_counts AS c ({_COLUMNS}, media, cost_ms)"  # noqa: S608  (only constants are joined)
        f" SELECT {_COLUMNS}, sum(media), sum(cost_ms) FROM work_deltas WHERE id <= :highest GROUP BY {_COLUMNS}"
        f" ON CONFLICT ({_COLUMNS}) DO UPDATE SET {_ADDED}"
    )
    connection.execute(added, {"highest": highest})
    return connection.execute(text("DELETE FROM work_deltas WHERE id <= :highest"), {"highest": highest}).rowcount


@dataclass(frozen=True, slots=True)
class _Marks:
    """Where to look for deltas on Postgres.

    Deleted rows stay in the table while an old snapshot may see them; a search from its beginning would read them all,
    each time. Up to ``low`` there are none left to find, now or later: a transaction has a number of its own before it
    draws the id of a delta, so one that has drawn a low id is known to have ended when all with low numbers have.

    Attributes:
        low: every transaction that drew an id up to here has ended, and its deltas are summed up.
        next_low: the mark to come; as ``low`` where there is none.
        next_xid: it counts when all transactions with lower numbers have ended.

    """

    low: int = 0
    next_low: int = 0
    next_xid: int = 0

    def after(self, *, highest: int | None, is_all: bool, xmin: int, xmax: int) -> "_Marks":
        """Return the marks after summing up.

        Args:
            highest: the highest id that was summed up, and with it all that was visible below; None where nothing was.
            is_all: nothing visible was left.
            xmin: the lowest number of a transaction that was running.
            xmax: the number that no transaction had yet.

        """
        low, next_low, next_xid = self.low, self.next_low, self.next_xid
        if next_xid > xmax:  # a copy on another server, which counts its transactions anew
            next_low = low
        if xmin >= next_xid and (is_all or (highest or 0) >= next_low):
            low = next_low
        if next_low == low and highest is not None:
            next_low, next_xid = max(low, highest), xmax
        return _Marks(low, next_low, next_xid)


def _read_marks(connection: Connection) -> _Marks:
    found = connection.execute(select(store_settings.c.value).where(store_settings.c.name == _MARKS)).scalar()
    return _Marks(*(int(number) for number in found.split())) if found else _Marks()


def _write_marks(connection: Connection, marks: _Marks) -> None:
    statement = text(
        "INSERT INTO store_settings (name, value) VALUES (:name, :value)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    )
    connection.execute(statement, {"name": _MARKS, "value": f"{marks.low} {marks.next_low} {marks.next_xid}"})


# ------------------------------------------------------------------------------------------------------------ repair


def is_counted(connection: Connection) -> bool:
    """Say whether all rows of ``work`` have been counted once: those of programs that did not count are in the counts.

    Before that, what the counts say is too little: nothing may be decided by them.
    """
    counted = select(store_settings.c.value).where(store_settings.c.name == _COUNTED)
    return connection.execute(counted).first() is not None


def hold_counts(connection: Connection) -> None:
    """Let nobody else sum up, fold or repair the counts until the transaction ends."""
    if is_postgres(connection):  # on SQLite, whoever writes is alone
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _COMPACTOR_LOCK})


def recount(connection: Connection) -> list[Delta]:
    """Count all rows of ``work``, and correct the counts by what differs. Workers may go on meanwhile.

    It reads the whole table: some seconds for ten million rows.

    Args:
        connection: in a writing transaction.

    Returns:
        The corrections; nothing where the counts were right.

    """
    hold_counts(connection)  # two at once would correct twice
    # One statement: its snapshot sees a row as it was moved together with the delta of the move, or neither.
    every = (
        "SELECT network_id, coalesce(run_id, 0) AS run_id, lane, state,"  # noqa: S608  (only constants are joined)
        " CASE WHEN state >= 3 THEN coalesce(reason, '') ELSE '' END AS reason, 1 AS media, cost_ms FROM work"
        f" UNION ALL SELECT {_COLUMNS}, -media, -cost_ms FROM work_counts"
        f" UNION ALL SELECT {_COLUMNS}, -media, -cost_ms FROM work_deltas WHERE {_NEW}"
    )
    # Settled media of backlogs whose counts are folded are counted as those of all such backlogs.
    run = f"CASE WHEN f.id IS NOT NULL AND a.state >= 2 THEN {FOLDED_RUN} ELSE a.run_id END"
    differences = text(
        f"SELECT a.network_id, {run} AS run_id, a.lane, a.state, a.reason, sum(a.media) AS media,"  # noqa: S608
        f" sum(a.cost_ms) AS cost_ms FROM ({every}) AS a"
        f" LEFT JOIN runs f ON f.id = a.run_id AND f.folded_at IS NOT NULL"
        f" GROUP BY a.network_id, {run}, a.lane, a.state, a.reason"
        " HAVING sum(a.media) <> 0 OR sum(a.cost_ms) <> 0 ORDER BY 1, 2, 3, 4, 5"
    )
    found = connection.execute(differences, {"low": _read_marks(connection).low})
    corrections = [_delta(row) for row in found]
    add_deltas(connection, corrections)
    noted = "INSERT INTO store_settings (name, value) VALUES (:name, 'yes') ON CONFLICT (name) DO NOTHING"
    connection.execute(text(noted), {"name": _COUNTED})
    return corrections
