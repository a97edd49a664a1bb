"""Chunks: media ids that travel together in one message, and what the feeder does with them.

A chunk is a hint. Whether a media is still to be done stands in ``work`` alone; a chunk that is lost, published twice
or forgotten costs time and nothing else.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, delete, func, insert, select, text, update

from annotator.store.columns import utc_now
from annotator.store.connection import reading
from annotator.store.dialect import earlier, given_ids, ids_param, later_value
from annotator.store.queue.lanes import FILM, Lane, cost_of, lane_of
from annotator.store.tables import ChunkState, WorkState, chunks, worker_sessions

MAX_CHUNK_COST_MS: Final = 10_000
_SLICE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A media that is to travel.

    Attributes:
        media_id: its row.
        key: its key in the source.
        size_bytes: None where the source does not tell.

    """

    media_id: int
    key: str
    size_bytes: int | None

    @property
    def lane(self) -> Lane:
        """Guess from name and size which lane is right; content decides later what it is."""
        return lane_of(self.key, self.size_bytes)

    @property
    def cost_ms(self) -> int:
        """Estimate the work."""
        return cost_of(self.size_bytes)


@dataclass(frozen=True, slots=True)
class ChunkLimits:
    """How large a chunk may be.

    Attributes:
        media: most media.
        size_bytes: most bytes; one larger media goes alone.
        cost_ms: most estimated work.

    """

    media: int = 64
    size_bytes: int = 256 << 20
    cost_ms: int = MAX_CHUNK_COST_MS


