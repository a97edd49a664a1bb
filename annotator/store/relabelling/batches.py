"""Some contents get their labels, in one transaction: read, named, written and counted."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
from sqlalchemy import Connection, text

from annotator.recognition.decision import NamedTracks
from annotator.recognition.evidence import EvidenceStack
from annotator.store.appearances import summed_up
from annotator.store.bulk import insert_new, insert_rows
from annotator.store.corrections.applying import apply_corrections
from annotator.store.identities import label_ids
from annotator.store.locks import hold_corrections, hold_evidence
from annotator.store.partitions import ensure_partitions
from annotator.store.relabelling.reading import StoredTracks, read_shares, read_tracks
from annotator.store.relabelling.runs import Sums
from annotator.types import I64, Identity, TrackKey

_NAMES_BEFORE: Final = text(
    "SELECT l.content_id, l.track_no, i.survivor_id FROM track_labels l JOIN identities i ON i.id = l.identity_id"
    " WHERE l.labelling_id = :labelling AND l.content_id BETWEEN :first AND :last"
)
_SHOWN: Final = 2  # candidates that have columns of their own


class Names(Protocol):
    """What gives names to many tracks at once (``annotator.recognition.decision.Identifier``)."""

    @property
    def identities(self) -> Sequence[Identity]:
        """Whom it knows, by column."""

    def named(self, stacks: Iterable[EvidenceStack]) -> NamedTracks:
        """Return those tracks that get a name."""


def label_contents(
    connection: Connection,
    names: Names,
    content_ids: Sequence[int],
    *,
    network_id: int,
    labelling_id: int,
    compared_with: int | None = None,
) -> Sums:
    """Label contents that have no labels yet; those that somebody has labelled meanwhile are left alone.

    Args:
        connection: in a transaction that writes.
        names: gives the names.
        content_ids: near one another, in ascending order.
        network_id: whose tracks.
        labelling_id: under which labelling.
        compared_with: the labelling against which changes are counted.

    Returns:
        What they came to.

    Raises:
        LookupError: a name is of somebody who was never registered.
        ValueError: stored evidence cannot be read.

    """
    ensure_partitions(connection, content_ids, labelling_ids=[labelling_id])
    hold_evidence(connection, network_id)
    hold_corrections(connection)
    same = {"labelling_id": labelling_id}
    columns = {"content_id": list(content_ids)}
    new = insert_new(connection, "labelled_contents", columns, same=same, now=["labelled_at"])
    stored = read_tracks(connection, network_id, new)
    named = names.named(stored.stacks)
    keys = _keys(stored, named)
    identity_ids, survivor_ids = _identity_ids(connection, labelling_id, names.identities, named.columns)
    named_now = dict(zip(keys, survivor_ids.tolist(), strict=True))
    if keys:
        insert_rows(connection, "track_labels", _of_tracks(keys, identity_ids, named), same=same)
        shares = read_shares(connection, network_id, keys)
        of_contents = _of_contents(shares, named_now, named)
        insert_rows(connection, "content_labels_by", of_contents, same=same, now=["labelled_at"])
    for key, identity_id in apply_corrections(connection, labelling_id, new).items():
        named_now.pop(key, None)
        if identity_id is not None:
            named_now[key] = identity_id
    return _compared(_names_before(connection, compared_with, new), named_now, contents=len(new), tracks=len(stored))


def _keys(stored: StoredTracks, named: NamedTracks) -> list[TrackKey]:
    return list(zip(stored.content_id[named.place].tolist(), stored.track_no[named.place].tolist(), strict=True))


def _identity_ids(
    connection: Connection, labelling_id: int, people: Sequence[Identity], columns: I64
) -> tuple[I64, I64]:
    """Return the ids of candidates (N, C), and (N,) of whoever stands for the first ones now."""
    used = np.unique(columns)
    ids = label_ids(connection, labelling_id, {people[column].name for column in used.tolist()})
    missing = sorted(people[column].name for column in used.tolist() if people[column].name not in ids)
    if missing:
        raise LookupError(f"{missing[0]!r} is not registered with the labelling")
    id_of, survivor_of = np.zeros((2, len(people) + 1), np.int64)
    id_of[used] = [ids[people[column].name].identity_id for column in used.tolist()]
    survivor_of[used] = [ids[people[column].name].survivor_id for column in used.tolist()]
    return id_of[columns], survivor_of[columns[:, :1].ravel()]


def _of_tracks(keys: Sequence[TrackKey], identity_ids: I64, named: NamedTracks) -> dict[str, Sequence[Any]]:
    """Return the columns of ``track_labels``."""
    contents, numbers = zip(*keys, strict=True)
    has_second = named.columns.shape[1] > 1
    nobody = [None] * len(keys)
    return {
        "content_id": contents,
        "track_no": numbers,
        "identity_id": identity_ids[:, 0].tolist(),
        "confidence": named.confidences[:, 0].tolist(),
        "score": named.scores[:, 0].tolist(),
        "runner_up_id": identity_ids[:, 1].tolist() if has_second else nobody,
        "runner_up_score": named.scores[:, 1].tolist() if has_second else nobody,
        "runner_up_confidence": named.confidences[:, 1].tolist() if has_second else nobody,
        "candidates": _further(identity_ids[:, _SHOWN:], named),
    }


def _further(identity_ids: I64, named: NamedTracks) -> list[str | None]:
    """Return the candidates without columns of their own, as JSON."""
    if not identity_ids.shape[1]:
        return [None] * len(named)
    scores, confidences = named.scores[:, _SHOWN:].tolist(), named.confidences[:, _SHOWN:].tolist()
    rows = zip(identity_ids.tolist(), scores, confidences, strict=True)
    return [json.dumps(list(zip(*row, strict=True))) for row in rows]


def _of_contents(
    shares: Mapping[TrackKey, Sequence[tuple[int, int]]], named_now: Mapping[TrackKey, int], named: NamedTracks
) -> dict[str, Sequence[Any]]:
    """Return the columns of ``content_labels_by``: who is in each content, summed up over the person's tracks."""
    appearances = defaultdict(list)
    for (key, identity_id), confidence in zip(named_now.items(), named.confidences[:, 0].tolist(), strict=True):
        appearances[key[0], identity_id].append((shares[key], confidence))
    ordered = sorted(appearances)
    rows = [summed_up(appearances[one]) for one in ordered]
    return {
        "content_id": [content_id for content_id, _ in ordered],
        "identity_id": [identity_id for _, identity_id in ordered],
        **{name: [row[name] for row in rows] for name in rows[0]},
    }


def _names_before(connection: Connection, labelling_id: int | None, content_ids: set[int]) -> dict[TrackKey, int]:
    """Return who the tracks of contents were under another labelling, those without a name left out."""
    if labelling_id is None or not content_ids:
        return {}
    bounds = {"labelling": labelling_id, "first": min(content_ids), "last": max(content_ids)}
    rows = connection.execute(_NAMES_BEFORE, bounds).all()
    return {(content_id, track_no): identity for content_id, track_no, identity in rows if content_id in content_ids}


def _compared(before: Mapping[TrackKey, int], after: Mapping[TrackKey, int], *, contents: int, tracks: int) -> Sums:
    in_both = before.keys() & after.keys()
    return Sums(
        contents,
        tracks,
        labels=len(after),
        tracks_added=len(after) - len(in_both),
        tracks_dropped=len(before) - len(in_both),
        tracks_flipped=sum(before[one] != after[one] for one in in_both),
    )
