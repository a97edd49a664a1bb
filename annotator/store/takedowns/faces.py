"""Tracks that show somebody: their embeddings go, and the groups of strangers that they have made."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from sqlalchemy import Connection, delete, func, select, tuple_, update

from annotator.store.codec import decode_evidence
from annotator.store.registry import batched, embedder_of
from annotator.store.tables import (
    active,
    annotations,
    awaited_tracks,
    corrections,
    grouped_contents,
    grouped_tracks,
    groupings,
    labellings,
    track_embeddings,
    track_groups,
    track_labels,
)
from annotator.types import F32, TrackKey

NEAR_COSINE: Final = 0.5
"""Of the mean of a track's faces and a face of the person: from here on they are taken for one person's. Of the 1,500
strangers of the starter model one in a thousand is as near as 0.515 to any of 1,227 people, so few are to one."""

WINDOW: Final = 1_000
"""Contents looked at in one transaction."""

_ASKED: Final = 500  # tracks in one statement


@dataclass(frozen=True, slots=True)
class Shown:
    """Tracks of some contents that show somebody.

    Attributes:
        named: that were said to, by a model or by a person, or are in a group of that name.
        near: that have no name and faces like the person's.

    """

    named: frozenset[TrackKey]
    near: frozenset[TrackKey]

    @property
    def all(self) -> list[TrackKey]:
        """Both, in order."""
        return sorted(self.named | self.near)


def windows(connection: Connection, network_id: int, *, after: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the last content of each window of a network, in order of id, beyond one content."""
    table = annotations.c
    while True:
        some = (
            select(table.content_id)
            .where(table.network_id == network_id, table.content_id > after)
            .order_by(table.content_id)
            .limit(WINDOW)
        )
        found = connection.execute(some).scalars().all()
        if not found:
            return
        yield int(found[0]), int(found[-1])
        after = int(found[-1])


def find_shown(
    connection: Connection,
    network_id: int,
    bounds: tuple[int, int],
    *,
    identity_ids: Collection[int],
    faces: F32,
    embedder: str | None,
) -> Shown:
    """Return the tracks of a window of contents that show somebody, embedded or not.

    A track that what is shown says to be somebody else is not taken for the person's, however near it is.

    Args:
        connection: in a transaction.
        network_id: whose tracks.
        bounds: the first and the last content.
        identity_ids: who it is; none for a face that has no name.
        faces: f32 (n, D), unit norm, of the person; n may be 0.
        embedder: of these faces.

    """
    named = frozenset(_named(connection, network_id, bounds, sorted(identity_ids)))
    if not len(faces) or embedder_of(connection, network_id) != embedder:
        return Shown(named, frozenset())
    near = frozenset(_near(connection, network_id, bounds, faces))
    others = frozenset(_named_otherwise(connection, bounds, identity_ids)) if near else frozenset()
    return Shown(named, near - named - others)


def forget_faces(connection: Connection, network_id: int, keys: Sequence[TrackKey]) -> int:
    """Take the embeddings out of tracks, which stay as tracks without any; return how many had some.

    Args:
        connection: in a transaction that writes and holds the evidence.
        network_id: whose tracks.
        keys: which.

    """
    count = 0
    for some in batched(keys, _ASKED):
        table = track_embeddings.c
        here = tuple_(table.content_id, table.track_no).in_(list(some))
        emptied = update(track_embeddings).where(
            table.network_id == network_id, here, func.length(table.embeddings) > 0
        )
        count += connection.execute(emptied.values(embeddings=b"", face_px=b"", quality=b"")).rowcount
    return count


def ungroup(connection: Connection, network_id: int, keys: Sequence[TrackKey], *, identity_ids: Collection[int]) -> int:
    """Take tracks out of the groups of strangers; return how many groups went with them.

    A group goes as a whole where it was named as the person, or where half of its tracks or more are among these; its
    other tracks find another one in the next run. Of any other group, a few of many tracks stay part of its centre,
    which is a sum.

    """
    named = select(track_groups.c.survivor_no).where(
        track_groups.c.network_id == network_id, track_groups.c.identity_id.in_(sorted(identity_ids))
    )
    gone = set(connection.execute(named).scalars())
    sizes = _sizes(connection, network_id, keys)
    gone |= {number for number, (mine, its_all) in sizes.items() if 2 * mine >= its_all}
    for some in batched(keys, _ASKED):
        here = tuple_(grouped_tracks.c.content_id, grouped_tracks.c.track_no).in_(list(some))
        connection.execute(delete(grouped_tracks).where(grouped_tracks.c.network_id == network_id, here))
    for number in sorted(gone):
        _remove_group(connection, network_id, number)
    if keys or gone:  # whoever holds the groups in memory must read them again
        moved = update(groupings).where(groupings.c.network_id == network_id)
        connection.execute(moved.values(changes=groupings.c.changes + 1))
    return len(gone)


