"""Labellings that nobody uses any more are retired: their labels go, what was shown when stays written down.

Each person who is enrolled or corrected makes a labelling; on Postgres each has partitions, and every one of them makes
all questions about labels slower to plan. A retired labelling that somebody works with again gets labels anew, from
stored embeddings.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, delete, exists, func, or_, select, text, update
from sqlalchemy.exc import DBAPIError

from annotator.store.columns import utc_now
from annotator.store.connection import reading, writing
from annotator.store.database_errors import sqlstate
from annotator.store.dialect import is_postgres, later_value
from annotator.store.labels import delete_labels
from annotator.store.partitions import LABELLING_TABLES, use_labelling
from annotator.store.promotions import former_id
from annotator.store.queue.sessions import FIRST_QUEUE, annotates, is_open
from annotator.store.tables import (
    active,
    labelled_contents,
    labellings,
    overruled_labels,
    promotions,
    relabellings,
    worker_sessions,
)

# How long the tables above the partitions, and these, are waited for, one after the other, in milliseconds: who comes
# after waits, too. Where somebody has them for longer, it is tried again an hour later.
_LOCK_TIMEOUT_MS: Final = 100
_STATEMENT_TIMEOUT_MS: Final = 10_000
_GIVES_WAY: Final = ("55P03", "40P01", "57014")  # lock not available, deadlock, statement timeout
_CONTENTS_AT_ONCE: Final = 1_000  # whose labels are deleted in one transaction, on SQLite
_COUNTS_AT_ONCE: Final = 20_000
# What is rolled up of a labelling, and the column by which it goes. The rows of `roll_ups` and `stranger_roll_ups` go
# last, so that they say whether any of it is left.
_ROLLED_UP: Final = (
    ("co_appearances_by", "identity_id"),
    ("identity_counts_by", "identity_id"),
    ("stranger_counts_by", "group_no"),
)
_AS_OF: Final = ("roll_ups", "stranger_roll_ups")


class _InUseError(Exception):
    """Somebody has the tables, or has begun to use the labelling."""


def retire_unused(engine: Engine, *, after_s: float) -> list[int]:
    """Retire the labellings that nobody has used for long, and remove what is left of retired ones.

    A labelling is kept while it is shown, while a rollback would show it, while a relabelling makes its labels or is
    compared with it, and while an open session of a worker labels by it. It may be killed at any time: what a
    transaction has begun, the next call ends. Readers and writers wait for a moment at most.

    Args:
        engine: of the database.
        after_s: how long nobody must have shown it, made its labels or begun to work with it.

    Returns:
        Those that were retired.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    _note_use(engine)
    with reading(engine) as connection:
        retired_before = select(labellings.c.id).where(labellings.c.retired_at.is_not(None))
        unused = sorted(set(_unused(connection, after_s)) - set(connection.execute(retired_before).scalars()))
    retired = [labelling_id for labelling_id in unused if _retire(engine, labelling_id, after_s)]
    with reading(engine) as connection:
        left = _with_remains(connection)
    for labelling_id in left:
        _remove_counts(engine, labelling_id)
        _remove_labels(engine, labelling_id)
    return retired


# ------------------------------------------------------------------------------------------------------------- which


def _note_use(engine: Engine) -> None:
    """Note what workers use now: one that is started anew finds the labels that the former one has made for years."""
    with reading(engine) as connection:
        used = _open_sessions(connection).labellings
    for labelling_id in sorted(used):
        with writing(engine) as connection:
            use_labelling(connection, labelling_id)


@dataclass(frozen=True, slots=True)
class _Sessions:
    """What open sessions label by.

    Attributes:
        labellings: of those that say it.
        networks: of those that say this only: programs of an earlier version.
        are_unknown: one of them says neither.

    """

    labellings: frozenset[int]
    networks: frozenset[int]
    are_unknown: bool


def _unused(connection: Connection, after_s: float) -> list[int]:
    """Return the labellings that nobody uses, retired ones too, the oldest first."""
    row = labellings.c
    since = later_value(connection, -after_s)
    of_promotion = or_(promotions.c.labelling_id == row.id, promotions.c.from_labelling_id == row.id)
    of_relabelling = or_(relabellings.c.labelling_id == row.id, relabellings.c.from_labelling_id == row.id)
    ended_at = relabellings.c.finished_at
    sessions = _open_sessions(connection)
    wanted = select(row.id).where(
        func.coalesce(row.used_at, row.created_at) < since,
        ~exists().where(active.c.labelling_id == row.id),
        ~exists().where(of_promotion, promotions.c.happened_at >= since),
        ~exists().where(of_relabelling, or_(ended_at.is_(None), ended_at >= since)),
        row.id.not_in(sessions.labellings),
        row.network_id.not_in(sessions.networks),
    )
    if sessions.are_unknown:
        return []
    former = former_id(connection)
    return [int(one) for one in connection.execute(wanted.order_by(row.id)).scalars() if one != former]


