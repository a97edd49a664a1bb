"""Backlogs and their shards: stretches of a listing with a cursor each, which moves with what is registered.

A producer can be killed anywhere; the next one goes on where each cursor stands. A cursor moves only from where its
producer has read it: of two that list the same stretch, one registers it and the other is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, RowMapping, delete, insert, select, update

from annotator.errors import BacklogStoppedError, BacklogTakenError
from annotator.store.backlog.registration import Asked, ListingCount
from annotator.store.columns import utc_now
from annotator.store.connection import writing
from annotator.store.queue.chunks import slices_of_chunks
from annotator.store.registry import register_sources
from annotator.store.tables import ChunkState, chunks, listing_shards, media, missing_media, runs, sources

# Options of a backlog that say what it is; one with others is another backlog.
REFRESH: Final = "refresh"
ORDER: Final = "order"
# It is listed again and again, and ends only when it is stopped.
FOLLOW: Final = "follow"


@dataclass(frozen=True, slots=True)
class Terms:
    """How urgent a backlog is, when it ends, and who is told. None: as it was, or the default.

    Attributes:
        priority: higher goes first.
        callback_url: who is told of each media and of the end.
        deadline_at: when what is pending is no longer wanted.
        max_worker_s: worker time that may be spent.

    """

    priority: int | None = None
    callback_url: str | None = None
    deadline_at: datetime | None = None
    max_worker_s: float | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a producer wants listed.

    Attributes:
        network_id: which network is to annotate it.
        source_uri: ``s3://bucket/``.
        prefix: what keys begin with.
        options: what makes it another backlog: filters, another list than the bucket's, refreshing, an order.
        starts: where its shards begin; each ends where the next one begins, unless they are files.
        terms: how urgent it is.

    """

    network_id: int
    source_uri: str
    prefix: str
    options: Mapping[str, object] = field(default_factory=dict)
    starts: Sequence[str] = ("",)
    terms: Terms = field(default_factory=Terms)


@dataclass(frozen=True, slots=True)
class Run:
    """A backlog that is being listed.

    Attributes:
        id: its row.
        asked: as registering needs it.
        prefix: what keys begin with.
        is_resumed: whether it was begun earlier.

    """

    id: int
    asked: Asked
    prefix: str
    is_resumed: bool


@dataclass(frozen=True, slots=True)
class Shard:
    """A stretch of a listing.

    Attributes:
        id: its row.
        run_id: its backlog.
        start_key: where it begins, exclusive; or the file that it is.
        cursor: the last key that is registered; or a line of the file.
        end_key: its last key; None where nothing but the prefix ends it.
        pages: how many have been registered.

    """

    id: int
    run_id: int
    start_key: str
    cursor: str
    end_key: str | None
    pages: int


def begin_run(connection: Connection, wish: Wish) -> Run:
    """Begin a backlog, or go on with the same one whose listing was not finished, or which follows its bucket.

    Args:
        connection: in a writing transaction.
        wish: what is wanted; its terms hold from now on. Chunks that wait are given another priority by
            :func:`move_waiting`, after this transaction.

    """
    source_id = register_sources(connection, [wish.source_uri])[wish.source_uri]
    # Two producers that start at the same time go on with one backlog.
    connection.execute(select(sources.c.id).where(sources.c.id == source_id).with_for_update(key_share=True))
    unfinished = select(runs.c.id, runs.c.options).where(
        runs.c.network_id == wish.network_id,
        runs.c.source_id == source_id,
        runs.c.prefix == wish.prefix,
        runs.c.finished_at.is_(None),
        runs.c.stopped_at.is_(None),
    )
    if not wish.options.get(FOLLOW):
        unfinished = unfinished.where(runs.c.listed_at.is_(None))
    same = [row.id for row in connection.execute(unfinished.order_by(runs.c.id)) if row.options == dict(wish.options)]
    run_id = same[0] if same else _add_run(connection, wish, source_id)
    if same:
        _change_terms(connection, run_id, wish.terms)
    row = connection.execute(select(runs).where(runs.c.id == run_id)).mappings().one()
    return Run(run_id, _asked(row), wish.prefix, is_resumed=bool(same))


