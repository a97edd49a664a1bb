"""Counts and co-appearances, rolled up as of a time: the views read some thousand rows instead of all labels.

A roll-up recomputes the rows of one labelling in one transaction; whoever reads meanwhile sees the former ones. Rows
have the identities that labels have: the views sum up those who were merged since. Groups of strangers are counted
after people, and rest for themselves (``annotator.store.strangers.counting``).
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Engine, select, text, update
from sqlalchemy.exc import DBAPIError

from annotator.errors import StoreUnavailableError
from annotator.store.as_of import REST, is_resting, note_as_of
from annotator.store.columns import utc_now
from annotator.store.connection import reading, refresh_statistics, several, writing
from annotator.store.dialect import is_postgres
from annotator.store.queue.counts import sum_up
from annotator.store.registry import active_labelling
from annotator.store.strangers.counting import are_strangers_due, count_strangers, count_strangers_if_due
from annotator.store.tables import co_appearances_by, identity_counts_by, roll_ups

# After a failure it waits so long at least.
_LEAST_REST_S: Final = 60.0
# How long a process that ends may roll up, in milliseconds: elsewhere beat does it.
_AT_THE_END_MS: Final = 5_000

# Labels of a content count once for each media that holds it.
_SHOWN: Final = """
WITH held AS (
  SELECT content_id, count(*) AS media FROM media
  WHERE content_id IS NOT NULL AND deleted_at IS NULL GROUP BY content_id
), shown AS (
  SELECT l.content_id, l.identity_id, l.confidence, l.screen_ms, h.media
  FROM content_labels_by l JOIN held h ON h.content_id = l.content_id WHERE l.labelling_id = :labelling
)
"""
_COUNTS: Final = f"""
{_SHOWN}
SELECT identity_id, CAST(sum(media) AS bigint) AS media, count(*) AS contents,
       CAST(sum(screen_ms * media) AS bigint) AS screen_ms, max(confidence) AS best_confidence
FROM shown GROUP BY identity_id
"""  # noqa: S608  (only constants are joined)
_PAIRS: Final = f"""
{_SHOWN}
SELECT a.identity_id, b.identity_id AS other_identity_id, CAST(sum(a.media) AS bigint) AS media, count(*) AS contents
FROM shown a JOIN shown b ON b.content_id = a.content_id AND b.identity_id <> a.identity_id
GROUP BY a.identity_id, b.identity_id
"""  # noqa: S608  (only constants are joined)
_QUERIES: Final = {identity_counts_by.name: _COUNTS, co_appearances_by.name: _PAIRS}
_FOUND: Final = "found_"  # the temporary tables are called so


@dataclass(frozen=True, slots=True)
class RollUp:
    """What a roll-up came to.

    Attributes:
        labelling_id: of which labelling.
        as_of: the state of the rows that it shows.
        took_ms: how long it took.

    """

    labelling_id: int
    as_of: datetime
    took_ms: int


def roll_up(engine: Engine, *, labelling_id: int | None = None) -> RollUp | None:
    """Recompute the counts of a labelling, and those of groups of strangers under its names.

    It reads without holding anybody up, then writes what it has found.

    Args:
        engine: of the database.
        labelling_id: which; the active one by default.

    Returns:
        What it came to; None in an empty database, or where another process was quicker.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    rolled_up = _roll_up(engine, labelling_id)
    count_strangers(engine, labelling_id=labelling_id)
    return rolled_up


def roll_up_if_due(engine: Engine) -> RollUp | None:
    """Roll up the active labelling where that is cheap: for a process that has written and ends.

    Nothing happens before twenty times as long has passed as the last one took, so that many short runs spend at most
    a twentieth of their time here; on a large Postgres it is broken off after some seconds. Trouble with it is none of
    the caller's: the counts stay as they were.
    """
    with contextlib.suppress(DBAPIError, StoreUnavailableError):
        with reading(engine) as connection:
            rests = is_resting(connection, roll_ups)
        rolled_up = None if rests else _roll_up(engine, None, timeout_ms=_AT_THE_END_MS)
        count_strangers_if_due(engine, timeout_ms=_AT_THE_END_MS)
        return rolled_up
    return None


