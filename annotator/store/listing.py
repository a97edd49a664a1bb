"""Listings as rows: what a page of a bucket says becomes media, work and chunks, and the cursor moves with them.

A run can be stopped anywhere and goes on where its cursor stands. Rows of unchanged objects are not written.
"""

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import Connection, insert, select, text, update

from annotator.store.chunks import ChunkLimits, Piece, add_chunks, pack
from annotator.store.columns import utc_now
from annotator.store.dialect import given_ids, ids_param, is_postgres, now
from annotator.store.registry import register_sources
from annotator.store.tables import listing_shards, media, runs, sources, work

_COPY_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Listed(Protocol):
    """An object of a listing."""

    @property
    def key(self) -> str:
        """Its key."""

    @property
    def etag(self) -> str:
        """Its version mark."""

    @property
    def size_bytes(self) -> int:
        """Its length."""


@dataclass(frozen=True, slots=True)
class Run:
    """A listing under way.

    Attributes:
        id: its row.
        shard_id: the row of its cursor.
        network_id: which network is to annotate what is listed.
        source_id: the bucket.
        prefix: what keys begin with.
        after_key: the last key that is registered.
        is_resumed: whether it was begun earlier.

    """

    id: int
    shard_id: int
    network_id: int
    source_id: int
    prefix: str
    after_key: str
    is_resumed: bool