def _open_sessions(connection: Connection) -> _Sessions:
    """Read what workers label by that have not ended, silent ones included: they may yet report."""
    found = select(worker_sessions.c.queues, worker_sessions.c.network_id, worker_sessions.c.labelling_id)
    rows = [row for row in connection.execute(found.where(is_open())) if annotates(row.queues or (FIRST_QUEUE,))]
    others = [row.network_id for row in rows if row.labelling_id is None]
    return _Sessions(
        labellings=frozenset(row.labelling_id for row in rows if row.labelling_id is not None),
        networks=frozenset(network_id for network_id in others if network_id is not None),
        are_unknown=None in others,
    )


# --------------------------------------------------------------------------------------------------------------- how


def _retire(engine: Engine, labelling_id: int, after_s: float) -> bool:
    """Retire one in one transaction, unless somebody has begun to use it meanwhile; say whether it is."""
    try:
        with writing(engine) as connection:
            if is_postgres(connection):
                _call(connection, "retire_labelling", labelling_id)
                # They go with the labels, which are detached now; on SQLite `delete_labels` takes both.
                connection.execute(delete(overruled_labels).where(overruled_labels.c.labelling_id == labelling_id))
            else:
                retired = update(labellings).where(labellings.c.id == labelling_id)
                connection.execute(retired.values(retired_at=utc_now()))
            # Its row is held: who begins to use it now waits, and gets it back afterwards.
            _insist_on_unused(connection, labelling_id, after_s)
    except _InUseError:
        return False
    return True


def _insist_on_unused(connection: Connection, labelling_id: int, after_s: float) -> None:
    if labelling_id not in _unused(connection, after_s):
        raise _InUseError


def _call(connection: Connection, function: str, labelling_id: int) -> None:
    """Let a function of Postgres detach or drop partitions, unless somebody has them for longer than a moment."""
    connection.execute(text(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}"))
    connection.execute(text(f"SET LOCAL statement_timeout = {_STATEMENT_TIMEOUT_MS}"))
    try:
        connection.execute(text(f"SELECT {function}(:labelling)"), {"labelling": labelling_id})
    except DBAPIError as exc:
        if sqlstate(exc) in _GIVES_WAY:
            raise _InUseError from exc
        raise


def _with_remains(connection: Connection) -> Sequence[int]:
    """Return the retired labellings of which anything is left."""
    counts = " OR ".join(f"EXISTS (SELECT 1 FROM {table} r WHERE r.labelling_id = l.id)" for table in _AS_OF)  # noqa: S608
    if is_postgres(connection):
        labels = " OR ".join(f"to_regclass('{table}__l' || l.id) IS NOT NULL" for table in LABELLING_TABLES)
    else:
        labels = "EXISTS (SELECT 1 FROM labelled_contents c WHERE c.labelling_id = l.id)"
    wanted = f"SELECT l.id FROM labellings l WHERE l.retired_at IS NOT NULL AND ({counts} OR {labels}) ORDER BY l.id"  # noqa: S608
    return connection.execute(text(wanted)).scalars().all()


def _remove_counts(engine: Engine, labelling_id: int) -> None:
    bound = {"labelling": labelling_id, "limit": _COUNTS_AT_ONCE}
    for table, column in _ROLLED_UP:
        some = f"SELECT {column} FROM {table} WHERE labelling_id = :labelling ORDER BY {column} LIMIT :limit"  # noqa: S608
        removed = f"DELETE FROM {table} WHERE labelling_id = :labelling AND {column} <= (SELECT max({column})"  # noqa: S608
        while _execute(engine, f"{removed} FROM ({some}) AS first_ones)", bound):
            pass
    for table in _AS_OF:
        _execute(engine, f"DELETE FROM {table} WHERE labelling_id = :labelling", {"labelling": labelling_id})  # noqa: S608


def _remove_labels(engine: Engine, labelling_id: int) -> None:
    if engine.dialect.name == "postgresql":
        # A backup may read them for hours, and whoever begins to use the labelling waits for its row, which this holds.
        with contextlib.suppress(_InUseError), writing(engine) as connection:
            _call(connection, "drop_labelling_partitions", labelling_id)
        return
    first = select(labelled_contents.c.content_id).where(labelled_contents.c.labelling_id == labelling_id)
    some = first.order_by(labelled_contents.c.content_id).limit(_CONTENTS_AT_ONCE)
    while True:
        with writing(engine) as connection:
            # Contents of which nothing is left lack labels: who works with it again makes those.
            content_ids = connection.execute(some).scalars().all() if _is_retired(connection, labelling_id) else []
            delete_labels(connection, labelling_id, content_ids)
        if len(content_ids) < _CONTENTS_AT_ONCE:
            return


def _is_retired(connection: Connection, labelling_id: int) -> bool:
    retired = select(labellings.c.id).where(labellings.c.id == labelling_id, labellings.c.retired_at.is_not(None))
    return connection.execute(retired).first() is not None


def _execute(engine: Engine, statement: str, bound: Mapping[str, object]) -> int:
    """Run a statement in a transaction of its own; return how many rows it has met."""
    with writing(engine) as connection:
        return connection.execute(text(statement), bound).rowcount
