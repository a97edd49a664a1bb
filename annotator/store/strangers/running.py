"""The run: all tracks of a network that are in no group yet find theirs, in batches, each a transaction.

It may be killed at any time, and goes on where it was: a batch is there with all that it has changed, or not at all.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from sqlalchemy import Connection, Engine, select, text

from annotator.errors import GroupingTakenError
from annotator.grouping.grouping import Grouping
from annotator.grouping.points import I16, rule_of, to_points
from annotator.grouping.table import StoredGroup
from annotator.grouping.threshold import MOST_SUMMED
from annotator.recognition.bundle import ModelBundle
from annotator.store.bulk import insert_new, insert_rows
from annotator.store.codec import decode_boxes
from annotator.store.connection import reading, writing
from annotator.store.locks import hold_evidence, only_one
from annotator.store.relabelling.reading import cut_batches, read_tracks
from annotator.store.strangers.finding import put_back
from annotator.store.strangers.groups import (
    decode_total,
    forget_all_but_decisions,
    load_grouping,
    write_groups,
    write_united,
)
from annotator.store.strangers.state import (
    State,
    begin_state,
    finish,
    load_state,
    move_on,
)
from annotator.store.tables import grouped_tracks, track_groups, tracks
from annotator.types import TrackKey

WINDOW: Final = 20_000
"""Contents looked at in one question."""

BATCH: Final = 2_000
"""Contents whose tracks find their groups in one transaction."""

_MOST_FRAMES_KEPT: Final = 100  # contents whose frames are remembered
_ANNOTATED: Final = text(
    "SELECT content_id, faces FROM annotations WHERE network_id = :n AND content_id > :after"
    " ORDER BY content_id LIMIT :size"
)
_GROUPED: Final = text(
    "SELECT content_id FROM grouped_contents WHERE network_id = :n AND content_id > :after AND content_id <= :last"
)

OnBatch = Callable[[int], None]
"""Told of each batch: up to which content it went."""


@dataclass(frozen=True, slots=True)
class Grouped:
    """What a run came to.

    Attributes:
        contents: contents whose tracks found their groups.
        tracks: tracks of these.
        too_poor: of these, tracks whose faces are all too small or too blurred for a group.
        founded: groups that are new.
        united: groups that became part of others.
        is_anew: whether all groups were made anew, but for what a person has decided.

    """

    contents: int = 0
    tracks: int = 0
    too_poor: int = 0
    founded: int = 0
    united: int = 0
    is_anew: bool = False

    def __add__(self, other: "Grouped") -> "Grouped":
        """Sum up two batches."""
        names = ("contents", "tracks", "too_poor", "founded", "united")
        sums = {name: getattr(self, name) + getattr(other, name) for name in names}
        return Grouped(**sums, is_anew=self.is_anew or other.is_anew)


def group_strangers(
    engine: Engine, bundle: ModelBundle, network_id: int, *, is_anew: bool = False, on_batch: OnBatch | None = None
) -> Grouped:
    """Let all tracks of a network find their groups that are in none.

    Tracks that have a name are grouped, too: they say who the others of their group probably are, and names may go.

    Args:
        engine: of the database.
        bundle: of the network's embedder; gives gate, projection and centre.
        network_id: whose tracks.
        is_anew: make all groups anew, but for what a person has decided. It is done anyway where the bundle has another
            centre than the one that the groups were made with.
        on_batch: told of each batch.

    Returns:
        What it came to.

    Raises:
        GroupingTakenError: another process changes these groups just now.
        StoreUnavailableError: the database does not answer; what was done stays, and the next call goes on.
        ValueError: stored evidence cannot be read.

    """
    with changing_groups(engine, network_id):
        state, done = _begin(engine, bundle, network_id, is_anew=is_anew)
        frames = Frames(network_id)
        with reading(engine) as connection:
            grouping = load_grouping(connection, state, dimensions=len(bundle.mean), seen_together=frames.show_both)
        for content_ids in _lacking(engine, network_id):
            with writing(engine) as connection, frames.read_by(connection):
                state, batch = _group_batch(connection, grouping, state, content_ids, bundle=bundle)
            done += batch
            if on_batch is not None:
                on_batch(content_ids[-1])
        with writing(engine) as connection:
            finish(connection, network_id)
    return done


@contextlib.contextmanager
def changing_groups(engine: Engine, network_id: int) -> Iterator[None]:
    """Hold what lets one process at a time change the groups of a network.

    Raises:
        GroupingTakenError: another process has it.

    """
    with only_one(engine, f"strangers {network_id}") as is_ours:
        if not is_ours:
            raise GroupingTakenError("another process changes the groups of strangers just now: wait for it")
        yield


class Frames:
    """Which frames show the tracks of contents, read when somebody asks."""

    def __init__(self, network_id: int) -> None:
        """Remember nothing yet."""
        self._network_id = network_id
        self._connection: Connection | None = None
        self._known: dict[int, dict[int, frozenset[int]]] = {}

    @contextlib.contextmanager
    def read_by(self, connection: Connection) -> Iterator[None]:
        """Read by a connection for a while."""
        self._connection = connection
        try:
            yield
        finally:
            self._connection = None

    def show_both(self, content_id: int, track_no: int, other_no: int) -> bool:
        """Say whether any frame of a content shows both of two tracks; those that are not there any more are unseen."""
        frames = self._known.get(content_id)
        if frames is None:
            if len(self._known) >= _MOST_FRAMES_KEPT:
                self._known.clear()
            frames = self._known[content_id] = self._read(content_id)
        nothing: frozenset[int] = frozenset()
        return not frames.get(track_no, nothing).isdisjoint(frames.get(other_no, nothing))

    def _read(self, content_id: int) -> dict[int, frozenset[int]]:
        if self._connection is None:
            raise RuntimeError("frames are read by the connection of a batch")
        boxes = select(tracks.c.track_no, tracks.c.boxes).where(
            tracks.c.network_id == self._network_id, tracks.c.content_id == content_id
        )
        rows = self._connection.execute(boxes).all()
        return {track_no: frozenset(decode_boxes(bytes(data)).frame_index.tolist()) for track_no, data in rows}


def _begin(engine: Engine, bundle: ModelBundle, network_id: int, *, is_anew: bool) -> tuple[State, Grouped]:
    rule = rule_of(bundle)
    with writing(engine) as connection:
        hold_evidence(connection, network_id)
        state = load_state(connection, network_id)
        is_anew = state is not None and (is_anew or state.rule != rule)
        if state is None:
            state = begin_state(connection, network_id, rule)
        if is_anew:
            state = forget_all_but_decisions(connection, state, rule)
        state, put_in = put_back(connection, state, dimensions=len(bundle.mean))
        if is_anew:
            _renew_centres(connection, state, bundle)
        elif put_in:
            _add_to_centres(connection, state, put_in, bundle)
        return state, Grouped(is_anew=is_anew)


def _add_to_centres(connection: Connection, state: State, put_in: Mapping[TrackKey, int], bundle: ModelBundle) -> None:
    """Let the centres of kept groups have a share of tracks that were put into them."""
    numbers = sorted(set(put_in.values()))
    there = select(track_groups.c.group_no, track_groups.c.tracks, track_groups.c.total).where(
        track_groups.c.network_id == state.network_id, track_groups.c.group_no.in_(numbers)
    )
    rows = connection.execute(there).all()
    totals = {number: decode_total(total) for number, _, total in rows}
    counts = {number: tracks for number, tracks, _ in rows}
    content_ids = sorted({content_id for content_id, _ in put_in})
    for some in cut_batches([(one, 0) for one in content_ids], contents=BATCH):
        keys, vectors, _ = read_points(connection, state.network_id, some, bundle=bundle)
        for key, vector in zip(keys, vectors, strict=True):
            if key in put_in:
                number = put_in[key]
                if counts[number] < MOST_SUMMED:
                    totals[number] += vector
                counts[number] += 1
    moved = [StoredGroup(number, max(1, counts[number]), totals[number], is_kept=True) for number in numbers]
    write_groups(connection, state.network_id, moved)


def _renew_centres(connection: Connection, state: State, bundle: ModelBundle) -> None:
    """Make the centres of the groups that are kept anew, from their fixed tracks."""
    there = select(grouped_tracks.c.content_id, grouped_tracks.c.track_no, grouped_tracks.c.group_no).where(
        grouped_tracks.c.network_id == state.network_id
    )
    group_of = {(content_id, track_no): number for content_id, track_no, number in connection.execute(there)}
    kept = connection.execute(
        select(track_groups.c.group_no).where(track_groups.c.network_id == state.network_id)
    ).scalars()
    totals = {number: np.zeros(len(bundle.mean), np.int32) for number in kept}
    counts = dict.fromkeys(totals, 0)
    content_ids = sorted({content_id for content_id, _ in group_of})
    for some in cut_batches([(one, 0) for one in content_ids], contents=BATCH):
        keys, vectors, _ = read_points(connection, state.network_id, some, bundle=bundle)
        for key, vector in zip(keys, vectors, strict=True):
            if key in group_of:
                totals[group_of[key]] += vector
                counts[group_of[key]] += 1
    renewed = [StoredGroup(number, max(1, counts[number]), totals[number], is_kept=True) for number in sorted(totals)]
    write_groups(connection, state.network_id, renewed)


def read_points(
    connection: Connection, network_id: int, content_ids: Sequence[int], *, bundle: ModelBundle
) -> tuple[list[TrackKey], I16, int]:
    """Return the tracks of contents that are not too poor, their points i16 (N, E), and how many tracks there are."""
    stored = read_tracks(connection, network_id, content_ids)
    points = to_points(stored.stacks, bundle=bundle)
    columns = (stored.content_id[points.place].tolist(), stored.track_no[points.place].tolist())
    return list(zip(*columns, strict=True)), points.vectors, len(stored)


def _lacking(engine: Engine, network_id: int) -> Iterator[list[int]]:
    """Yield batches of contents whose tracks have no groups yet, in order of id."""
    after = 0
    while True:
        with reading(engine) as connection:
            annotated = connection.execute(_ANNOTATED, {"n": network_id, "after": after, "size": WINDOW}).all()
            if not annotated:
                return
            bounds = {"n": network_id, "after": after, "last": annotated[-1][0]}
            grouped = set(connection.execute(_GROUPED, bounds).scalars())
        after = int(annotated[-1][0])
        lacking = [(int(content_id), int(faces)) for content_id, faces in annotated if content_id not in grouped]
        yield from cut_batches(lacking, contents=BATCH)


def _group_batch(
    connection: Connection, grouping: Grouping, state: State, content_ids: Sequence[int], *, bundle: ModelBundle
) -> tuple[State, Grouped]:
    """Let the tracks of contents find their groups, and write all that this changes."""
    hold_evidence(connection, state.network_id)
    same = {"network_id": state.network_id}
    new = insert_new(connection, "grouped_contents", {"content_id": list(content_ids)}, same=same)
    keys, vectors, tracks_read = read_points(connection, state.network_id, sorted(new), bundle=bundle)
    fixed = _grouped_already(connection, state.network_id, sorted(new))
    free = [place for place, key in enumerate(keys) if key not in fixed]
    keys, vectors = [keys[place] for place in free], vectors[free]
    founded = grouping.founded
    numbers = [grouping.number_now(row) for row in grouping.add(keys, vectors)]
    changed, united = grouping.take_changes()
    if keys:
        contents, track_nos = zip(*keys, strict=True)
        columns = {"content_id": contents, "track_no": track_nos, "group_no": numbers}
        insert_rows(connection, "grouped_tracks", columns, same=same)
    write_groups(connection, state.network_id, changed)
    write_united(connection, state.network_id, united)
    state = move_on(connection, state, founded=grouping.founded, next_no=grouping.next_number)
    too_poor = tracks_read - len(keys) - len(fixed)
    return state, Grouped(len(new), tracks_read, too_poor, grouping.founded - founded, len(united))


def _grouped_already(connection: Connection, network_id: int, content_ids: Sequence[int]) -> set[TrackKey]:
    """Return tracks that are in a group though their contents are to be looked at: a person has decided so."""
    if not content_ids:
        return set()
    columns = grouped_tracks.c
    wanted = select(columns.content_id, columns.track_no).where(
        columns.network_id == network_id, columns.content_id.between(content_ids[0], content_ids[-1])
    )
    asked = set(content_ids)
    return {(content_id, no) for content_id, no in connection.execute(wanted) if content_id in asked}
