"""The groups of a network as rows: read before a run, written in the transaction of what has changed them.

Every transaction that changes groups counts itself in ``groupings.changes``, and only if it has seen the last one: two
processes that hold the same groups in memory cannot both write, on SQLite neither.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from annotator.errors import GroupingTakenError
from annotator.grouping.grouping import Grouping, SeenTogether
from annotator.grouping.table import GroupTable, StoredGroup
from annotator.store.columns import utc_now
from annotator.store.registry import dialect_insert
from annotator.store.tables import grouped_contents, grouped_tracks, groupings, track_groups

_I32: Final = np.dtype("<i4")
_READ_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class State:
    """A row of ``groupings``.

    Attributes:
        network_id: whose tracks are grouped.
        rule: digest of all that decides about groups but the tracks (``annotator.grouping.points.rule_of``).
        founded: groups that were ever founded under the rule.
        next_no: number of the next group.
        changes: how many transactions have changed the groups.

    """

    network_id: int
    rule: str
    founded: int = 0
    next_no: int = 1
    changes: int = 0


def load_state(connection: Connection, network_id: int) -> State | None:
    """Return how far the groups of a network are; None where there were never any."""
    row = connection.execute(select(groupings).where(groupings.c.network_id == network_id)).one_or_none()
    return None if row is None else State(row.network_id, row.rule, row.founded, row.next_no, row.changes)


def begin_state(connection: Connection, network_id: int, rule: str) -> State:
    """Make the row of a network whose tracks were never grouped."""
    state = State(network_id, rule)
    connection.execute(
        insert(groupings).values(network_id=network_id, rule=rule, founded=0, next_no=state.next_no, changes=0)
    )
    return state


def move_on(connection: Connection, state: State, **changed: Any) -> State:  # noqa: ANN401  (fields of the state)
    """Count a change, and write what else has changed.

    Raises:
        GroupingTakenError: somebody else has changed the groups since this state was read.

    """
    after = replace(state, changes=state.changes + 1, **changed)
    values = {name: getattr(after, name) for name in ("rule", "founded", "next_no", "changes")}
    same = (groupings.c.network_id == state.network_id, groupings.c.changes == state.changes)
    if connection.execute(update(groupings).where(*same).values(**values)).rowcount != 1:
        raise GroupingTakenError(
            "another process has changed the groups of strangers meanwhile: wait for it, and call this again"
        )
    return after


def finish(connection: Connection, network_id: int) -> None:
    """Note that a run has come to its end."""
    connection.execute(update(groupings).where(groupings.c.network_id == network_id).values(grouped_at=utc_now()))


def load_grouping(connection: Connection, state: State, *, dimensions: int, seen_together: SeenTogether) -> Grouping:
    """Return the groups of a network, ready to take tracks.

    Args:
        connection: any.
        state: of the network.
        dimensions: of points.
        seen_together: as of :class:`Grouping`.

    """
    table = GroupTable(dimensions, founded=state.founded, next_number=state.next_no)
    grouping = Grouping(table, seen_together=seen_together)
    groups, tracks = track_groups.c, grouped_tracks.c
    row_of: dict[int, int] = {}
    there = select(groups.group_no, groups.tracks, groups.total, groups.is_kept).where(
        groups.network_id == state.network_id, groups.merged_into.is_(None)
    )
    in_order = there.order_by(groups.group_no).execution_options(stream_results=True)
    for some in connection.execute(in_order).partitions(_READ_AT_ONCE):
        stored = [
            StoredGroup(number, count, decode_total(total), is_kept=is_kept) for number, count, total, is_kept in some
        ]
        row_of.update(zip((one.number for one in stored), grouping.restore(stored), strict=True))
    beside = func.count().over(partition_by=tracks.content_id)
    members = (
        select(tracks.content_id, tracks.track_no, tracks.is_fixed, groups.survivor_no, beside.label("beside"))
        .join(track_groups, (groups.network_id == tracks.network_id) & (groups.group_no == tracks.group_no))
        .where(tracks.network_id == state.network_id)
        .subquery()
    )
    several = select(members.c.content_id, members.c.track_no, members.c.survivor_no).where(
        (members.c.beside > 1) | members.c.is_fixed
    )
    by_content = several.order_by(members.c.content_id, members.c.track_no).execution_options(stream_results=True)
    for rows in connection.execute(by_content).partitions(_READ_AT_ONCE):
        for content_id, track_no, number in rows:
            grouping.restore_member((content_id, track_no), row_of[number])
    return grouping


def write_groups(connection: Connection, network_id: int, groups: Iterable[StoredGroup]) -> None:
    """Write groups that are new or have changed; who they are, and whether they are kept, stays."""
    rows = [
        {
            "network_id": network_id,
            "group_no": one.number,
            "tracks": one.tracks,
            "total": encode_total(one.total),
            "is_kept": one.is_kept,
        }
        for one in groups
    ]
    if rows:
        written = dialect_insert(connection, track_groups)
        changed = {name: written.excluded[name] for name in ("tracks", "total")}
        keys = [track_groups.c.network_id, track_groups.c.group_no]
        connection.execute(written.on_conflict_do_update(index_elements=keys, set_=changed), rows)


def write_united(connection: Connection, network_id: int, united: Sequence[tuple[int, int]]) -> None:
    """Let groups point to those that they have become part of: pairs of numbers, in the order in which it happened."""
    same = (track_groups.c.network_id == network_id, track_groups.c.survivor_no == bindparam("lost"))
    pointed = update(track_groups).where(*same).values(merged_into=bindparam("into"))
    for lost, into in united:
        connection.execute(pointed, {"lost": lost, "into": into})


def forget_all_but_decisions(connection: Connection, state: State, rule: str) -> State:
    """Forget what no person has decided: groups are then made anew around those that somebody has.

    Groups that are kept have no tracks but the fixed ones any more, and centres that are to be made anew.

    Raises:
        GroupingTakenError: as of :func:`move_on`.

    """
    of_network = grouped_tracks.c.network_id == state.network_id
    survivor = (
        select(track_groups.c.survivor_no)
        .where(track_groups.c.network_id == state.network_id, track_groups.c.group_no == grouped_tracks.c.group_no)
        .scalar_subquery()
    )
    connection.execute(delete(grouped_tracks).where(of_network, grouped_tracks.c.is_fixed.is_(False)))
    connection.execute(update(grouped_tracks).where(of_network).values(group_no=survivor))
    kept = track_groups.c.is_kept & track_groups.c.merged_into.is_(None)
    connection.execute(delete(track_groups).where(track_groups.c.network_id == state.network_id, ~kept))
    connection.execute(delete(grouped_contents).where(grouped_contents.c.network_id == state.network_id))
    left = select(func.count()).select_from(track_groups).where(track_groups.c.network_id == state.network_id)
    return move_on(connection, state, rule=rule, founded=connection.execute(left).scalar_one())


def encode_total(total: Any) -> bytes:  # noqa: ANN401  (an array of i32)
    """Return the bytes of ``track_groups.total``."""
    return bytes(np.asarray(total, _I32).tobytes())


def decode_total(data: bytes) -> Any:  # noqa: ANN401  (an array of i32)
    """Return the i32 (E,) sum of a group's points."""
    return np.frombuffer(bytes(data), _I32).astype(np.int32)
