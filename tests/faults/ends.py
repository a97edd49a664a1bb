"""What a backlog comes to where a fault decides the end of one media, and ends that wait for no retry."""

from collections.abc import Collection
from dataclasses import fields, replace
from typing import Final

from annotator.store.tables import WorkState
from tests.faults.rows import Rows, Table
from tests.faults.system import System

# One after the other, and never one that somebody is at: no transaction of the system may lose against this one.
_FORGET_WAITS: Final = (
    "UPDATE {table} SET not_before = NULL WHERE ctid IN"
    " (SELECT ctid FROM {table} WHERE not_before IS NOT NULL FOR UPDATE SKIP LOCKED)"
)


def end_without_waits(system: System) -> None:
    """Wait until all is settled; whatever is to be tried later is tried at once."""

    def has_ended() -> bool:
        for table in ("work", "chunks"):
            system.execute(_FORGET_WAITS.format(table=table))
        return system.count("work", "state < 2") == 0 and system.count("chunks") == 0

    system.wait_until(has_ended, what="the backlog is done, without waits")


def with_failure(rows: Rows, key: str, reason: str, message: str, *, state: WorkState = WorkState.FAILED) -> Rows:
    """Return the rows of an undisturbed run in which this one media, which has no double, has failed."""
    ((digest, _),) = (one for one in rows.work if one[1] == key)
    sha256, etag, is_gone = rows.media[key,]
    left = _without_contents(rows, {sha256})
    return replace(
        left,
        media={**rows.media, (key,): (None, etag, is_gone)},
        work={**rows.work, (digest, key): (int(state), reason, message)},
    )


def only(rows: Rows, keys: Collection[str]) -> Rows:
    """Return the rows of an undisturbed run of a part of the media."""
    media = {key: values for key, values in rows.media.items() if key[0] in keys}
    left = _without_contents(rows, {values[0] for values in rows.media.values()} - {one[0] for one in media.values()})
    return replace(left, media=media, work={key: values for key, values in rows.work.items() if key[1] in keys})


def with_media(rows: Rows, key: str, *values: object) -> Rows:
    """Return rows with other values of one media: digest of the bytes, ETag, whether it is gone."""
    return replace(rows, media={**rows.media, (key,): values})


def _without_contents(rows: Rows, digests: Collection[object]) -> Rows:
    """Take away what was found in contents; their digest is the second part of each key."""

    def left(table: Table) -> Table:
        return {key: values for key, values in table.items() if key[1] not in digests}

    of_contents = [field.name for field in fields(Rows) if field.name not in {"media", "work"}]
    return replace(rows, **{name: left(getattr(rows, name)) for name in of_contents})
