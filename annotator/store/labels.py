"""Labels as rows, and what they are made from."""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, delete, select

from annotator.store.appearances import load_boxes, summed_up
from annotator.store.bulk import insert_new, insert_rows
from annotator.store.codec import decode_evidence
from annotator.store.corrections.applying import apply_corrections
from annotator.store.identities import LabelIds, label_ids
from annotator.store.locks import hold_corrections
from annotator.store.partitions import ensure_partitions
from annotator.store.tables import (
    content_labels_by,
    labelled_contents,
    labellings,
    overruled_labels,
    track_embeddings,
    track_labels,
)
from annotator.store.takedowns.tombstones import ids_under_way, taken_down
from annotator.types import FaceTrack, Identity, TrackEvidence, TrackLabel

Identify = Callable[[Sequence[TrackEvidence]], Sequence[TrackLabel]]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledTrack:
    """A track's number and times, and who it is.

    Attributes:
        track_no: 0-based within the media.
        shares: half-open spans of displayed time in which it was seen.
        label: who it is.

    """

    track_no: int
    shares: Sequence[tuple[int, int]]
    label: TrackLabel

    @classmethod
    def of(cls, track: FaceTrack, label: TrackLabel) -> "LabelledTrack":
        """Take a fresh track."""
        starts = track.from_ms.tolist()
        shares = [(start, start + length) for start, length in zip(starts, track.shown_ms.tolist(), strict=True)]
        return cls(track.track_no, shares, label)


@dataclass(frozen=True, slots=True)
class LabelRows:
    """The rows of one content under one labelling, without the time of writing."""

    of_tracks: list[dict[str, Any]]
    of_content: list[dict[str, Any]]


def label_rows(
    labelling_id: int, content_id: int, labelled: Sequence[LabelledTrack], ids: Mapping[str, LabelIds]
) -> LabelRows:
    """Return the rows of one content: known people only, unknown is absence.

    Args:
        labelling_id: of which labelling.
        content_id: of which content.
        labelled: the content's tracks.
        ids: identity ids by name, as of ``label_ids``.

    Raises:
        LookupError: a label names somebody who was never registered.

    """
    of_tracks = []
    by_person: dict[int, list[LabelledTrack]] = defaultdict(list)
    key = {"labelling_id": labelling_id, "content_id": content_id}
    for one in labelled:
        if one.label.identity is None:
            continue
        meant = _ids(one.label.identity, ids)
        by_person[meant.survivor_id].append(one)  # two ids of one person in one content would be two rows
        best, *others = one.label.candidates
        second, further = (others[0], others[1:]) if others else (None, [])
        of_tracks.append(
            key
            | {
                "track_no": one.track_no,
                "identity_id": meant.identity_id,
                "confidence": float(best.confidence),
                "score": float(best.score),
                "runner_up_id": None if second is None else _ids(second.identity, ids).identity_id,
                "runner_up_score": None if second is None else float(second.score),
                "runner_up_confidence": None if second is None else float(second.confidence),
                "candidates": [
                    [_ids(one.identity, ids).identity_id, float(one.score), float(one.confidence)] for one in further
                ]
                or None,
            }
        )
    of_content = [
        key
        | {"identity_id": identity_id}
        | summed_up([(one.shares, one.label.confidence or 0.0) for one in appearances])
        for identity_id, appearances in sorted(by_person.items())
    ]
    return LabelRows(of_tracks, of_content)


def insert_labels(
    connection: Connection, labelling_id: int, labelled: Mapping[int, Sequence[LabelledTrack]]
) -> set[int]:
    """Write the labels of contents that have none under this labelling yet; what people have said stands above them.

    Returns:
        The contents that were labelled now; others had labels, which stay.

    """
    if not labelled:
        return set()
    ensure_partitions(connection, labelled, labelling_ids=[labelling_id])
    hold_corrections(connection)
    columns = {"content_id": sorted(labelled)}
    same = {"labelling_id": labelling_id}
    new = insert_new(connection, "labelled_contents", columns, same=same, now=["labelled_at"])
    names = _names(labelled[one] for one in new)
    ids = label_ids(connection, labelling_id, names)
    going = ids_under_way(connection)
    under_way = {name for name, meant in ids.items() if meant.survivor_id in going}
    if len(ids) < len(names) or under_way:
        gone = taken_down(connection, [Identity(name) for name in sorted(names - ids.keys())]) | under_way
        labelled = _without_taken_down(labelled, gone)
    _insert_rows(connection, labelling_id, [label_rows(labelling_id, one, labelled[one], ids) for one in sorted(new)])
    apply_corrections(connection, labelling_id, new)
    return new


def _names(labelled: Iterable[Sequence[LabelledTrack]]) -> set[str]:
    """Return the names of all candidates of known tracks."""
    known = (one.label for its_own in labelled for one in its_own if one.label.identity is not None)
    return {candidate.identity.name for label in known for candidate in label.candidates}


