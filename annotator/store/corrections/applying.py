"""What people have said stands above what models say: the only place where it does so.

Whoever writes labels calls this in the same transaction, and whoever says something calls it for the labels that are
there. What the model says of the tracks concerned is kept in ``overruled_labels``: it is where the answer is made from,
again and again, whatever is said or withdrawn.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import numpy as np
from sqlalchemy import Connection, delete, select, text
from sqlalchemy.engine import Row

from annotator.recognition.calibration import Calibration
from annotator.recognition.evidence import pool_track
from annotator.store.appearances import load_boxes, summed_up
from annotator.store.codec import StoredBoxes, decode_evidence
from annotator.store.columns import utc_now
from annotator.store.corrections.words import Ruling, Word, rule, words_on
from annotator.store.dialect import given_ids, ids_param
from annotator.store.tables import (
    content_labels_by,
    corrections,
    labelled_contents,
    labellings,
    overruled_labels,
    track_embeddings,
    track_labels,
)
from annotator.types import TrackEvidence, TrackKey

Candidates = list[tuple[int, float, float]]
"""Who a track may be, best first: identity id, score and confidence. The first one is the name; none is «unknown»."""


_Person = TypeVar("_Person")

SURE: Final = 1.0
"""Score and confidence of a name that a person has given."""

_SUMS: Final = ("confidence", "first_ms", "last_ms", "screen_ms")


def reapply_corrections(connection: Connection, content_ids: Collection[int]) -> None:
    """Change the labels that contents have, under all labellings, to what has been said by now.

    Args:
        connection: in a transaction that writes and has called ``change_corrections`` first.
        content_ids: of which something was said or withdrawn.

    """
    for labelling_id in connection.execute(select(labellings.c.id).order_by(labellings.c.id)).scalars().all():
        table = labelled_contents.c
        there = select(table.content_id).where(
            table.labelling_id == labelling_id, table.content_id.in_(sorted(content_ids))
        )
        labelled = connection.execute(there).scalars().all()
        if labelled:
            _apply(connection, labelling_id, labelled, words=words_on(connection, labelled))


def apply_corrections(
    connection: Connection, labelling_id: int, content_ids: Collection[int]
) -> dict[TrackKey, int | None]:
    """Let what was said of tracks stand above labels that were written just now, by a model alone.

    Args:
        connection: in a transaction that writes, holds the corrections and has written these labels.
        labelling_id: under which labelling.
        content_ids: the contents that were labelled. Of most nothing was said: one question finds that out for all.

    Returns:
        Who the tracks are of which something was said; None is unknown.

    """
    words = words_on(connection, content_ids)
    return _apply(connection, labelling_id, sorted(words), words=words) if words else {}


def _apply(
    connection: Connection, labelling_id: int, content_ids: Sequence[int], *, words: Mapping[int, Sequence[Word]]
) -> dict[TrackKey, int | None]:
    row = connection.execute(
        select(labellings.c.network_id, labellings.c.calibration).where(labellings.c.id == labelling_id)
    ).one()
    boxes = load_boxes(connection, row.network_id, content_ids)
    rulings = {
        (content_id, track_no): ruling
        for content_id in content_ids
        for track_no, ruling in rule(words.get(content_id, ()), boxes[content_id]).items()
    }
    shown = _shown(connection, labelling_id, content_ids)
    said = _overruled(connection, labelling_id, content_ids)  # by the model, of tracks that somebody has spoken of
    said |= {key: shown.get(key, []) for key in rulings.keys() - said.keys()}
    survivors = _survivors(connection, [one for its_own in (*shown.values(), *said.values()) for one in its_own])
    bar = _Bar(connection, row.network_id, row.calibration)
    answers = {
        key: _answer(candidates, rulings.get(key), survivors, bar=bar, key=key) for key, candidates in said.items()
    }
    _write_overruled(connection, labelling_id, content_ids, {key: said[key] for key in rulings})
    wanted = {key: candidates for key, candidates in (shown | answers).items() if candidates}
    changed = sorted({key[0] for key in answers if wanted.get(key, []) != shown.get(key, [])})
    if changed:
        _write(connection, labelling_id, changed, wanted=wanted, survivors=survivors, boxes=boxes)
    return {key: survivors.get(answers[key][0][0], answers[key][0][0]) if answers[key] else None for key in rulings}


def _answer(
    said: Candidates, ruling: Ruling | None, survivors: Mapping[int, int], *, bar: "_Bar", key: TrackKey
) -> Candidates:
    """Return who a track is, from what the model says and what people say.

    Who was said to be it is it. Else the model's best candidate who is not ruled out is it, if that one reaches the
    threshold; the model's own name has reached it.
    """
    if ruling is None:
        return said
    if ruling.is_person is not None:
        return [(ruling.is_person, SURE, SURE)]
    left = [one for one in said if survivors.get(one[0], one[0]) not in ruling.are_not]
    return left if keeps_a_name(said, left, least_score=lambda: bar.of(key)) else []


def keeps_a_name(
    said: Sequence[tuple[_Person, float, float]],
    left: Sequence[tuple[_Person, float, float]],
    *,
    least_score: Callable[[], float],
) -> bool:
    """Say whether a track that has a name still has one when some candidates are ruled out.

    Args:
        said: its candidates, the person whom the model names first: whoever, score and confidence.
        left: those who are not ruled out.
        least_score: says from which score on the model names somebody.

    """
    return bool(left) and (left[0] == said[0] or left[0][1] >= least_score())


class _Bar:
    """The score from which a track gets a name under a labelling."""

    def __init__(self, connection: Connection, network_id: int, calibration: Mapping[str, Any] | None) -> None:
        self._connection = connection
        self._network_id = network_id
        self._calibration = None if calibration is None else Calibration.from_json(calibration)

    def of(self, key: TrackKey) -> float:
        """Return it for a track; beyond every score where the labelling says nothing of its thresholds."""
        table = track_embeddings.c
        columns = select(table.embeddings, table.face_px, table.quality)
        row = self._connection.execute(
            columns.where(table.network_id == self._network_id, table.content_id == key[0], table.track_no == key[1])
        ).one()
        evidence = decode_evidence(bytes(row.embeddings), bytes(row.face_px), bytes(row.quality))
        return np.inf if self._calibration is None else least_score(evidence, self._calibration)


def least_score(evidence: TrackEvidence, calibration: Calibration) -> float:
    """Return the score from which a track gets a name; beyond every score where no face of it was embedded."""
    if not len(evidence):
        return np.inf
    sizes, quality = evidence.face_px.astype(np.float32), evidence.quality.astype(np.float32)
    _, face_px = pool_track(evidence, calibration.usable_faces(sizes, quality))
    return float(calibration.min_scores(np.array([face_px]))[0])


def _shown(connection: Connection, labelling_id: int, content_ids: Sequence[int]) -> dict[TrackKey, Candidates]:
    labels = track_labels.c
    rows = connection.execute(
        select(track_labels).where(labels.labelling_id == labelling_id, labels.content_id.in_(content_ids))
    )
    return {(row.content_id, row.track_no): _candidates(row) for row in rows}


def _overruled(connection: Connection, labelling_id: int, content_ids: Sequence[int]) -> dict[TrackKey, Candidates]:
    labels = overruled_labels.c
    rows = connection.execute(
        select(overruled_labels).where(labels.labelling_id == labelling_id, labels.content_id.in_(content_ids))
    )
    return {(row.content_id, row.track_no): _from_json(row.candidates) for row in rows}


def _candidates(row: Row[*tuple[Any, ...]]) -> Candidates:
    """Return the candidates of a row of ``track_labels``."""
    named = [(row.identity_id, row.score, row.confidence)]
    second = [(row.runner_up_id, row.runner_up_score, row.runner_up_confidence)]
    return named + (second if row.runner_up_id is not None else []) + _from_json(row.candidates or [])


def _from_json(candidates: Iterable[Sequence[Any]]) -> Candidates:
    return [(int(identity_id), float(score), float(confidence)) for identity_id, score, confidence in candidates]


def _columns(candidates: Candidates) -> dict[str, Any]:
    """Return what a row of ``track_labels`` says beside its key."""
    (identity_id, score, confidence), *others = candidates
    second = others[0] if others else (None, None, None)
    further = [list(one) for one in others[1:]]
    return {
        "identity_id": identity_id,
        "score": score,
        "confidence": confidence,
        "runner_up_id": second[0],
        "runner_up_score": second[1],
        "runner_up_confidence": second[2],
        "candidates": further or None,
    }


def _survivors(connection: Connection, candidates: Iterable[tuple[int, float, float]]) -> dict[int, int]:
    """Return who stands for identities now, by id."""
    ids = sorted({identity_id for identity_id, _, _ in candidates})
    statement = text(f"SELECT id, survivor_id FROM identities WHERE id {given_ids(connection)}")  # noqa: S608
    return {row.id: int(row.survivor_id) for row in connection.execute(statement, {"ids": ids_param(connection, ids)})}


def _write_overruled(
    connection: Connection, labelling_id: int, content_ids: Sequence[int], said: Mapping[TrackKey, Candidates]
) -> None:
    labels = overruled_labels.c
    connection.execute(
        delete(overruled_labels).where(labels.labelling_id == labelling_id, labels.content_id.in_(content_ids))
    )
    rows = [
        _key(labelling_id, key) | {"candidates": [list(one) for one in candidates]}
        for key, candidates in sorted(said.items())
    ]
    if rows:
        connection.execute(overruled_labels.insert(), rows)


def _write(
    connection: Connection,
    labelling_id: int,
    content_ids: Sequence[int],
    *,
    wanted: Mapping[TrackKey, Candidates],
    survivors: Mapping[int, int],
    boxes: Mapping[int, Mapping[int, StoredBoxes]],
) -> None:
    """Write the labels of contents anew, and what they come to for each person; what stays as it is keeps its time."""
    rows = []
    appearances = defaultdict(list)
    for (content_id, track_no), ((named_id, score, confidence), *others) in sorted(wanted.items()):
        if content_id in content_ids:
            candidates = [(named_id, score, confidence), *others]
            rows.append(_key(labelling_id, (content_id, track_no)) | _columns(candidates))
            person_id = survivors.get(named_id, named_id)  # two ids of one person in one content would be two rows
            appearances[content_id, person_id].append((boxes[content_id][track_no].shares, confidence))
    labels = track_labels.c
    connection.execute(
        delete(track_labels).where(labels.labelling_id == labelling_id, labels.content_id.in_(content_ids))
    )
    if rows:
        connection.execute(track_labels.insert(), rows)
    _write_sums(connection, labelling_id, content_ids, {key: summed_up(shown) for key, shown in appearances.items()})


def _write_sums(
    connection: Connection,
    labelling_id: int,
    content_ids: Sequence[int],
    sums: Mapping[tuple[int, int], Mapping[str, Any]],
) -> None:
    labels = content_labels_by.c
    mine = (labels.labelling_id == labelling_id, labels.content_id.in_(content_ids))
    rows = connection.execute(select(content_labels_by).where(*mine)).all()
    there = {(row.content_id, row.identity_id): {name: getattr(row, name) for name in _SUMS} for row in rows}
    for content_id, identity_id in sorted(key for key in there if there[key] != sums.get(key)):
        connection.execute(
            delete(content_labels_by).where(
                labels.labelling_id == labelling_id,
                labels.content_id == content_id,
                labels.identity_id == identity_id,
            )
        )
    new = [
        {"labelling_id": labelling_id, "content_id": content_id, "identity_id": identity_id, **one}
        for (content_id, identity_id), one in sorted(sums.items())
        if there.get((content_id, identity_id)) != one
    ]
    if new:
        connection.execute(content_labels_by.insert().values(labelled_at=utc_now()), new)


def _key(labelling_id: int, key: TrackKey) -> dict[str, int]:
    return {"labelling_id": labelling_id, "content_id": key[0], "track_no": key[1]}


def contents_about(connection: Connection, identity_ids: Sequence[int]) -> list[int]:
    """Return the contents of whose tracks somebody has said that they are, or are not, one of some people."""
    about = select(corrections.c.content_id).where(
        corrections.c.identity_id.in_(identity_ids), corrections.c.withdrawn_at.is_(None)
    )
    return sorted(set(connection.execute(about).scalars()))