USUAL_LIMITS: Final = ChunkLimits()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk on its way to the broker."""

    id: int
    lane: str
    media_ids: tuple[int, ...]
    queue: str
    network_id: int | None = None


def pack(pieces: Iterable[Piece], *, limits: ChunkLimits) -> Iterator[list[Piece]]:
    """Group media into chunks in their order; films go alone.

    >>> gifs = [Piece(number, f"{number}.gif", 1 << 20) for number in range(3)]
    >>> [len(group) for group in pack(gifs, limits=ChunkLimits(media=2))]
    [2, 1]
    """
    group: list[Piece] = []
    for piece in pieces:
        if piece.lane == FILM:
            yield [piece]
            continue
        if group and not _fits(group, piece, limits):
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _fits(group: Sequence[Piece], piece: Piece, limits: ChunkLimits) -> bool:
    size_bytes = sum(one.size_bytes or 0 for one in group) + (piece.size_bytes or 0)
    cost_ms = sum(one.cost_ms for one in group) + piece.cost_ms
    return len(group) < limits.media and size_bytes <= limits.size_bytes and cost_ms <= limits.cost_ms


def add_chunks(
    connection: Connection,
    network_id: int,
    groups: Iterable[Sequence[Piece]],
    *,
    run_id: int | None = None,
    priority: int = 0,
    delay_s: float | None = None,
) -> int:
    """Add chunks for the feeder, in the caller's transaction.

    Args:
        connection: in a writing transaction.
        network_id: which network is to annotate them.
        groups: the media of each chunk; see :func:`pack`.
        run_id: the backlog's run.
        priority: higher goes first.
        delay_s: how long the feeder is to wait.

    Returns:
        How many chunks were added.

    """
    rows = [
        {
            "network_id": network_id,
            "run_id": run_id,
            "lane": group[0].lane,
            "priority": priority,
            "state": int(ChunkState.WAITING),
            "media_ids": [piece.media_id for piece in group],
            "cost_ms": sum(piece.cost_ms for piece in group),
        }
        for group in groups
    ]
    if rows:
        not_before = later_value(connection, delay_s) if delay_s else None
        connection.execute(insert(chunks).values(created_at=utc_now(), not_before=not_before), rows)
    return len(rows)


def put_back(connection: Connection, chunk_ids: Sequence[int] | None = None, *, delay_s: float | None = None) -> int:
    """Let the feeder publish chunks again: some, or with None all (the broker has lost everything).

    Args:
        connection: in a writing transaction.
        chunk_ids: which.
        delay_s: how long the feeder is to wait.

    Returns:
        How many chunks these are.

    """
    statement = update(chunks).where(chunks.c.state == ChunkState.PUBLISHED)
    if chunk_ids is not None:
        statement = statement.where(chunks.c.id.in_(chunk_ids))
    not_before = later_value(connection, delay_s) if delay_s else None
    waiting = statement.values(state=int(ChunkState.WAITING), published_at=None, not_before=not_before, session_id=None)
    return connection.execute(waiting).rowcount


def take_chunk(connection: Connection, chunk_id: int, *, session_id: int) -> Chunk | None:
    """Say that a session has taken the message of a chunk, and return the chunk; None where it is forgotten already.

    The session may die before it has claimed anything: then nobody else knows that the message is gone.
    """
    taken = update(chunks).where(chunks.c.id == chunk_id).values(session_id=session_id)
    columns = (chunks.c.id, chunks.c.lane, chunks.c.media_ids, chunks.c.queue, chunks.c.network_id)
    row = connection.execute(taken.returning(*columns)).one_or_none()
    return None if row is None else Chunk(row.id, row.lane, tuple(row.media_ids), row.queue, row.network_id)


def put_back_taken(connection: Connection) -> int:
    """Let the feeder publish those chunks again whose messages were taken by sessions that have ended since.

    Returns:
        How many chunks these are.

    """
    ended = select(worker_sessions.c.id).where(worker_sessions.c.ended_at.is_not(None))
    taken = select(chunks.c.id).where(chunks.c.state == ChunkState.PUBLISHED, chunks.c.session_id.in_(ended))
    return put_back(connection, list(connection.execute(taken).scalars()))


def slices_of_chunks(engine: Engine) -> Iterator[tuple[int, int]]:
    """Yield ranges of ids that hold some thousands of chunks each: behind the first id, up to the second one.

    What all chunks are gone through for, because no index leads to it, is so done in many short transactions.
    """
    low = 0
    while True:
        some = select(chunks.c.id).where(chunks.c.id > low).order_by(chunks.c.id).limit(_SLICE).subquery()
        with reading(engine) as connection:
            high = connection.execute(select(func.max(some.c.id))).scalar_one()
        if high is None:
            return
        yield low, high
        low = high


def settle(connection: Connection, chunk_id: int) -> None:
    """Forget a chunk: each of its media is settled, claimed by somebody, or travels in a newer chunk."""
    connection.execute(delete(chunks).where(chunks.c.id == chunk_id))


def forget_lost(connection: Connection, network_id: int, media_ids: Collection[int]) -> None:
    """Let go of published chunks whose worker was lost: they would hold their places in the queue for nothing.

    Args:
        connection: in a writing transaction.
        network_id: the network of the media.
        media_ids: what a sweep has taken back; what is pending of it travels in newer chunks.

    """
    published = select(chunks.c.id, chunks.c.media_ids).where(
        chunks.c.state == ChunkState.PUBLISHED, chunks.c.network_id == network_id
    )
    lost = set(media_ids)
    forgotten: list[int] = []
    again: list[int] = []
    for row in connection.execute(published).all():
        if lost.isdisjoint(row.media_ids):
            continue
        others = [media_id for media_id in row.media_ids if media_id not in lost]
        (again if WorkState.PENDING in _states(connection, network_id, others) else forgotten).append(row.id)
    if forgotten:
        connection.execute(delete(chunks).where(chunks.c.id.in_(forgotten)))
    if again:
        put_back(connection, again)


def find_untaken(connection: Connection) -> set[int]:
    """Return the chunks that are published and that no session has said to have."""
    untaken = (chunks.c.state == ChunkState.PUBLISHED) & chunks.c.session_id.is_(None)
    return set(connection.execute(select(chunks.c.id).where(untaken)).scalars())


def put_back_unclaimed(connection: Connection, *, after_s: float, waiting: Collection[int] = ()) -> int:
    """Look at chunks that were published long ago: publish again what is still pending, forget what is settled.

    Args:
        connection: in a writing transaction.
        after_s: how long ago.
        waiting: chunks whose messages are known to wait in the broker; they are not looked at.

    Returns:
        How many chunks are to be published again.

    """
    old = text(
        "SELECT id, network_id, media_ids FROM chunks "  # noqa: S608  (only constants are joined)
        f"WHERE state = 1 AND published_at < {earlier(connection, 'after_s')}"
        f" AND NOT (id {given_ids(connection)}) ORDER BY id LIMIT 1000"
    ).columns(*(chunks.c[name] for name in ("id", "network_id", "media_ids")))
    again: list[int] = []
    done: list[int] = []
    for row in connection.execute(old, {"after_s": after_s, "ids": ids_param(connection, sorted(waiting))}).all():
        states = _states(connection, row.network_id, row.media_ids)
        if WorkState.PENDING in states:
            again.append(row.id)
        elif WorkState.CLAIMED not in states:
            done.append(row.id)
    if done:
        connection.execute(delete(chunks).where(chunks.c.id.in_(done)))
    return put_back(connection, again) if again else 0


def _states(connection: Connection, network_id: int, media_ids: Sequence[int]) -> set[int]:
    statement = text(f"SELECT DISTINCT state FROM work WHERE network_id = :n AND media_id {given_ids(connection)}")  # noqa: S608
    found = connection.execute(statement, {"n": network_id, "ids": ids_param(connection, media_ids)})
    return {row.state for row in found}
