"""Backlogs in an order of their own: registered first, and put into chunks at the end, the most viewed media first.

Nothing is held in memory: the views go into a temporary table, and the database sorts.
"""

import io
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, text

from annotator.store.backlog.registration import Asked, add_chunks_of_pieces, copy_field, make_tables
from annotator.store.dialect import is_postgres
from annotator.store.queue.chunks import ChunkLimits

_ROWS_PER_COPY: Final = 50_000


def has_views(connection: Connection) -> bool:
    """Say whether this connection has the views of :func:`load_views`."""
    if is_postgres(connection):
        found = "SELECT to_regclass('pg_temp.viewed_keys') IS NOT NULL"
    else:
        found = "SELECT count(*) > 0 FROM sqlite_temp_master WHERE name = 'viewed_keys'"
    return bool(connection.execute(text(found)).scalar_one())


def queue_most_viewed(connection: Connection, asked: Asked, *, limits: ChunkLimits) -> int:
    """Put what is pending of a backlog into chunks, the most viewed first; media without views come last.

    Args:
        connection: in a writing transaction, with the views of :func:`load_views`, which it forgets.
        asked: the backlog.
        limits: of a chunk.

    Returns:
        How many chunks were made.

    """
    make_tables(connection)
    order = (
        "INSERT INTO pieces (id, place, kind, is_changed, lane, cost_ms, size_bytes)"
        " SELECT work.media_id, row_number() OVER (ORDER BY coalesce(viewed.views, 0) DESC, work.media_id), 0, false,"
        " work.lane, work.cost_ms, media.size_bytes FROM work JOIN media ON media.id = work.media_id"
        " LEFT JOIN (SELECT key, max(views) AS views FROM viewed_keys GROUP BY key) AS viewed ON viewed.key = media.key"
        " WHERE work.network_id = :network AND work.run_id = :run AND work.state = 0"
    )
    connection.execute(text(order), {"network": asked.network_id, "run": asked.run_id})
    connection.execute(text("DROP TABLE viewed_keys"))
    return add_chunks_of_pieces(connection, asked, limits)


def load_views(
    transaction: Callable[[], AbstractContextManager[Connection]], views: Iterable[tuple[str, float]]
) -> None:
    """Read views into a temporary table, some ten thousand in a transaction: none is open while it waits for the views.

    Args:
        transaction: opens one that writes, always on the same connection.
        views: keys with their views; of several for a key the highest counts.

    """
    with transaction() as connection:
        columns = 'key text COLLATE "C", views double precision' if is_postgres(connection) else "key text, views real"
        connection.execute(text("DROP TABLE IF EXISTS viewed_keys"))
        connection.execute(text(f"CREATE TEMP TABLE viewed_keys ({columns})"))
    for rows in _some(views):
        with transaction() as connection:
            _copy(connection, rows)
    with transaction() as connection:
        if is_postgres(connection):
            connection.execute(text("ANALYZE pg_temp.viewed_keys"))


def _copy(connection: Connection, rows: list[tuple[str, float]]) -> None:
    cursor: Any = connection.connection.cursor()
    if is_postgres(connection):
        lines = "".join(f"{copy_field(key)}\t{number!r}\n" for key, number in rows)
        cursor.copy_expert("COPY pg_temp.viewed_keys FROM STDIN", io.StringIO(lines))
    else:
        cursor.executemany("INSERT INTO temp.viewed_keys VALUES (?, ?)", rows)


def _some(views: Iterable[tuple[str, float]]) -> Iterator[list[tuple[str, float]]]:
    sound = ((key, number) for key, number in views if "\x00" not in key and math.isfinite(number))
    while rows := list(islice(sound, _ROWS_PER_COPY)):
        yield rows