def _add_run(connection: Connection, wish: Wish, source_id: int) -> int:
    row = {"network_id": wish.network_id, "source_id": source_id, "prefix": wish.prefix, "options": dict(wish.options)}
    begun = insert(runs).values(started_at=utc_now(), **row, **_given(wish.terms)).returning(runs.c.id)
    run_id = int(connection.execute(begun).scalar_one())
    connection.execute(
        insert(listing_shards),
        [{"run_id": run_id, "prefix": wish.prefix, "start_key": start, "after_key": ""} for start in wish.starts],
    )
    return run_id


def _change_terms(connection: Connection, run_id: int, terms: Terms) -> None:
    given = _given(terms)
    if given:
        connection.execute(update(runs).where(runs.c.id == run_id).values(given))


def move_waiting(engine: Engine, run_id: int, priority: int) -> None:
    """Give the waiting chunks of a backlog another priority, in many short transactions; those that have it stay.

    It may be killed at any time: the same call again does the rest.
    """
    for low, high in slices_of_chunks(engine):
        some = (chunks.c.id > low) & (chunks.c.id <= high) & (chunks.c.run_id == run_id)
        other = (chunks.c.state == ChunkState.WAITING) & (chunks.c.priority != priority)
        with writing(engine) as connection:
            connection.execute(update(chunks).where(some, other).values(priority=priority))


def _given(terms: Terms) -> dict[str, Any]:
    every = {
        "priority": terms.priority,
        "callback_url": terms.callback_url,
        "deadline_at": terms.deadline_at,
        "max_worker_s": terms.max_worker_s,
    }
    return {name: value for name, value in every.items() if value is not None}


def _asked(row: RowMapping) -> Asked:
    return Asked(
        run_id=row["id"],
        network_id=row["network_id"],
        source_id=row["source_id"],
        priority=row["priority"],
        refresh=bool(row["options"].get(REFRESH)),
        has_callback=row["callback_url"] is not None,
        is_queued_later=row["options"].get(ORDER) is not None,
    )


# ------------------------------------------------------------------------------------------------------------- shards


def open_shards(connection: Connection, run_id: int) -> list[Shard]:
    """Return the shards of a backlog that have not been listed to their end, in the order of keys."""
    wanted = select(listing_shards).where(listing_shards.c.run_id == run_id, ~listing_shards.c.done)
    return [_shard(row) for row in connection.execute(wanted.order_by(listing_shards.c.start_key)).mappings()]


def split_shard(connection: Connection, shard: Shard, cuts: Sequence[str]) -> Shard:
    """Cut what is left of a shard into several.

    Args:
        connection: in a writing transaction.
        shard: as it was read.
        cuts: the keys where new shards begin, exclusive, ascending, between its cursor and its end.

    Returns:
        The shard, which ends at the first cut now.

    Raises:
        BacklogTakenError: somebody else has moved or cut it.

    """
    _change(connection, shard, {"end_key": cuts[0]})
    ends = [*cuts[1:], shard.end_key]
    prefix = connection.execute(select(runs.c.prefix).where(runs.c.id == shard.run_id)).scalar_one()
    rows = [
        {"run_id": shard.run_id, "prefix": prefix, "start_key": cut, "after_key": cut, "end_key": end}
        for cut, end in zip(cuts, ends, strict=True)
    ]
    connection.execute(insert(listing_shards), rows)
    return replace(shard, end_key=cuts[0])


def move_cursor(
    connection: Connection, shard: Shard, cursor: str, *, pages: int, count: ListingCount, is_end: bool = False
) -> Shard:
    """Move the cursor of a shard, in the transaction that registers what lies up to there.

    Args:
        connection: in a writing transaction.
        shard: as it was read.
        cursor: where it stands now.
        pages: how many pages these are.
        count: what registering them has come to.
        is_end: whether the shard is done.

    Raises:
        BacklogTakenError: somebody else has moved it.
        BacklogStoppedError: the backlog was stopped.

    """
    refuse_stopped(connection, shard.run_id)
    moved = {
        "after_key": cursor,
        "pages": listing_shards.c.pages + pages,
        "listed": listing_shards.c.listed + count.listed,
        "missing": listing_shards.c.missing + count.missing,
        "done": is_end,
    }
    _change(connection, shard, moved)
    return replace(shard, cursor=cursor, pages=shard.pages + pages)


