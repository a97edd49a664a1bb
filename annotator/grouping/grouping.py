"""Which tracks show the same person, whoever that is: tracks come one after the other and find their group.

For each track, in order of arrival:

1. Among the groups whose centre it is similar enough to, it joins the one that exceeds its threshold most; where there
   is none, it founds a group.
2. Two tracks that are seen in the same frame are two people: a group that holds the one does not take the other.
3. Where it is similar enough to further groups, each of these joins the one that it is in, if their centres are
   similar enough, too, and no frame shows them both.

What becomes of a track depends on those before it and on nothing else: whether they come at once or one by one makes no
difference, not in a bit. A track is compared with every group. Thousands are compared at once, against the groups as
they were; what has changed since then is compared anew when it is a track's turn.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np

from annotator.grouping.comparing import Candidates, Comparing
from annotator.grouping.points import I16
from annotator.grouping.table import GroupTable, StoredGroup
from annotator.grouping.threshold import step_of
from annotator.types import F32, TrackKey

SeenTogether = Callable[[int, int, int], bool]
"""Says of a content and two of its tracks whether any frame shows both."""

_COMPARED_AT_ONCE: Final = 512


class Grouping:
    """Groups of tracks that grow. Memory: about 1.1 KB for each group of 128 dimensions.

    Attributes:
        changed: rows whose groups have changed since :meth:`take_changes`.

    """

    def __init__(self, table: GroupTable, *, seen_together: SeenTogether) -> None:
        """Begin with the groups that there are.

        Args:
            table: the groups; it is changed.
            seen_together: asked of tracks of one content that might be in one group.

        """
        self._table = table
        self._comparing = Comparing(table)
        self._seen_together = seen_together
        self._step = step_of(table.founded)
        # Tracks of contents that have several: only these can be seen together.
        self._of_content: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._shared: dict[int, set[int]] = defaultdict(set)
        self._latest = -1
        self._changed: set[int] = set()
        self._united: list[tuple[int, int]] = []

    @property
    def founded(self) -> int:
        """Groups that were ever founded."""
        return self._table.founded

    @property
    def next_number(self) -> int:
        """What the next group is called."""
        return self._table.next_number

    def restore(self, groups: Sequence[StoredGroup]) -> range:
        """Take in groups that were there before; return their rows."""
        return self._table.restore(groups, step=self._step)

    def restore_member(self, key: TrackKey, row: int) -> None:
        """Take in that a track was in a group before. Only those matter whose contents have several, or may yet."""
        self._put(key, row)

    def add(self, keys: Sequence[TrackKey], vectors: I16) -> list[int]:
        """Let tracks find their groups.

        Args:
            keys: N tracks that were not there yet, those of a content one after the other.
            vectors: i16 (N, E), their points.

        Returns:
            The row of each track's group. Later tracks may make it join another one: ask :meth:`number_now`.

        """
        rows: list[int] = []
        while len(rows) < len(keys):
            part = slice(len(rows), len(rows) + _COMPARED_AT_ONCE)
            rows += self._add_block(keys[part], vectors[part])
        return rows

    def number_now(self, row: int) -> int:
        """Return what the group of a row is called that :meth:`add` returned."""
        return self._table.number(self._table.row_now(row))

    def take_changes(self) -> tuple[list[StoredGroup], list[tuple[int, int]]]:
        """Return the groups that are new or have changed since the last call, and those that have joined others.

        Returns:
            The groups, by number; and pairs of numbers, a group and which one it has become part of, in that order.

        """
        rows = {self._table.row_now(row) for row in self._changed}
        united = [(self._table.number(lost), self._table.number(kept)) for kept, lost in self._united]
        self._changed, self._united = set(), []
        return sorted((self._table.stored(row) for row in rows), key=lambda one: one.number), united

    def _add_block(self, keys: Sequence[TrackKey], vectors: I16) -> list[int]:
        """Add tracks until the threshold is to be raised; return the rows of those that were added."""
        probes = np.ones((len(keys), vectors.shape[1] + 1), np.float32)
        probes[:, :-1] = vectors
        before = self._comparing.reached(vectors, probes)
        moved = _Moved(probes.shape[1], most=2 * len(keys))
        rows = []
        for key, point, probe, candidates in zip(keys, vectors, probes, before, strict=True):
            found = [one for one in candidates if one[1] not in moved] + moved.compare(probe)
            rows.append(self._place(key, point, found, moved))
            if step_of(self._table.founded) != self._step:
                self._step = step_of(self._table.founded)
                self._table.raise_thresholds(self._step)
                break
        return rows

    def _place(self, key: TrackKey, point: I16, found: Candidates, moved: "_Moved") -> int:
        ordered = [row for _, row in sorted(found, key=lambda one: (-one[0], self._table.number(one[1])))]
        allowed = [row for row in ordered if not self._is_beside(key, row)]
        if allowed:
            row, *others = allowed
            self._table.join(row, point, step=self._step)
        else:
            row, others = self._table.found(point, step=self._step), []
        self._note(key, row)
        for other in others:
            if self._table.may_unite(row, other, step=self._step) and not self._are_beside(row, other):
                row, lost = self._table.unite(row, other, step=self._step)
                self._shared[row] |= self._shared.pop(lost, set())
                self._united.append((row, lost))
                self._note_moved(lost, moved)
        self._note_moved(row, moved)
        self._changed.add(row)
        return row

    def _note_moved(self, row: int, moved: "_Moved") -> None:
        moved.put(row, self._table)
        self._comparing.note(row)

    # ----------------------------------------------------------------------------------------- seen in the same frame

    def _note(self, key: TrackKey, row: int) -> None:
        if key[0] != self._latest:
            if len(self._of_content.get(self._latest, ())) == 1:  # it has no other track, and will have none
                del self._of_content[self._latest]
            self._latest = key[0]
        self._put(key, row)

    def _put(self, key: TrackKey, row: int) -> None:
        content_id, track_no = key
        tracks = self._of_content[content_id]
        tracks.append((track_no, row))
        if len(tracks) == 2:
            self._shared[self._table.row_now(tracks[0][1])].add(content_id)
        if len(tracks) > 1:
            self._shared[row].add(content_id)

    def _is_beside(self, key: TrackKey, row: int) -> bool:
        """Say whether a group has a track that is seen together with this one."""
        return any(self._seen_together(key[0], key[1], other) for other in self._members(key[0], row))

    def _are_beside(self, row: int, other: int) -> bool:
        """Say whether tracks of two groups are seen together."""
        return any(
            self._seen_together(content_id, track, beside)
            for content_id in sorted(self._shared.get(row, set()) & self._shared.get(other, set()))
            for track in self._members(content_id, row)
            for beside in self._members(content_id, other)
        )

    def _members(self, content_id: int, row: int) -> Iterator[int]:
        """Yield the tracks of a content that are in a group."""
        return (track for track, its in self._of_content.get(content_id, ()) if self._table.row_now(its) == row)


class _Moved:
    """Rows that have changed since a block of tracks was compared with all of them."""

    def __init__(self, width: int, *, most: int) -> None:
        self._columns = np.zeros((most, width), np.float32)
        self._places: dict[int, int] = {}
        self._rows: list[int] = []

    def __contains__(self, row: int) -> bool:
        return row in self._places

    def put(self, row: int, table: GroupTable) -> None:
        """Take a row as it is now."""
        place = self._places.setdefault(row, len(self._rows))
        if place == len(self._rows):
            self._rows.append(row)
            if place == len(self._columns):
                self._columns = np.concatenate([self._columns, np.zeros_like(self._columns)])
        self._columns[place] = table.columns(row, row + 1)[0]

    def compare(self, probe: F32) -> Candidates:
        """Return those whose threshold a probe reaches."""
        scores = self._columns[: len(self._rows)] @ probe
        return [(float(scores[place]), self._rows[place]) for place in (scores >= 0.0).nonzero()[0].tolist()]