def _without_taken_down(
    labelled: Mapping[int, Sequence[LabelledTrack]], gone: Collection[str]
) -> dict[int, list[LabelledTrack]]:
    """Leave out whom a program still knows that was started before the person was taken down."""
    return {
        content_id: [replace(one, label=_without(one.label, gone)) for one in its_own]
        for content_id, its_own in labelled.items()
    }


def _without(label: TrackLabel, gone: Collection[str]) -> TrackLabel:
    left = tuple(one for one in label.candidates if one.identity.name not in gone)
    is_gone = label.identity is not None and label.identity.name in gone
    return TrackLabel("unknown" if is_gone else label.verdict, left)


def delete_labels(connection: Connection, labelling_id: int, content_ids: Sequence[int]) -> None:
    """Delete the labels of contents under one labelling."""
    if content_ids:
        for table in (content_labels_by, track_labels, overruled_labels, labelled_contents):
            connection.execute(
                delete(table).where(table.c.labelling_id == labelling_id, table.c.content_id.in_(content_ids))
            )


def network_of(connection: Connection, labelling_id: int) -> int:
    """Return the network of a labelling.

    Raises:
        ValueError: there is no such labelling.

    """
    found = connection.execute(
        select(labellings.c.network_id).where(labellings.c.id == labelling_id)
    ).scalar_one_or_none()
    if found is None:
        raise ValueError(f"there is no labelling {labelling_id}: register it first")
    return int(found)


def load_evidence(
    connection: Connection, network_id: int, content_ids: Sequence[int]
) -> dict[int, tuple[TrackEvidence, ...]]:
    """Return the evidence of contents' tracks, in order of ``track_no``; empty for a content without tracks."""
    found: dict[int, list[TrackEvidence]] = {content_id: [] for content_id in content_ids}
    table = track_embeddings.c
    rows = connection.execute(
        select(table.content_id, table.embeddings, table.face_px, table.quality)
        .where(table.network_id == network_id, table.content_id.in_(content_ids))
        .order_by(table.content_id, table.track_no)
    )
    for content_id, embeddings, face_px, quality in rows:
        found[content_id].append(decode_evidence(bytes(embeddings), bytes(face_px), bytes(quality)))
    return {content_id: tuple(evidence) for content_id, evidence in found.items()}


def save_labels(connection: Connection, labelling_id: int, labels: Mapping[int, Sequence[TrackLabel]]) -> set[int]:
    """Label stored tracks; contents that have labels are left alone.

    Args:
        connection: in a transaction that writes.
        labelling_id: under which labelling.
        labels: by content id, one label per stored track in order of ``track_no``.

    Returns:
        The contents that were labelled now.

    Raises:
        ValueError: a content has another number of tracks than labels.

    """
    boxes = load_boxes(connection, network_of(connection, labelling_id), list(labels))
    labelled = {}
    for content_id, its_labels in labels.items():
        its_tracks = boxes[content_id]
        if len(its_tracks) != len(its_labels):
            raise ValueError(f"content {content_id} has {len(its_tracks)} tracks, got {len(its_labels)} labels")
        labelled[content_id] = [
            LabelledTrack(track_no, times.shares, label)
            for (track_no, times), label in zip(its_tracks.items(), its_labels, strict=True)
        ]
    return insert_labels(connection, labelling_id, labelled)


def identify_all(identify: Identify, evidence: Mapping[int, Sequence[TrackEvidence]]) -> dict[int, list[TrackLabel]]:
    """Identify the tracks of many contents in one call and give the labels back to their contents."""
    labels: Iterator[TrackLabel] = iter(identify([one for its_own in evidence.values() for one in its_own]))
    return {content_id: [next(labels) for _ in its_own] for content_id, its_own in evidence.items()}


def _insert_rows(connection: Connection, labelling_id: int, rows: Sequence[LabelRows]) -> None:
    same = {"labelling_id": labelling_id}
    of_tracks = [row for one in rows for row in one.of_tracks]
    if of_tracks:
        columns = {name: [row[name] for row in of_tracks] for name in of_tracks[0] if name not in same}
        columns["candidates"] = [None if one is None else json.dumps(one) for one in columns["candidates"]]
        insert_rows(connection, "track_labels", columns, same=same)
    of_content = [row for one in rows for row in one.of_content]
    if of_content:
        columns = {name: [row[name] for row in of_content] for name in of_content[0] if name not in same}
        insert_rows(connection, "content_labels_by", columns, same=same, now=["labelled_at"])


def _ids(identity: Identity, ids: Mapping[str, LabelIds]) -> LabelIds:
    found = ids.get(identity.name)
    if found is None:
        raise LookupError(f"{identity.name!r} is not registered with the labelling")
    return found