def refuse_stopped(connection: Connection, run_id: int) -> None:
    """Do nothing where a backlog goes on.

    Raises:
        BacklogStoppedError: it was stopped.

    """
    row = connection.execute(select(runs.c.stopped_at, runs.c.stop_reason).where(runs.c.id == run_id)).one()
    if row.stopped_at is not None:
        why = f" ({row.stop_reason})" if row.stop_reason else ""
        raise BacklogStoppedError(f"backlog {run_id} was stopped{why}; what lies there is queued by a new one")


def finish_listing(connection: Connection, run_id: int) -> bool:
    """Say whether everything is listed and the caller is to end the backlog's listing; it holds the backlog's row.

    Args:
        connection: in a writing transaction.
        run_id: the backlog.

    """
    of_run = select(runs.c.id).where(runs.c.id == run_id, runs.c.listed_at.is_(None))
    if connection.execute(of_run.with_for_update()).scalar_one_or_none() is None:
        return False
    undone = select(listing_shards.c.id).where(listing_shards.c.run_id == run_id, ~listing_shards.c.done).limit(1)
    return connection.execute(undone).scalar_one_or_none() is None


def mark_listed(connection: Connection, run_id: int) -> None:
    """Say that everything is listed and queued."""
    connection.execute(update(runs).where(runs.c.id == run_id).values(listed_at=utc_now()))


def begin_pass(connection: Connection, run_id: int, *, every_s: float) -> float:
    """List a backlog that follows its bucket once more, if it is time; its shards stay cut as they are.

    Args:
        connection: in a writing transaction.
        run_id: the backlog.
        every_s: time from the end of a listing to the next.

    Returns:
        Seconds until it is time; 0 while it is being listed.

    Raises:
        BacklogStoppedError: it was stopped.

    """
    refuse_stopped(connection, run_id)
    of_run = select(runs.c.listed_at, utc_now().label("now")).where(runs.c.id == run_id).with_for_update()
    row = connection.execute(of_run).one()
    if row.listed_at is None:
        return 0.0
    left_s = every_s - float((row.now - row.listed_at).total_seconds())
    if left_s > 0:
        return left_s
    anew = update(listing_shards).where(listing_shards.c.run_id == run_id)
    connection.execute(anew.values(after_key=listing_shards.c.start_key, pages=0, listed=0, missing=0, done=False))
    connection.execute(delete(missing_media).where(missing_media.c.run_id == run_id))  # left of a refusal
    connection.execute(update(runs).where(runs.c.id == run_id).values(listed_at=None))
    return 0.0


def _change(connection: Connection, shard: Shard, values: Mapping[str, Any]) -> None:
    table = listing_shards.c
    stands = (table.after_key == shard.cursor) & table.end_key.is_not_distinct_from(shard.end_key) & ~table.done
    as_read = (table.id == shard.id) & stands
    if connection.execute(update(listing_shards).where(as_read).values(values)).rowcount != 1:
        raise BacklogTakenError("another annotate-backlog goes on with this listing")


def _shard(row: RowMapping) -> Shard:
    return Shard(row["id"], row["run_id"], row["start_key"], row["after_key"], row["end_key"], row["pages"])


# ---------------------------------------------------------------------------------------------------------- dry run


def compare_objects(
    connection: Connection, source_uri: str, objects: Sequence[tuple[str, str, int]]
) -> tuple[list[tuple[str, str, int]], list[tuple[str, str, int]]]:
    """Say what registering would find; nothing is kept.

    Returns:
        Those that are new, and those that have changed.

    """
    source_id = connection.execute(select(sources.c.id).where(sources.c.uri == source_uri)).scalar_one_or_none()
    rows = connection.execute(
        select(media.c.key, media.c.etag).where(
            media.c.source_id == source_id, media.c.key.in_([key for key, _, _ in objects])
        )
    )
    known = {row.key: row.etag for row in rows}
    changed = [one for one in objects if one[0] in known and known[one[0]] != one[1]]
    return [one for one in objects if one[0] not in known], changed
