"""What people have said, as a list; and which of it finds no track any more."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from annotator.store.appearances import load_boxes
from annotator.store.codec import StoredBoxes, decode_boxes
from annotator.store.corrections.matching import find_track
from annotator.store.corrections.words import NOTHING, CorrectionVerdict, Ruling, Word, rule, words_on
from annotator.store.identities import load_identities
from annotator.store.registry import active_network, batched
from annotator.store.tables import annotations, corrections, media, sources
from annotator.types import Identity

_AT_ONCE: Final = 500  # contents whose boxes are in memory


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """One word of a person on a track.

    Attributes:
        correction_id: ascending in the order in which they were said.
        content_id: of the media.
        media_uri: of the first media that holds the content; None where all are gone.
        boxes: where and when the face was seen.
        verdict: ``"is"`` or ``"is not"``.
        identity: who; of somebody who was merged, the person who took over.
        said_by: user and machine, or an account of the web application.
        said_at: when.
        withdrawn_at: when it was taken back; None while it holds.
        track_no: of the network that is shown; None where that has no track there.
        why_unmatched: why there is none; None where there is one.
        is_overtaken: a newer word on the same face says something else.

    """

    correction_id: int
    content_id: int
    media_uri: str | None
    boxes: StoredBoxes
    verdict: CorrectionVerdict
    identity: Identity
    said_by: str
    said_at: datetime
    withdrawn_at: datetime | None
    track_no: int | None
    why_unmatched: str | None
    is_overtaken: bool


def list_corrections(connection: Connection) -> Iterator[Correction]:
    """Yield all that was ever said, by content and in the order of saying."""
    network_id = active_network(connection)
    people = load_identities(connection)
    said = select(corrections.c.content_id).distinct().order_by(corrections.c.content_id)
    for content_ids in batched(connection.execute(said).scalars().all(), _AT_ONCE):
        yield from _of_contents(connection, list(content_ids), network_id, people)


def list_corrections_of(connection: Connection, content_id: int) -> list[Correction]:
    """Return all that was ever said of the tracks of one content, in the order of saying."""
    there = select(corrections.c.content_id).where(corrections.c.content_id == content_id).limit(1)
    if connection.execute(there).first() is None:  # as of most
        return []
    return list(_of_contents(connection, [content_id], active_network(connection), load_identities(connection)))


def _of_contents(
    connection: Connection, content_ids: list[int], network_id: int | None, people: Mapping[int, Identity]
) -> Iterator[Correction]:
    boxes: dict[int, dict[int, StoredBoxes]] = {}
    annotated: set[int] = set()
    if network_id is not None:
        boxes = load_boxes(connection, network_id, content_ids)
        there = (annotations.c.network_id == network_id, annotations.c.content_id.in_(content_ids))
        annotated = set(connection.execute(select(annotations.c.content_id).where(*there)).scalars())
    words = words_on(connection, content_ids)
    rulings = {
        (content_id, track_no): ruling
        for content_id, its_words in words.items()
        for track_no, ruling in rule(its_words, boxes.get(content_id, {})).items()
    }
    uris = _uris(connection, content_ids)
    rows = connection.execute(
        select(corrections)
        .where(corrections.c.content_id.in_(content_ids))
        .order_by(corrections.c.content_id, corrections.c.id)
    )
    for row in rows:
        seen = decode_boxes(bytes(row.boxes))
        track_no = find_track(seen, boxes.get(row.content_id, {}))
        identity = people[row.identity_id]
        ruling = None
        if row.withdrawn_at is None:
            # Of a face without a track the newest word holds as well: it counts for what is made of words alone.
            ruling = (
                rulings.get((row.content_id, track_no), NOTHING)
                if track_no is not None
                else _on_face(words.get(row.content_id, ()), seen)
            )
        why = (
            "no track is there any more"
            if row.content_id in annotated
            else "the network that is shown has not annotated it yet"
        )
        yield Correction(
            correction_id=row.id,
            content_id=row.content_id,
            media_uri=uris.get(row.content_id),
            boxes=seen,
            verdict=row.verdict,
            identity=identity,
            said_by=row.said_by,
            said_at=row.said_at,
            withdrawn_at=row.withdrawn_at,
            track_no=track_no,
            why_unmatched=why if track_no is None else None,
            is_overtaken=ruling is not None and not _holds(row.verdict, identity, ruling, people),
        )


def _on_face(words: Sequence[Word], face: StoredBoxes) -> Ruling | None:
    """Return what words come to for the face that one of them is on, whatever tracks are there."""
    return rule(words, {0: face}).get(0)


def _holds(verdict: CorrectionVerdict, identity: Identity, ruling: Ruling, people: Mapping[int, Identity]) -> bool:
    if verdict == "is":
        return ruling.is_person is not None and people[ruling.is_person] == identity
    return identity in {people[one] for one in ruling.are_not}


def _uris(connection: Connection, content_ids: list[int]) -> dict[int, str]:
    """Return the URI of the first media of each content that is there."""
    first = (
        select(func.min(media.c.id))
        .where(media.c.content_id.in_(content_ids), media.c.deleted_at.is_(None))
        .group_by(media.c.content_id)
    )
    rows = connection.execute(
        select(media.c.content_id, sources.c.uri, media.c.key)
        .join_from(media, sources, sources.c.id == media.c.source_id)
        .where(media.c.id.in_(first))
    )
    return {content_id: uri + key for content_id, uri, key in rows}
