"""How often each group of strangers is seen, counted as of a time: pages read some rows instead of all tracks.

A count goes over all groups of a network under the names of one labelling, with the roll-up of people. What a person
decides about a group is counted at once, in the transaction of the decision: a row says as of which change of the
groups it is, and a count that has begun before that leaves it alone.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, delete, select, text, update

from annotator.store.as_of import is_resting, note_as_of
from annotator.store.columns import UtcTime, utc_now
from annotator.store.connection import reading, several
from annotator.store.dialect import given_ids, ids_param, is_postgres
from annotator.store.registry import active_labelling
from annotator.store.strangers.listing import Stranger
from annotator.store.strangers.state import load_state
from annotator.store.tables import labellings, stranger_counts_by, stranger_roll_ups

_KEY: Final = ("labelling_id", "group_no", "changes")
_COUNTED: Final = tuple(column.name for column in stranger_counts_by.columns if column.name not in _KEY)
_FOUND: Final = "found_strangers"  # the temporary table is called so

# As of the view `stranger_groups`; besides the sharpest track of each group, and the name that most named ones have.
_COUNTS: Final = """
WITH picked AS (
  SELECT a.survivor_no AS group_no, b.content_id, b.track_no
  FROM grouped_tracks b JOIN track_groups a ON a.network_id = b.network_id AND a.group_no = b.group_no
  WHERE b.network_id = :network {of_groups}
), seen AS MATERIALIZED (
  SELECT p.group_no, p.content_id, p.track_no,
         (SELECT count(*) FROM media m WHERE m.content_id = p.content_id AND m.deleted_at IS NULL) AS media,
         n.annotated_at, t.screen_ms, t.face_px,
         coalesce(t.quality, 0) AS quality, i.survivor_id AS identity_id
  FROM picked p
  JOIN tracks t ON t.network_id = :network AND t.content_id = p.content_id AND t.track_no = p.track_no
  JOIN annotations n ON n.network_id = :network AND n.content_id = p.content_id
  LEFT JOIN track_labels k ON k.labelling_id = :labelling AND k.content_id = p.content_id AND k.track_no = p.track_no
  LEFT JOIN identities i ON i.id = k.identity_id
), clips AS (
  SELECT group_no, media, annotated_at, count(*) - count(identity_id) AS tracks, count(identity_id) AS named_tracks,
         sum(CASE WHEN identity_id IS NULL THEN screen_ms ELSE 0 END) AS screen_ms,
         max(CASE WHEN identity_id IS NULL THEN face_px END) AS face_px
  FROM seen WHERE media > 0 GROUP BY group_no, content_id, media, annotated_at
), sums AS (
  SELECT group_no, sum(CASE WHEN tracks > 0 THEN 1 ELSE 0 END) AS contents,
         sum(CASE WHEN tracks > 0 THEN media ELSE 0 END) AS media, sum(tracks) AS tracks,
         sum(named_tracks) AS named_tracks, sum(screen_ms * media) AS screen_ms, max(face_px) AS face_px,
         min(annotated_at) AS first_annotated_at, max(annotated_at) AS last_annotated_at
  FROM clips GROUP BY group_no HAVING sum(tracks) > 0
), faces AS (
  SELECT group_no, content_id, track_no,
         row_number() OVER (PARTITION BY group_no ORDER BY quality DESC, content_id, track_no) AS place
  FROM seen WHERE media > 0
), names AS (
  SELECT group_no, identity_id,
         row_number() OVER (PARTITION BY group_no ORDER BY count(*) DESC, identity_id) AS place
  FROM seen WHERE media > 0 AND identity_id IS NOT NULL GROUP BY group_no, identity_id
)
SELECT s.group_no, s.contents, s.media, s.tracks, s.named_tracks, s.screen_ms, s.face_px, s.first_annotated_at,
       s.last_annotated_at, f.content_id AS best_content_id, f.track_no AS best_track_no,
       n.identity_id AS resembles_id
