"""What a backlog has come to, by natural keys; and that nothing is left over.

Equal are: media and what their bytes are, the fate of each, what was found, embeddings, labels by name. Not compared:
ids, attempts, times, workers (docs/queue.md, «What the same rows means»). The doubles of the networks are exact, so the
tolerance of numbers is zero; a test with real networks names its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, Engine, text

from annotator.store.codec import decode_boxes

EXACT: Final = 0.0

_QUERIES: Final[Mapping[str, str]] = {
    "media": "SELECT m.key, encode(c.sha256, 'hex'), m.etag, m.deleted_at IS NOT NULL"
    " FROM media m LEFT JOIN contents c ON c.id = m.content_id",
    "work": "SELECT n.digest, m.key, w.state, w.reason, w.message"
    " FROM work w JOIN media m ON m.id = w.media_id JOIN networks n ON n.id = w.network_id",
    "annotations": "SELECT n.digest, encode(c.sha256, 'hex'), a.width_px, a.height_px, a.duration_ms,"
    " a.frames_decoded, a.frames_distinct, a.frames_sampled, a.faces, a.damage"
    " FROM annotations a JOIN contents c ON c.id = a.content_id JOIN networks n ON n.id = a.network_id",
    "tracks": "SELECT n.digest, encode(c.sha256, 'hex'), t.track_no, t.shot_no, t.first_ms, t.last_ms, t.screen_ms,"
    " t.faces, t.face_px, t.quality, t.boxes"
    " FROM tracks t JOIN contents c ON c.id = t.content_id JOIN networks n ON n.id = t.network_id",
    "embeddings": "SELECT n.digest, encode(c.sha256, 'hex'), e.track_no, e.embeddings, e.face_px, e.quality"
    " FROM track_embeddings e JOIN contents c ON c.id = e.content_id JOIN networks n ON n.id = e.network_id",
    "labelled": "SELECT l.model, encode(c.sha256, 'hex')"
    " FROM labelled_contents d JOIN contents c ON c.id = d.content_id JOIN labellings l ON l.id = d.labelling_id",
    "track_labels": "SELECT l.model, encode(c.sha256, 'hex'), t.track_no, i.name, t.confidence, t.score, r.name,"
    " t.runner_up_score, t.runner_up_confidence"
    " FROM track_labels t JOIN contents c ON c.id = t.content_id JOIN labellings l ON l.id = t.labelling_id"
    " JOIN identities i ON i.id = t.identity_id LEFT JOIN identities r ON r.id = t.runner_up_id",
    "content_labels": "SELECT l.model, encode(c.sha256, 'hex'), i.name, b.confidence, b.first_ms, b.last_ms,"
    " b.screen_ms FROM content_labels_by b JOIN contents c ON c.id = b.content_id"
    " JOIN labellings l ON l.id = b.labelling_id JOIN identities i ON i.id = b.identity_id",
}
# How many of the columns are the key.
_KEY_COLUMNS: Final = {
    "media": 1,
    "work": 2,
    "annotations": 2,
    "tracks": 3,
    "embeddings": 3,
    "labelled": 2,
    "track_labels": 3,
    "content_labels": 3,
}

Table = Mapping[tuple[Any, ...], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a backlog, each table by its natural key."""

    media: Table
    work: Table
    annotations: Table
    tracks: Table
    embeddings: Table
    labelled: Table
    track_labels: Table
    content_labels: Table

    @property
    def failures(self) -> dict[str, str]:
        """Why media failed, by key."""
        return {key[1]: str(values[1]) for key, values in self.work.items() if values[0] >= 3}


def read_rows(engine: Engine) -> Rows:
    """Read what there is."""
    with engine.connect() as connection:
        return Rows(**{name: _read(connection, name) for name in _QUERIES})


def _read(connection: Connection, name: str) -> Table:
    keys = _KEY_COLUMNS[name]
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for row in connection.execute(text(_QUERIES[name])):
        values = tuple(bytes(one) if isinstance(one, memoryview) else one for one in row)
        assert values[:keys] not in found, f"{name} has {values[:keys]} twice"
        found[values[:keys]] = tuple(_as_numbers(name, values[keys:]))
    return found


