"""What a person has decided about a track holds when its face is found anew, by the same network or by another one.

A decision stands beside the track that it is about (``grouped_tracks.is_fixed``). Where a content is annotated anew its
tracks go, and ``awaited_tracks`` keeps where and when they were seen. Before tracks find their groups, those that are
meant are looked for as those of corrections are: by time and place.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, delete, insert, select, text

from annotator.store.appearances import load_boxes
from annotator.store.codec import StoredBoxes, decode_boxes
from annotator.store.corrections.matching import find_track, overlap
from annotator.store.dialect import given_ids, ids_param
from annotator.store.registry import batched
from annotator.store.strangers.state import State, move_on
from annotator.store.tables import awaited_tracks, grouped_tracks, groupings, track_groups
from annotator.types import TrackKey

_AT_ONCE: Final = 500  # contents whose boxes are in memory

_AWAIT: Final = """
INSERT INTO awaited_tracks (network_id, content_id, group_no, boxes)
SELECT b.network_id, b.content_id, b.group_no, t.boxes
FROM grouped_tracks b
JOIN tracks t ON t.network_id = b.network_id AND t.content_id = b.content_id AND t.track_no = b.track_no
WHERE b.network_id = :network AND b.is_fixed AND b.content_id {given}
ORDER BY b.content_id, b.track_no
"""
# Contents of which a person has decided something, and whose tracks have no groups yet.
_LACKING: Final = """
SELECT d.content_id
FROM (SELECT content_id FROM awaited_tracks
      UNION SELECT content_id FROM grouped_tracks WHERE network_id <> :network AND is_fixed) d
WHERE EXISTS (SELECT 1 FROM annotations n WHERE n.network_id = :network AND n.content_id = d.content_id)
  AND NOT EXISTS (SELECT 1 FROM grouped_contents g WHERE g.network_id = :network AND g.content_id = d.content_id)
ORDER BY d.content_id
"""
# What was decided about tracks of contents under any network, but for what is there under this one.
_DECIDED: Final = """
SELECT d.network_id, d.content_id, d.boxes, d.awaited_id, k.group_no, k.identity_id,
       coalesce(k.from_network_id, d.network_id) AS from_network_id,
       coalesce(k.from_group_no, k.group_no) AS from_group_no
FROM (SELECT network_id, content_id, group_no, boxes, id AS awaited_id FROM awaited_tracks WHERE content_id {given}
      UNION ALL
      SELECT b.network_id, b.content_id, b.group_no, t.boxes, NULL
      FROM grouped_tracks b
      JOIN tracks t ON t.network_id = b.network_id AND t.content_id = b.content_id AND t.track_no = b.track_no
      WHERE b.network_id {others} AND b.is_fixed AND b.content_id {given}) d
