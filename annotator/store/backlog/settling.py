"""What a complete listing lacks is marked as gone, unless it is so much that the listing itself is in doubt.

A listing can lie: credentials of another account, a wrong prefix, a server that answers with nothing. So nothing is
marked before all of it is known, and nothing at all where more is missing than may be (:class:`GoneLimits`). What is
marked is marked some thousand media in a transaction, and what a process that is killed has left is marked by the next
one.
"""

import math
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select, text, update

from annotator.store.backlog.gone import KeyRange, mark_gone
from annotator.store.backlog.listing import Run, finish_listing, mark_listed, refuse_stopped
from annotator.store.backlog.missing import AT_ONCE, known_media
from annotator.store.tables import listing_shards, missing_media, runs


@dataclass(frozen=True, slots=True)
class GoneLimits:
    """How many known media may be gone at once.

    Attributes:
        share: of those that are known below the prefix, and that the filters want.
        least: so many in any case.

    """

    share: float = 0.2
    least: int = 1000


@dataclass(frozen=True, slots=True)
class Missing:
    """What a listing has not found so far.

    Attributes:
        missing: known media that were not listed; no more are looked for once it is too many.
        known: media that are known; counted only as far as it matters.
        most: as many may be missing.

    """

    missing: int
    known: int
    most: int

    @property
    def is_too_much(self) -> bool:
        """Whether the listing is in doubt."""
        return self.missing > self.most


def count_missing(connection: Connection, run_id: int) -> int:
    """Return how many known media the listing of a backlog has not found so far."""
    summed = select(func.coalesce(func.sum(listing_shards.c.missing), 0)).where(listing_shards.c.run_id == run_id)
    return int(connection.execute(summed).scalar_one())


def look_at_missing(connection: Connection, run: Run, told: KeyRange, limits: GoneLimits, *, ahead: int = 1) -> Missing:
    """Say how much is missing so far, and how much may be.

    Args:
        connection: any.
        run: the backlog that lists.
        told: all keys that its listing is of.
        limits: how many may be missing.
        ahead: media are counted until it is known that so many times as much may be missing.

    """
    missing = count_missing(connection, run.id)
    if missing <= limits.least or limits.share >= 1:
        return Missing(missing, missing, max(missing, limits.least))
    noted = select(func.count()).select_from(missing_media).where(missing_media.c.run_id == run.id)
    marked = missing - int(connection.execute(noted).scalar_one())  # by a process that was killed
    enough = math.ceil(ahead * missing / limits.share) if limits.share > 0 else None
    known = marked + _count_known(connection, run.asked.source_id, told, most=enough)
    return Missing(missing, known, max(limits.least, int(known * limits.share)))


def _count_known(connection: Connection, source_id: int, told: KeyRange, *, most: int | None) -> int:
    condition, bound = known_media(source_id, told)
    if told.is_meant is None:
        limit = "" if most is None else f" LIMIT {most}"
        some = f"SELECT 1 AS one FROM media WHERE {condition}{limit}"  # noqa: S608  (constants)
        return int(connection.execute(text(f"SELECT count(*) FROM ({some}) AS first_ones"), bound).scalar_one())  # noqa: S608
    count = 0
    keys = text(f"SELECT key FROM media WHERE {condition} ORDER BY key LIMIT {AT_ONCE}")  # noqa: S608  (constants)
    while (most is None or count < most) and (some_keys := connection.execute(keys, bound).scalars().all()):
        count += sum(map(told.is_meant, some_keys))
        bound["after"] = some_keys[-1]
    return count


def settle_missing(connection: Connection, run_id: int, found: Missing) -> tuple[int, bool] | None:
    """Mark some of what a complete listing has not found; with the last of it, the backlog is listed.

    Where it is too much, the backlog is listed at once; what is noted is left to
    :func:`annotator.store.backlog.missing.forget_missing`.

    Args:
        connection: in a writing transaction.
        run_id: the backlog.
        found: what is missing; where it is too much, nothing is marked.

    Returns:
        How many are marked, and whether there is nothing more to do; None where the listing has not come to its end, or
        somebody else has done it all.

    Raises:
        BacklogStoppedError: the backlog was stopped.

    """
    if not finish_listing(connection, run_id):
        return None
    refuse_stopped(connection, run_id)
    if found.is_too_much:
        # Before any note goes: whoever looked between two transactions would take what has gone for marked, and so for
        # known, and accept in the end what is refused here.
        _end(connection, run_id, refused=found.missing)
        return 0, True
    noted = select(missing_media.c.media_id).where(missing_media.c.run_id == run_id)
    some = connection.execute(noted.order_by(missing_media.c.media_id).limit(AT_ONCE)).scalars().all()
    count = 0
    if some:
        until = missing_media.c.media_id <= some[-1]
        left = delete(missing_media).where(missing_media.c.run_id == run_id, until).returning(missing_media.c.media_id)
        # Deleted first, and what that gives is marked: another backlog that lists one of them deletes its note, and
        # either it is no longer here, or the other one waits and then finds the media marked.
        count = mark_gone(connection, connection.execute(left).scalars().all())
    if len(some) == AT_ONCE:
        return count, False
    _end(connection, run_id, refused=None)
    return count, True


def _end(connection: Connection, run_id: int, *, refused: int | None) -> None:
    connection.execute(update(runs).where(runs.c.id == run_id).values(gone_refused=refused))
    mark_listed(connection, run_id)