def _as_numbers(name: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
    if name == "tracks":
        boxes = decode_boxes(values[-1])
        return (*values[:-1], *(getattr(boxes, field.name) for field in fields(boxes)))
    if name == "embeddings":
        return tuple(np.frombuffer(one, "<f2").astype(np.float64) for one in values)
    return values


def assert_same_rows(found: Rows, expected: Rows, *, tolerance: float = EXACT) -> None:
    """Compare with the rows of an undisturbed run.

    Args:
        found: of the disturbed run.
        expected: of the undisturbed one.
        tolerance: largest difference of scores, confidences, qualities, sizes and embeddings.

    """
    differences = []
    for field in fields(Rows):
        ours: Table = getattr(found, field.name)
        theirs: Table = getattr(expected, field.name)
        differences += [f"{field.name}: {key} is missing" for key in theirs.keys() - ours.keys()]
        differences += [f"{field.name}: {key} is too much: {ours[key]}" for key in ours.keys() - theirs.keys()]
        differences += [
            f"{field.name}: {key} is {ours[key]}, undisturbed {theirs[key]}"
            for key in ours.keys() & theirs.keys()
            if not all(_near(one, other, tolerance) for one, other in zip(ours[key], theirs[key], strict=True))
        ]
    assert not differences, "\n".join(sorted(differences))


def _near(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, np.ndarray):
        if one.shape != other.shape:
            return False
        is_exact = one.dtype.kind in "iu" or tolerance == EXACT
        return bool(np.array_equal(one, other) if is_exact else np.abs(one - other).max(initial=0.0) <= tolerance)
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= tolerance
    return bool(one == other)


# Each names what it finds; all must find nothing.
_LEFTOVERS: Final[Mapping[str, str]] = {
    "media without work": "SELECT m.key FROM media m CROSS JOIN active a WHERE m.deleted_at IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM work w WHERE w.media_id = m.id AND w.network_id = a.network_id)",
    "unsettled work": "SELECT m.key, w.state FROM work w JOIN media m ON m.id = w.media_id WHERE w.state < 2",
    "settled work that somebody holds": "SELECT media_id FROM work WHERE state >= 2 AND"
    " (session_id IS NOT NULL OR deadline_at IS NOT NULL OR not_before IS NOT NULL OR finished_at IS NULL"
    " OR (suspect AND state <> 4))",
    "chunks": "SELECT id, state, media_ids FROM chunks",
    "done media whose bytes nobody knows": "SELECT m.key FROM work w JOIN media m ON m.id = w.media_id"
    " WHERE w.state = 2 AND m.content_id IS NULL",
    "done media without a result": "SELECT m.key FROM work w JOIN media m ON m.id = w.media_id WHERE w.state = 2"
    " AND NOT EXISTS (SELECT 1 FROM annotations a WHERE a.network_id = w.network_id AND a.content_id = m.content_id)",
    "results without labels": "SELECT a.content_id FROM annotations a WHERE NOT EXISTS (SELECT 1 FROM labelled_contents"
    " d JOIN labellings l ON l.id = d.labelling_id WHERE l.network_id = a.network_id AND d.content_id = a.content_id)",
}
_COUNTED: Final = (
    "SELECT network_id, run_id, lane, state, reason, sum(media), sum(cost_ms) FROM (SELECT network_id, run_id, lane,"
    " state, reason, media, cost_ms FROM work_deltas UNION ALL SELECT network_id, run_id, lane, state, reason, media,"
    " cost_ms FROM work_counts) both_of_them GROUP BY 1, 2, 3, 4, 5 HAVING sum(media) <> 0 OR sum(cost_ms) <> 0"
)
_RECOUNTED: Final = (
    "SELECT network_id, coalesce(run_id, 0), lane, state, coalesce(reason, ''), count(*), sum(cost_ms)"
    " FROM work GROUP BY 1, 2, 3, 4, 5"
)


def find_leftovers(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Return what a finished backlog must not leave behind, by what it is."""
    with engine.connect() as connection:
        found = {what: [tuple(row) for row in connection.execute(text(query))] for what, query in _LEFTOVERS.items()}
        counted = {tuple(row) for row in connection.execute(text(_COUNTED))}
        recounted = {tuple(row) for row in connection.execute(text(_RECOUNTED))}
    found["counters that differ from a recount"] = sorted(counted ^ recounted)
    return {what: rows for what, rows in found.items() if rows}