class RollUpInTurn:
    """Rolls up the active labelling, unless it rests from the last time: for whoever calls again and again.

    It rests after a failure, too: one that has filled the disk with its temporary tables, and so holds workers up, must
    not begin again as soon as it has given the place back. Until then each call raises the error again: whoever calls
    takes what returns for gone well.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the database.

        Args:
            engine: of the database.
            clock: monotonic, in seconds.

        """
        self._engine = engine
        self._clock = clock
        self._rests_until_s = clock()
        self._failure: Exception | None = None

    def run(self) -> RollUp | None:
        """Roll up, if it is time.

        Raises:
            StoreUnavailableError: the database does not answer, or did not at the last try, and that rests.

        """
        began_s = self._clock()
        with reading(self._engine) as connection:
            rests = is_resting(connection, roll_ups)  # since somebody's went well
            if rests and not are_strangers_due(connection):
                return None
        if self._failure is not None and began_s < self._rests_until_s:
            raise self._failure.with_traceback(None)  # else it would grow with each call
        try:
            rolled_up = None if rests else _roll_up(self._engine, None)
            count_strangers_if_due(self._engine)
        except Exception as error:
            took_s = self._clock() - began_s
            self._rests_until_s = self._clock() + max(_LEAST_REST_S, REST * took_s)
            self._failure = error
            raise
        self._failure = None
        return rolled_up


def catch_up(engine: Engine) -> None:
    """Do what beat does elsewhere, for a process that has written and ends; trouble with it is none of the caller's.

    The planner of SQLite gets new statistics, counts are rolled up where that is cheap, counters are summed up.
    """
    if engine.dialect.name == "sqlite":
        refresh_statistics(engine)
    roll_up_if_due(engine)
    with contextlib.suppress(DBAPIError, StoreUnavailableError), writing(engine) as connection:
        sum_up(connection)


def _roll_up(engine: Engine, labelling_id: int | None, *, timeout_ms: int = 0) -> RollUp | None:
    started_s = time.monotonic()
    with several(engine) as transaction:
        with transaction(writes=False) as connection:
            if is_postgres(connection):
                # All of one snapshot.
                connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
                connection.execute(text(f"SET LOCAL statement_timeout = {timeout_ms}"))
            chosen = active_labelling(connection) if labelling_id is None else labelling_id
            if chosen is None:
                return None
            as_of = connection.execute(select(utc_now())).scalar_one()
            _find(connection, chosen)
        with transaction() as connection:
            is_newest = note_as_of(connection, roll_ups, chosen, as_of)
            took_ms = _write(connection, chosen, started_s) if is_newest else 0
            for table in _QUERIES:
                connection.execute(text(f"DROP TABLE {_FOUND}{table}"))
    return RollUp(chosen, as_of, took_ms) if is_newest else None


def _find(connection: Connection, labelling_id: int) -> None:
    """Make temporary tables of what is found: the pairs may be millions, and none of them passes through Python.

    Making a table lets Postgres use several processes, which inserting into one that is there does not.
    """
    for table, query in _QUERIES.items():
        connection.execute(text(f"DROP TABLE IF EXISTS {_FOUND}{table}"))
        made = text(f"CREATE TEMP TABLE {_FOUND}{table} AS {query}")
        connection.execute(made, {"labelling": labelling_id})


def _write(connection: Connection, labelling_id: int, started_s: float) -> int:
    """Put what was found in the place of what was there; return how long all of it took, in milliseconds."""
    bound = {"labelling": labelling_id}
    for table in _QUERIES:
        connection.execute(text(f"DELETE FROM {table} WHERE labelling_id = :labelling"), bound)  # noqa: S608  (constants)
        added = f"INSERT INTO {table} SELECT CAST(:labelling AS integer), f.* FROM {_FOUND}{table} f"  # noqa: S608
        connection.execute(text(added), bound)
    took_ms = max(1, round((time.monotonic() - started_s) * 1000))
    connection.execute(update(roll_ups).where(roll_ups.c.labelling_id == labelling_id).values(took_ms=took_ms))
    return took_ms