FROM sums s
JOIN faces f ON f.group_no = s.group_no AND f.place = 1
LEFT JOIN names n ON n.group_no = s.group_no AND n.place = 1
"""
_OF_GROUPS: Final = "AND a.survivor_no {given}"
_ADD: Final = f"""
INSERT INTO stranger_counts_by (labelling_id, changes, group_no, {", ".join(_COUNTED)})
SELECT CAST(:labelling AS integer), CAST(:changes AS bigint), f.group_no, {", ".join(f"f.{one}" for one in _COUNTED)}
FROM {_FOUND} f WHERE true
ON CONFLICT (labelling_id, group_no) DO UPDATE SET changes = excluded.changes,
  {", ".join(f"{one} = excluded.{one}" for one in _COUNTED)}
WHERE stranger_counts_by.changes <= excluded.changes
  AND ({" OR ".join(f"stranger_counts_by.{one} IS DISTINCT FROM excluded.{one}" for one in _COUNTED)})
"""  # noqa: S608 - made of constants
_ADD_SOME: Final = f"""
INSERT INTO stranger_counts_by (labelling_id, changes, group_no, {", ".join(_COUNTED)})
SELECT CAST(:labelling AS integer), CAST(:changes AS bigint), f.group_no, {", ".join(f"f.{one}" for one in _COUNTED)}
FROM ({{found}}) f
"""  # noqa: S608 - made of constants
_REMOVE: Final = f"""
DELETE FROM stranger_counts_by WHERE labelling_id = :labelling AND changes <= :changes
AND group_no NOT IN (SELECT group_no FROM {_FOUND})
"""  # noqa: S608 - made of constants
_MOST_SEEN: Final = """
SELECT c.group_no, NULL AS identity, c.contents, c.media, c.tracks, c.named_tracks, c.screen_ms, c.face_px,
       c.first_annotated_at, c.last_annotated_at,
       (SELECT i.name FROM identities a JOIN identities i ON i.id = a.survivor_id WHERE a.id = c.resembles_id),
       c.best_content_id, c.best_track_no,
       (SELECT min(m.id) FROM media m WHERE m.content_id = c.best_content_id AND m.deleted_at IS NULL
        AND EXISTS (SELECT 1 FROM tracks t WHERE t.network_id = g.network_id AND t.content_id = c.best_content_id
                    AND t.track_no = c.best_track_no)) AS media_id
FROM stranger_counts_by c
JOIN track_groups g ON g.network_id = :network AND g.group_no = c.group_no
WHERE c.labelling_id = :labelling AND c.named_tracks < c.tracks AND g.identity_id IS NULL AND g.merged_into IS NULL
ORDER BY c.media DESC, c.screen_ms DESC, c.group_no LIMIT :limit
"""


def count_strangers(engine: Engine, *, labelling_id: int | None = None, timeout_ms: int = 0) -> bool:
    """Count all groups under the names of a labelling. It reads without holding anybody up, then writes what differs.

    Args:
        engine: of the database.
        labelling_id: whose names; those that are shown by default.
        timeout_ms: how long a statement may take on Postgres; 0 is for ever.

    Returns:
        Whether they are counted; not where there are no groups, or another process was quicker.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    started_s = time.monotonic()
    with several(engine) as transaction:
        with transaction(writes=False) as connection:
            if is_postgres(connection):
                # All of one snapshot.
                connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
                connection.execute(text(f"SET LOCAL statement_timeout = {timeout_ms}"))
            chosen = active_labelling(connection) if labelling_id is None else labelling_id
            network_id = _network_of(connection, chosen)
            state = None if network_id is None else load_state(connection, network_id)
            if chosen is None or state is None:
                return False
            as_of = connection.execute(select(utc_now())).scalar_one()
            connection.execute(text(f"DROP TABLE IF EXISTS {_FOUND}"))
            counted = f"CREATE TEMP TABLE {_FOUND} AS {_COUNTS.format(of_groups='')}"
            connection.execute(text(counted), {"network": network_id, "labelling": chosen})
        with transaction() as connection:
            is_newest = note_as_of(connection, stranger_roll_ups, chosen, as_of)
            if is_newest:
                bound = {"labelling": chosen, "changes": state.changes}
                connection.execute(text(_REMOVE), bound)
                connection.execute(text(_ADD), bound)
                took_ms = max(1, round((time.monotonic() - started_s) * 1000))
                this = stranger_roll_ups.c.labelling_id == chosen
                connection.execute(update(stranger_roll_ups).where(this).values(took_ms=took_ms))
            connection.execute(text(f"DROP TABLE {_FOUND}"))
    return is_newest