JOIN track_groups g ON g.network_id = d.network_id AND g.group_no = d.group_no
JOIN track_groups k ON k.network_id = d.network_id AND k.group_no = g.survivor_no
"""
# Groups here, by the network and number under which somebody has decided what they are.
_STANDING: Final = """
SELECT coalesce(from_network_id, network_id), coalesce(from_group_no, group_no), survivor_no
FROM track_groups WHERE network_id = :network AND (is_kept OR from_network_id IS NOT NULL) ORDER BY group_no DESC
"""


@dataclass(frozen=True, slots=True, eq=False)
class _Decided:
    """That a track is in a group, by a person's decision.

    Attributes:
        network_id: under which network somebody has decided so.
        content_id: of the track.
        boxes: of the track that was looked at.
        awaited_id: of the row in ``awaited_tracks``; None of a track that is there.
        group_no: what the group is called under that network by now.
        identity_id: who it was named as.
        origin: the network under which somebody has decided what the group is, and what it is called there.

    """

    network_id: int
    content_id: int
    boxes: StoredBoxes
    awaited_id: int | None
    group_no: int
    identity_id: int | None
    origin: tuple[int, int]


@dataclass(slots=True)
class _Groups:
    """The groups of a network that are kept, and those that are made for what was decided under another one.

    Attributes:
        state: of the network.
        no_points: bytes of a centre of no points.
        standing: numbers of groups, by what they stand for.
        made: rows of ``track_groups`` that are new.

    """

    state: State
    no_points: bytes
    standing: dict[tuple[int, int], int]
    made: list[dict[str, Any]] = field(default_factory=list)

    def number_for(self, decided: _Decided) -> int:
        """Return the number of the group here that a decision is about."""
        if decided.network_id == self.state.network_id:
            return decided.group_no
        number = self.standing.get(decided.origin)
        if number is None:
            number = self.standing[decided.origin] = self.state.next_no + len(self.made)
            from_network_id, from_group_no = decided.origin
            self.made.append(
                {
                    "network_id": self.state.network_id,
                    "group_no": number,
                    "tracks": 0,
                    "total": self.no_points,
                    "is_kept": True,
                    "identity_id": decided.identity_id,
                    "from_network_id": from_network_id,
                    "from_group_no": from_group_no,
                }
            )
        return number


def await_tracks(connection: Connection, network_id: int, content_ids: Sequence[int]) -> None:
    """Keep where tracks were seen that a person has put into groups, before these tracks are deleted."""
    bound = {"network": network_id, "ids": ids_param(connection, content_ids)}
    connection.execute(text(_AWAIT.format(given=given_ids(connection))), bound)


def put_back(connection: Connection, state: State, *, dimensions: int) -> tuple[State, dict[TrackKey, int]]:
    """Put tracks that are to be grouped into the groups that a person has put their faces into.

    What was decided under the network itself comes first, then what was under another one, that which was grouped last
    first. For a group of another network there is one here that stands for it. What finds no track goes on to wait.

    Args:
        connection: in a transaction that writes and holds the evidence.
        state: of the network.
        dimensions: of points.

    Returns:
        The state by now; and the groups of those tracks of which the centres know nothing: of other networks.

    Raises:
        GroupingTakenError: as of :func:`move_on`.

    """
    standing = {
        (by, there): here for by, there, here in connection.execute(text(_STANDING), {"network": state.network_id})
    }
    groups = _Groups(state, np.zeros(dimensions, "<i4").tobytes(), standing)
    ranks = _ranks(connection, state.network_id)
    found: dict[TrackKey, _Decided] = {}
    for some in batched(connection.execute(text(_LACKING), {"network": state.network_id}).scalars().all(), _AT_ONCE):
        found |= _find(connection, state.network_id, list(some), ranks)
    if not found:
        return state, {}
    numbers = {key: groups.number_for(found[key]) for key in sorted(found)}
    if groups.made:
        connection.execute(insert(track_groups), groups.made)
    same = {"network_id": state.network_id, "is_fixed": True}
    rows = [
        same | {"content_id": content_id, "track_no": track_no, "group_no": number}
        for (content_id, track_no), number in numbers.items()
    ]
    connection.execute(insert(grouped_tracks), rows)
    own = {key: one.awaited_id for key, one in found.items() if one.network_id == state.network_id}
    for some_ids in batched(sorted(filter(None, own.values())), _AT_ONCE):
        connection.execute(delete(awaited_tracks).where(awaited_tracks.c.id.in_(list(some_ids))))
    made = len(groups.made)
    state = move_on(connection, state, founded=state.founded + made, next_no=state.next_no + made)
    return state, {key: number for key, number in numbers.items() if key not in own}


def _ranks(connection: Connection, network_id: int) -> dict[int, int]:
    """Return whose decisions come first, by network: its own, then those of the network that was grouped last."""
    others = select(groupings.c.network_id).where(groupings.c.network_id != network_id)
    newest = others.order_by(groupings.c.grouped_at.desc().nulls_last(), groupings.c.network_id.desc())
    return {one: rank for rank, one in enumerate([network_id, *connection.execute(newest).scalars()])}


def _find(
    connection: Connection, network_id: int, content_ids: Sequence[int], ranks: Mapping[int, int]
) -> dict[TrackKey, _Decided]:
    """Return what was decided about the tracks of contents; of several decisions about a track the first one's."""
    boxes = load_boxes(connection, network_id, content_ids)
    fixed = select(grouped_tracks.c.content_id, grouped_tracks.c.track_no).where(
        grouped_tracks.c.network_id == network_id, grouped_tracks.c.content_id.in_(content_ids)
    )
    taken = {(content_id, track_no) for content_id, track_no in connection.execute(fixed)}
    meant: list[tuple[int, float, TrackKey, _Decided]] = []
    for one in _decided(connection, content_ids, others=[other for other in ranks if other != network_id]):
        its_tracks = boxes[one.content_id]
        track_no = find_track(one.boxes, its_tracks)
        if track_no is not None and (one.content_id, track_no) not in taken:
            shared = overlap(one.boxes, its_tracks[track_no])
            meant.append((ranks[one.network_id], -shared, (one.content_id, track_no), one))
    found: dict[TrackKey, _Decided] = {}
    for _, _, key, one in sorted(meant, key=lambda each: each[:3]):
        found.setdefault(key, one)
    return found


def _decided(connection: Connection, content_ids: Sequence[int], *, others: Sequence[int]) -> Iterator[_Decided]:
    statement = _DECIDED.format(given=given_ids(connection), others=given_ids(connection, "others"))
    bound = {"ids": ids_param(connection, content_ids), "others": ids_param(connection, others)}
    for row in connection.execute(text(statement), bound):
        origin = (row.from_network_id, row.from_group_no)
        boxes = decode_boxes(bytes(row.boxes))
        yield _Decided(row.network_id, row.content_id, boxes, row.awaited_id, row.group_no, row.identity_id, origin)
