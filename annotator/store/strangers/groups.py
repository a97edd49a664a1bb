"""The groups of a network as rows: read before a run, written in the transaction of what has changed them."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, bindparam, delete, func, select, update

from annotator.grouping.grouping import Grouping, SeenTogether
from annotator.grouping.table import GroupTable, StoredGroup
from annotator.store.registry import dialect_insert
from annotator.store.strangers.state import State, move_on
from annotator.store.tables import awaited_tracks, grouped_contents, grouped_tracks, track_groups

_I32: Final = np.dtype("<i4")
_READ_AT_ONCE: Final = 10_000


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
    awaited = awaited_tracks.c
    number_now = (
        select(track_groups.c.survivor_no)
        .where(track_groups.c.network_id == state.network_id, track_groups.c.group_no == awaited.group_no)
        .scalar_subquery()
    )
    of_awaited = update(awaited_tracks).where(awaited.network_id == state.network_id)
    connection.execute(of_awaited.values(group_no=func.coalesce(number_now, awaited.group_no)))
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