def count_strangers_if_due(engine: Engine, *, timeout_ms: int = 0) -> None:
    """Count all groups, unless that rests from the last time.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    with reading(engine) as connection:
        if not are_strangers_due(connection):
            return
    count_strangers(engine, timeout_ms=timeout_ms)


def are_strangers_due(connection: Connection) -> bool:
    """Say whether there are groups of what is shown, and counting them does not rest from the last time."""
    network_id = _network_of(connection, active_labelling(connection))
    has_groups = network_id is not None and load_state(connection, network_id) is not None
    return has_groups and not is_resting(connection, stranger_roll_ups)


def count_anew(connection: Connection, network_id: int, numbers: Sequence[int]) -> None:
    """Count some groups under all labellings whose groups are counted: last thing in the transaction that changes them.

    Args:
        connection: in a transaction that has counted itself in ``groupings.changes``.
        network_id: whose tracks they are.
        numbers: of the groups, those included that are part of another one now.

    """
    state = load_state(connection, network_id)
    # Who writes a count of all waits until this ends, and sees as of which change of the groups these rows are.
    counted = (
        select(stranger_roll_ups.c.labelling_id)
        .join(labellings, labellings.c.id == stranger_roll_ups.c.labelling_id)
        .where(labellings.c.network_id == network_id)
        .order_by(stranger_roll_ups.c.labelling_id)
        .with_for_update(of=stranger_roll_ups)
    )
    for labelling_id in connection.execute(counted).scalars().all():
        of_these = (stranger_counts_by.c.labelling_id == labelling_id, stranger_counts_by.c.group_no.in_(numbers))
        connection.execute(delete(stranger_counts_by).where(*of_these))
        found = _COUNTS.format(of_groups=_OF_GROUPS.format(given=given_ids(connection)))
        bound = {
            "network": network_id,
            "labelling": labelling_id,
            "changes": 0 if state is None else state.changes,
            "ids": ids_param(connection, list(numbers)),
        }
        connection.execute(text(_ADD_SOME.format(found=found)), bound)


@dataclass(frozen=True, slots=True)
class CountedStranger:
    """A group as it was counted.

    Attributes:
        stranger: the group.
        face: media and number of its sharpest track; None where that is gone since.

    """

    stranger: Stranger
    face: tuple[int, int] | None


def counted_strangers(connection: Connection, *, limit: int) -> list[CountedStranger] | None:
    """Return groups without a name that are seen in most media, as they were counted; None where they never were.

    Names and what is one group are as of now. Where the groups are not counted yet under the names that are shown, they
    are told as of those under which they were counted last.

    Args:
        connection: any.
        limit: how many.

    """
    labelling_id = active_labelling(connection)
    network_id = _network_of(connection, labelling_id)
    counted = (
        select(stranger_roll_ups.c.labelling_id)
        .join(labellings, labellings.c.id == stranger_roll_ups.c.labelling_id)
        .where(labellings.c.network_id == network_id)
        .order_by((stranger_roll_ups.c.labelling_id == labelling_id).desc(), stranger_roll_ups.c.as_of.desc())
        .limit(1)
    )
    of_labelling = connection.execute(counted).scalar_one_or_none()
    if of_labelling is None:
        return None
    most_seen = text(_MOST_SEEN).columns(first_annotated_at=UtcTime, last_annotated_at=UtcTime)
    rows = connection.execute(most_seen, {"network": network_id, "labelling": of_labelling, "limit": limit})
    return [
        CountedStranger(Stranger(*row[:11]), None if row.media_id is None else (row.media_id, row.best_track_no))
        for row in rows
    ]


def _network_of(connection: Connection, labelling_id: int | None) -> int | None:
    return connection.execute(
        select(labellings.c.network_id).where(labellings.c.id == labelling_id)
    ).scalar_one_or_none()