@dataclass(slots=True)
class ListingCount:
    """What a listing has come to."""

    listed: int = 0
    new: int = 0
    changed: int = 0
    deleted: int = 0
    queued: int = 0
    chunks: int = 0

    def add(self, other: "ListingCount") -> None:
        """Add another part of the listing."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def begin_run(connection: Connection, *, network_id: int, source_uri: str, prefix: str) -> Run:
    """Begin a listing, or go on with one that was not finished.

    Args:
        connection: in a writing transaction.
        network_id: which network is to annotate what is listed.
        source_uri: ``s3://bucket/``.
        prefix: what keys begin with.

    """
    source_id = register_sources(connection, [source_uri])[source_uri]
    of_source = (runs.c.network_id == network_id) & (runs.c.source_id == source_id) & (runs.c.prefix == prefix)
    unfinished = select(runs.c.id).where(of_source, runs.c.listed_at.is_(None)).order_by(runs.c.id).limit(1)
    run_id = connection.execute(unfinished).scalar_one_or_none()
    is_resumed = run_id is not None
    if run_id is None:
        row = {"network_id": network_id, "source_id": source_id, "prefix": prefix, "options": {}}
        begun = insert(runs).values(started_at=utc_now(), **row).returning(runs.c.id)
        run_id = connection.execute(begun).scalar_one()
        connection.execute(insert(listing_shards).values(run_id=run_id, prefix=prefix))
    shard = connection.execute(
        select(listing_shards.c.id, listing_shards.c.after_key).where(listing_shards.c.run_id == run_id)
    ).one()
    return Run(run_id, shard.id, network_id, source_id, prefix, shard.after_key, is_resumed)


def register_objects(
    connection: Connection, run: Run, objects: Sequence[Listed], *, is_last: bool, limits: ChunkLimits
) -> ListingCount:
    """Register some pages and move the cursor, in the caller's transaction.

    Args:
        connection: in a writing transaction.
        run: with the cursor before these pages.
        objects: in the order of their keys.
        is_last: whether nothing follows: then what lies behind the last key is gone.
        limits: of a chunk.

    """
    count = ListingCount(listed=len(objects))
    last_key = objects[-1].key if objects else run.after_key
    bound = {"source": run.source_id, "network": run.network_id}
    _fill_table(connection, objects)
    count.deleted = _mark_deleted(connection, run, until=None if is_last else last_key)
    changed = _ids(connection, _CHANGED, bound)
    connection.execute(text(_REVIVED), bound)
    count.new = len(_ids(connection, _NEW, bound))
    count.changed = len(changed)
    again = _reset_work(connection, run.network_id, changed)
    pieces = _pieces(connection, {*again, *_ids(connection, _WORK, bound)})
    count.queued = len(pieces)
    count.chunks = add_chunks(connection, run.network_id, pack(pieces, limits=limits), run_id=run.id)
    _move_cursor(connection, run, last_key, len(objects), is_last=is_last)
    return count


def compare_objects(connection: Connection, source_uri: str, objects: Sequence[Listed]) -> tuple[int, int]:
    """Say what registering would find; nothing is kept.

    Returns:
        How many are new, and how many have changed.

    """
    source_id = connection.execute(select(sources.c.id).where(sources.c.uri == source_uri)).scalar_one_or_none()
    rows = connection.execute(
        select(media.c.key, media.c.etag).where(
            media.c.source_id == source_id, media.c.key.in_([one.key for one in objects])
        )
    )
    known = {row.key: row.etag for row in rows}
    changed = sum(one.key in known and known[one.key] != one.etag for one in objects)
    return sum(one.key not in known for one in objects), changed


_SAME_KEY: Final = "media.source_id = :source AND media.key = listed.key"
_CHANGED: Final = (
    "UPDATE media SET etag = listed.etag, size_bytes = listed.size_bytes, content_id = NULL, deleted_at = NULL"  # noqa: S608  (only constants are joined)
    f" FROM listed WHERE {_SAME_KEY} AND media.etag IS DISTINCT FROM listed.etag RETURNING media.id AS id"
)
_REVIVED: Final = f"UPDATE media SET deleted_at = NULL FROM listed WHERE {_SAME_KEY} AND media.deleted_at IS NOT NULL"  # noqa: S608
_NEW: Final = (
    "INSERT INTO media (source_id, key, etag, size_bytes)"  # noqa: S608  (only constants are joined)
    " SELECT :source, listed.key, listed.etag, listed.size_bytes FROM listed"
    f" WHERE NOT EXISTS (SELECT 1 FROM media WHERE {_SAME_KEY}) ORDER BY listed.key"
    " ON CONFLICT (source_id, key) DO NOTHING RETURNING id"
)
# Also for unchanged media that another network has annotated and this one has not.
_WORK: Final = (
    "INSERT INTO work (network_id, media_id)"  # noqa: S608  (only constants are joined)
    f" SELECT :network, media.id FROM listed JOIN media ON {_SAME_KEY} WHERE true ORDER BY media.id"
    " ON CONFLICT (network_id, media_id) DO NOTHING RETURNING media_id AS id"
)


def _ids(connection: Connection, statement: str, bound: dict[str, int]) -> list[int]:
    return [row.id for row in connection.execute(text(statement), bound)]


def _fill_table(connection: Connection, objects: Sequence[Listed]) -> None:
    """Put the objects into a temporary table; by COPY where there is one."""
    if not is_postgres(connection):
        connection.execute(text("DROP TABLE IF EXISTS temp.listed"))
        connection.execute(text("CREATE TEMP TABLE listed (key TEXT PRIMARY KEY, etag TEXT, size_bytes INTEGER)"))
        rows = [{"key": one.key, "etag": one.etag, "size_bytes": one.size_bytes} for one in objects]
        if rows:
            connection.execute(text("INSERT INTO temp.listed VALUES (:key, :etag, :size_bytes)"), rows)
        return
    connection.execute(text("DROP TABLE IF EXISTS pg_temp.listed"))
    connection.execute(
        text('CREATE TEMP TABLE listed (key text COLLATE "C", etag text, size_bytes bigint) ON COMMIT DROP')
    )
    lines = io.StringIO(
        "".join(
            f"{one.key.translate(_COPY_ESCAPES)}\t{one.etag.translate(_COPY_ESCAPES)}\t{one.size_bytes}\n"
            for one in objects
        )
    )
    cursor: Any = connection.connection.cursor()
    cursor.copy_expert("COPY pg_temp.listed FROM STDIN", lines)
    connection.execute(text("ANALYZE pg_temp.listed"))


def _mark_deleted(connection: Connection, run: Run, *, until: str | None) -> int:
    """Mark media whose keys lie between the cursor and the end of these pages and are not in them."""
    statement = text(
        f"UPDATE media SET deleted_at = {now(connection)} WHERE source_id = :source AND deleted_at IS NULL"  # noqa: S608
        " AND key > :after AND (CAST(:until AS text) IS NULL OR key <= :until)"
        " AND substr(key, 1, :length) = :prefix"
        " AND NOT EXISTS (SELECT 1 FROM listed WHERE listed.key = media.key)"
    )
    bound = {"source": run.source_id, "after": run.after_key, "until": until}
    return connection.execute(statement, bound | {"prefix": run.prefix, "length": len(run.prefix)}).rowcount


def _reset_work(connection: Connection, network_id: int, media_ids: Sequence[int]) -> list[int]:
    """Make media pending whose bytes are others now; who has one in hand is fenced out."""
    statement = (
        update(work)
        .where(work.c.network_id == network_id, work.c.media_id.in_(media_ids))
        .values(state=0, attempts=work.c.attempts + 1, losses=work.c.attempts + 1, deaths=0, suspect=False)
        .values(session_id=None, deadline_at=None, not_before=None, finished_at=None, reason=None, message=None)
        .returning(work.c.media_id)
    )
    return [row.media_id for row in connection.execute(statement)] if media_ids else []


def _pieces(connection: Connection, media_ids: Collection[int]) -> list[Piece]:
    statement = text(
        f"SELECT id, key, size_bytes FROM media WHERE id {given_ids(connection)} ORDER BY id"  # noqa: S608
    )
    rows = connection.execute(statement, {"ids": ids_param(connection, sorted(media_ids))})
    return [Piece(row.id, row.key, row.size_bytes) for row in rows]


def _move_cursor(connection: Connection, run: Run, last_key: str, listed: int, *, is_last: bool) -> None:
    moved = update(listing_shards).where(listing_shards.c.id == run.shard_id)
    table = listing_shards.c
    connection.execute(
        moved.values(after_key=last_key, pages=table.pages + 1, listed=table.listed + listed, done=is_last)
    )
    if is_last:
        connection.execute(update(runs).where(runs.c.id == run.id).values(listed_at=utc_now()))
