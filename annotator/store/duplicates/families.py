"""The run that finds families: whatever is new is looked for among all that was compared before, in batches.

It may be killed at any time, and goes on where it was: a batch is there with all that it has changed, or not at all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from sqlalchemy import Connection, Engine, func, select, update

from annotator.duplicates.faces import faces_agree
from annotator.duplicates.index import DuplicateIndex
from annotator.duplicates.matching import Match, Sought, match_clips
from annotator.errors import GroupingTakenError
from annotator.store.columns import utc_now
from annotator.store.connection import reading, writing
from annotator.store.duplicates.fingerprints import load_index, load_pictures, read_codes
from annotator.store.labels import load_evidence
from annotator.store.locks import only_one
from annotator.store.registry import active_network, insert_missing
from annotator.store.tables import content_families, fingerprints
from annotator.types import U8, TrackEvidence

BATCH: Final = 10
"""Contents that are compared in one transaction."""

OnBatch = Callable[[int], None]
"""Told how many contents a batch had."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What a run came to.

    Attributes:
        contents: that were compared.
        joined: of these, contents that are one clip with another.

    """

    contents: int = 0
    joined: int = 0

    def __add__(self, other: "Compared") -> "Compared":
        """Sum up two batches."""
        return Compared(self.contents + other.contents, self.joined + other.joined)


def count_new(engine: Engine) -> int:
    """Return how many contents were not compared yet."""
    with reading(engine) as connection:
        return int(connection.execute(select(func.count()).where(fingerprints.c.compared_at.is_(None))).scalar_one())


def find_families(engine: Engine, *, on_batch: OnBatch | None = None) -> Compared:
    """Let all contents that are new find their families.

    Contents that were annotated before there were fingerprints have none; annotated anew, they get one.

    Args:
        engine: of the database.
        on_batch: told of each batch.

    Returns:
        What it came to.

    Raises:
        GroupingTakenError: another process does it just now.
        StoreUnavailableError: the database does not answer; what was done stays.

    """
    done = Compared()
    with only_one(engine, "duplicates") as is_ours:
        if not is_ours:
            raise GroupingTakenError("another process looks for families of clips just now: wait for it")
        with reading(engine) as connection:
            index = load_index(connection)
        while True:
            with writing(engine) as connection:
                batch = _compare_batch(connection, index)
            if not batch.contents:
                return done
            done += batch
            if on_batch is not None:
                on_batch(batch.contents)


def _compare_batch(connection: Connection, index: DuplicateIndex) -> Compared:
    table = fingerprints.c
    wanted = select(table.content_id, table.codes).where(table.compared_at.is_(None))
    new = connection.execute(wanted.order_by(table.content_id).limit(BATCH)).all()
    if not new:
        return Compared()
    joined = 0
    mine = load_pictures(connection, [row.content_id for row in new])
    for row in new:
        found = _members(connection, row.content_id, mine[row.content_id], index)
        if found:
            _join(connection, row.content_id, found)
            joined += 1
        codes = read_codes(bytes(row.codes))
        index.add(np.full(len(codes), row.content_id, np.int64), codes)
    ids = [row.content_id for row in new]
    connection.execute(update(fingerprints).where(table.content_id.in_(ids)).values(compared_at=utc_now()))
    return Compared(len(new), joined)


def _members(connection: Connection, content_id: int, pictures: U8, index: DuplicateIndex) -> dict[int, Match]:
    """Return the contents that a content is one clip with, and how."""
    nearby = [clip for clip in index.find(pictures) if clip != content_id]
    theirs = load_pictures(connection, nearby)
    clip = Sought.of(pictures)
    matches = {one: match_clips(clip, theirs[one]) for one in nearby if one in theirs}
    alike = {one: match for one, match in matches.items() if match is not None and match.is_one}
    if not alike:
        return {}
    tracks = _tracks(connection, [content_id, *alike])
    return {
        one: match
        for one, match in alike.items()
        if faces_agree(tracks[content_id], tracks[one], is_whole=match.is_whole)
    }


def _tracks(connection: Connection, content_ids: Sequence[int]) -> Mapping[int, Sequence[TrackEvidence]]:
    network_id = active_network(connection)
    if network_id is None:
        return dict.fromkeys(content_ids, ())
    return load_evidence(connection, network_id, content_ids)


def _join(connection: Connection, content_id: int, members: Mapping[int, Match]) -> None:
    """Write that a content is of the family of some members; families that it joins become one."""
    table = content_families.c
    rows = connection.execute(select(table.content_id, table.family_id).where(table.content_id.in_(list(members))))
    families: dict[int, int] = dict(rows.all())
    nearest = max(sorted(members), key=lambda one: members[one].likeness)
    family_id = min([*families.values(), *(one for one in members if one not in families)])
    others = sorted(set(families.values()) - {family_id})
    if others:
        connection.execute(update(content_families).where(table.family_id.in_(others)).values(family_id=family_id))
    first = [{"content_id": one, "family_id": family_id, "changes": ""} for one in sorted(members.keys() - families)]
    if first:
        connection.execute(insert_missing(connection, content_families), first)
    match = members[nearest]
    connection.execute(
        insert_missing(connection, content_families).values(
            content_id=content_id,
            family_id=family_id,
            like_content_id=nearest,
            likeness=match.likeness,
            changes=", ".join(match.changes()),
        )
    )