def _named(
    connection: Connection, network_id: int, bounds: tuple[int, int], identity_ids: Sequence[int]
) -> Iterator[TrackKey]:
    of_network = select(labellings.c.id).where(labellings.c.network_id == network_id)
    labels, words, groups, members = track_labels.c, corrections.c, track_groups.c, grouped_tracks.c
    by_model = select(labels.content_id, labels.track_no).where(
        labels.labelling_id.in_(connection.execute(of_network).scalars().all()),
        labels.content_id.between(*bounds),
        labels.identity_id.in_(identity_ids),
    )
    by_word = select(words.content_id, words.track_no).where(
        words.network_id == network_id,
        words.content_id.between(*bounds),
        words.identity_id.in_(identity_ids),
        words.verdict == "is",
    )
    by_group = (
        select(members.content_id, members.track_no)
        .join(track_groups, (groups.network_id == members.network_id) & (groups.group_no == members.group_no))
        .where(members.network_id == network_id, members.content_id.between(*bounds))
        .where(
            groups.survivor_no.in_(
                select(groups.survivor_no).where(groups.network_id == network_id, groups.identity_id.in_(identity_ids))
            )
        )
    )
    for statement in (by_model, by_word, by_group):
        yield from ((int(content_id), int(track_no)) for content_id, track_no in connection.execute(statement))


def _near(connection: Connection, network_id: int, bounds: tuple[int, int], faces: F32) -> Iterator[TrackKey]:
    table = track_embeddings.c
    rows = connection.execute(
        select(table.content_id, table.track_no, table.embeddings, table.face_px, table.quality).where(
            table.network_id == network_id, table.content_id.between(*bounds), func.length(table.embeddings) > 0
        )
    )
    for content_id, track_no, *columns in rows:
        evidence = decode_evidence(*(bytes(column) for column in columns))
        mean = evidence.embeddings.astype(np.float32).mean(axis=0)
        norm = float(np.linalg.norm(mean))
        if norm > 0 and float((faces @ mean).max()) >= NEAR_COSINE * norm:
            yield int(content_id), int(track_no)


def _named_otherwise(
    connection: Connection, bounds: tuple[int, int], identity_ids: Collection[int]
) -> Iterator[TrackKey]:
    labels = track_labels.c
    shown = select(active.c.labelling_id).scalar_subquery()
    rows = connection.execute(
        select(labels.content_id, labels.track_no).where(
            labels.labelling_id == shown,
            labels.content_id.between(*bounds),
            labels.identity_id.not_in(sorted(identity_ids)),
        )
    )
    yield from ((int(content_id), int(track_no)) for content_id, track_no in rows)


def _sizes(connection: Connection, network_id: int, keys: Sequence[TrackKey]) -> dict[int, tuple[int, int]]:
    """Return for each group that has some of these tracks: how many of them, and how many it has in all."""
    members, groups = grouped_tracks.c, track_groups.c
    joined = (groups.network_id == members.network_id) & (groups.group_no == members.group_no)
    mine: dict[int, int] = {}
    for some in batched(keys, _ASKED):
        here = tuple_(members.content_id, members.track_no).in_(list(some))
        counted = select(groups.survivor_no, func.count()).join_from(grouped_tracks, track_groups, joined)
        rows = connection.execute(counted.where(members.network_id == network_id, here).group_by(groups.survivor_no))
        for number, count in rows:
            mine[number] = mine.get(number, 0) + count
    its_all = select(func.count()).select_from(grouped_tracks).join(track_groups, joined)
    return {
        number: (
            count,
            connection.execute(
                its_all.where(members.network_id == network_id, groups.survivor_no == number)
            ).scalar_one(),
        )
        for number, count in mine.items()
    }


def _remove_group(connection: Connection, network_id: int, number: int) -> None:
    groups, members = track_groups.c, grouped_tracks.c
    numbers = select(groups.group_no).where(groups.network_id == network_id, groups.survivor_no == number)
    of_group = (members.network_id == network_id, members.group_no.in_(numbers))
    again = select(members.content_id).where(*of_group)
    connection.execute(
        delete(grouped_contents).where(
            grouped_contents.c.network_id == network_id, grouped_contents.c.content_id.in_(again)
        )
    )
    connection.execute(delete(grouped_tracks).where(*of_group))
    awaited = (awaited_tracks.c.network_id == network_id, awaited_tracks.c.group_no.in_(numbers))
    connection.execute(delete(awaited_tracks).where(*awaited))
    connection.execute(delete(track_groups).where(groups.network_id == network_id, groups.survivor_no == number))
