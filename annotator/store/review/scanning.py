"""The queue is filled: contents are looked at in the order of their ids, some thousand at a time.

A name is worth a look where it is neither nearly certain nor nearly impossible, and the more so the more often its clip
is viewed. With a gallery, tracks without a name are looked at, too: some are just under the threshold. Of whom a person
has spoken already, nobody is asked again.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, select, text

from annotator.store.codec import decode_evidence
from annotator.store.connection import reading, writing
from annotator.store.identities import ids_of
from annotator.store.labellings import Labelling, load_active
from annotator.store.labels import Identify
from annotator.store.locks import hold_corrections
from annotator.store.registry import dialect_insert
from annotator.store.tables import (
    identities,
    labelled_contents,
    labellings,
    review_items,
    review_scans,
    store_settings,
    track_embeddings,
)
from annotator.types import TrackEvidence, TrackLabel

LEAST_CONFIDENCE: Final = 0.02
MOST_CONFIDENCE: Final = 0.98
"""A track whose best candidate is between the two is worth a look."""

CONTENTS_AT_ONCE: Final = 2_000
"""Looked at in one transaction."""

# Workers that write at once do not end in the order of ids: a scan after a while goes back by so many contents.
_OVERLAP: Final = 5_000
_LATE_FOR: Final = timedelta(minutes=10)

# The row of `store_settings` that says how far tracks without a name were looked at: labelling, content, time.
_NAMELESS_PLACE: Final = "review_nameless_after"

_VIEWS: Final = """
SELECT m.content_id, sum(w.views) AS views FROM media m JOIN media_views w ON w.media_id = m.id
WHERE m.deleted_at IS NULL AND m.content_id > :after AND m.content_id <= :last GROUP BY m.content_id
"""
_NOT_SPOKEN_OF: Final = """
NOT EXISTS (SELECT 1 FROM overruled_labels o
            WHERE o.labelling_id = :labelling AND o.content_id = {track}.content_id AND o.track_no = {track}.track_no)
"""
_NAMED: Final = f"""
INSERT INTO review_items (network_id, content_id, track_no, worth)
SELECT :network, k.content_id, k.track_no, coalesce(v.views, 1) * k.confidence * (1 - k.confidence)
FROM track_labels k LEFT JOIN ({_VIEWS}) v ON v.content_id = k.content_id
WHERE k.labelling_id = :labelling AND k.content_id > :after AND k.content_id <= :last
  AND k.confidence BETWEEN :least AND :most AND {_NOT_SPOKEN_OF.format(track="k")}
ON CONFLICT (network_id, content_id, track_no) DO UPDATE SET worth = excluded.worth, candidates = NULL
"""  # noqa: S608 - made of constants
_WITHOUT_NAME: Final = f"""
SELECT e.content_id, e.track_no FROM track_embeddings e
JOIN labelled_contents l ON l.labelling_id = :labelling AND l.content_id = e.content_id
WHERE e.network_id = :network AND e.content_id > :after AND e.content_id <= :last
  AND NOT EXISTS (SELECT 1 FROM track_labels k WHERE k.labelling_id = :labelling
                  AND k.content_id = e.content_id AND k.track_no = e.track_no)
  AND {_NOT_SPOKEN_OF.format(track="e")}
"""  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True)
class Scanned:
    """How far a scan has come.

    Attributes:
        contents: looked at by this call.
        is_done: nothing is left to look at.

    """

    contents: int
    is_done: bool


@dataclass(frozen=True, slots=True)
class Round:
    """What is looked at in one transaction: contents with ids above ``after``, up to ``last``.

    Attributes:
        network_id: whose tracks.
        labelling_id: whose names.
        model: as users see it.
        digest: of all that decides its labels.
        after: the content before the first one.
        last: the last content.
        contents: how many.

    """

    network_id: int
    labelling_id: int
    model: str
    digest: str
    after: int
    last: int
    contents: int

    @property
    def params(self) -> dict[str, Any]:
        """Values of the statements."""
        return {
            "network": self.network_id,
            "labelling": self.labelling_id,
            "after": self.after,
            "last": self.last,
            "least": LEAST_CONFIDENCE,
            "most": MOST_CONFIDENCE,
        }


def scan_all(
    engine: Engine, *, identify: Identify | None = None, on_batch: Callable[[int], None] = lambda _: None
) -> Scanned:
    """Look at everything, whatever was looked at before: how often media are viewed may have changed.

    Args:
        engine: of the database.
        identify: names tracks by the gallery of what is shown, for those that are just under the threshold; None looks
            at those with a name only.
        on_batch: is told the last content's id after each transaction.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    contents, after = 0, 0
    while (this := _next_round(engine, after=after)) is not None:
        _scan(engine, this, identify)
        contents, after = contents + this.contents, this.last
        on_batch(after)
    return Scanned(contents, is_done=True)


def scan_some(engine: Engine) -> Scanned:
    """Look at some of what has got names since the last scan, in one transaction; where all was seen, at nothing.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    this = _next_round(engine)
    if this is None:
        return Scanned(0, is_done=True)
    _scan(engine, this, None)
    return Scanned(this.contents, is_done=this.contents < CONTENTS_AT_ONCE)


def next_nameless(engine: Engine, *, contents: int = CONTENTS_AT_ONCE) -> Round | None:
    """Return the contents whose tracks without a name are looked at next; None where nothing is left.

    Args:
        engine: of the database.
        contents: at most so many.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    with reading(engine) as connection:
        shown = load_active(connection)
        if shown is None:
            return None
        reached, scanned_at = _reached_nameless(connection, shown.labelling_id)
        ids = _next_contents(connection, shown.labelling_id, reached, contents)
        if ids and datetime.now(UTC) - scanned_at >= _LATE_FOR:
            reached = max(0, reached - _OVERLAP)
            ids = _next_contents(connection, shown.labelling_id, reached, contents)
        return _round_of(connection, shown, reached, ids)


def scan_nameless(engine: Engine, this: Round, identify: Identify) -> None:
    """Look at tracks without a name: those that are just under the threshold are queued.

    Args:
        engine: of the database.
        this: as of ``next_nameless``.
        identify: names tracks by the gallery of what is shown, the one of the round's digest.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    with reading(engine) as connection:
        near = _just_under(connection, this, identify)
    with writing(engine) as connection:
        hold_corrections(connection)  # nobody is taken down until this is written
        _write_near(connection, near)
        _note_reached_nameless(connection, this)


def _next_round(engine: Engine, *, after: int | None = None) -> Round | None:
    """Return what is looked at next, by default behind the last scan; None where nothing is left."""
    with reading(engine) as connection:
        shown = load_active(connection)
        if shown is None:
            return None
        reached = _reached(connection, shown.network_id, shown.labelling_id) if after is None else after
        ids = _next_contents(connection, shown.labelling_id, reached, CONTENTS_AT_ONCE)
        return _round_of(connection, shown, reached, ids)


def _round_of(connection: Connection, shown: Labelling, after: int, ids: Sequence[int]) -> Round | None:
    if not ids:
        return None
    digest = select(labellings.c.digest).where(labellings.c.id == shown.labelling_id)
    return Round(
        shown.network_id,
        shown.labelling_id,
        shown.model,
        connection.execute(digest).scalar_one(),
        after,
        ids[-1],
        len(ids),
    )


def _scan(engine: Engine, this: Round, identify: Identify | None) -> None:
    near: list[dict[str, Any]] = []
    if identify is not None:
        with reading(engine) as connection:
            near = _just_under(connection, this, identify)
    with writing(engine) as connection:
        hold_corrections(connection)  # nobody is taken down until this is written
        connection.execute(text(_NAMED), this.params)
        _write_near(connection, near)
        _note_reached(connection, this)
        if identify is not None:
            _note_reached_nameless(connection, this)


def _next_contents(connection: Connection, labelling_id: int, after: int, most: int) -> Sequence[int]:
    table = labelled_contents.c
    statement = (
        select(table.content_id)
        .where(table.labelling_id == labelling_id, table.content_id > after)
        .order_by(table.content_id)
        .limit(most)
    )
    return connection.execute(statement).scalars().all()


def _reached(connection: Connection, network_id: int, labelling_id: int) -> int:
    """Return up to which content everything was looked at; where that was a while ago, from a little before it."""
    row = connection.execute(select(review_scans).where(review_scans.c.network_id == network_id)).one_or_none()
    if row is None or row.labelling_id != labelling_id:
        return 0
    is_recent = datetime.now(UTC) - row.scanned_at < _LATE_FOR
    return int(row.after_content_id) if is_recent else max(0, int(row.after_content_id) - _OVERLAP)


def _note_reached(connection: Connection, this: Round) -> None:
    written = dialect_insert(connection, review_scans).values(
        network_id=this.network_id,
        labelling_id=this.labelling_id,
        after_content_id=this.last,
        scanned_at=datetime.now(UTC),
    )
    changed = {name: written.excluded[name] for name in ("labelling_id", "after_content_id", "scanned_at")}
    connection.execute(written.on_conflict_do_update(index_elements=["network_id"], set_=changed))


def _reached_nameless(connection: Connection, labelling_id: int) -> tuple[int, datetime]:
    """Return up to which content tracks without a name were looked at, and when."""
    noted = select(store_settings.c.value).where(store_settings.c.name == _NAMELESS_PLACE)
    of, after, at = (connection.execute(noted).scalar_one_or_none() or "0 0 0").split()
    return (int(after) if int(of) == labelling_id else 0), datetime.fromtimestamp(float(at), UTC)


def _note_reached_nameless(connection: Connection, this: Round) -> None:
    value = f"{this.labelling_id} {this.last} {datetime.now(UTC).timestamp()}"
    noted = dialect_insert(connection, store_settings).values(name=_NAMELESS_PLACE, value=value)
    connection.execute(
        noted.on_conflict_do_update(index_elements=[store_settings.c.name], set_={"value": noted.excluded.value})
    )


def _just_under(connection: Connection, this: Round, identify: Identify) -> list[dict[str, Any]]:
    """Return the rows of tracks without a name whose best candidate may be the right one all the same."""
    found = connection.execute(text(_WITHOUT_NAME), this.params).all()
    keys = {(content_id, track_no) for content_id, track_no in found}
    evidence = _evidence(connection, this.network_id, keys)
    labels = dict(zip(evidence, identify(list(evidence.values())), strict=True))
    near = {key: label for key, label in labels.items() if _is_near(label)}
    ids = ids_of(connection, {one.identity.name for label in near.values() for one in label.candidates})
    views = _views(connection, this)
    return [
        _near_row(this.network_id, key, label, ids=ids, views=views.get(key[0], 1.0)) for key, label in near.items()
    ]


def _evidence(
    connection: Connection, network_id: int, keys: Collection[tuple[int, int]]
) -> dict[tuple[int, int], TrackEvidence]:
    table = track_embeddings.c
    rows = connection.execute(
        select(track_embeddings)
        .where(table.network_id == network_id, table.content_id.in_(sorted({content_id for content_id, _ in keys})))
        .order_by(table.content_id, table.track_no)
    )
    return {
        (row.content_id, row.track_no): decode_evidence(bytes(row.embeddings), bytes(row.face_px), bytes(row.quality))
        for row in rows
        if (row.content_id, row.track_no) in keys
    }


def _is_near(label: TrackLabel) -> bool:
    """Say whether a label names nobody, and somebody might be named; faces that are too poor say nothing."""
    return label.verdict == "unknown" and bool(label.candidates) and is_unsure(label.candidates[0].confidence)


def is_unsure(confidence: float) -> bool:
    """Say whether somebody should look at a name of this confidence.

    >>> is_unsure(0.97), is_unsure(1.0)
    (True, False)
    """
    return LEAST_CONFIDENCE <= confidence <= MOST_CONFIDENCE


def _views(connection: Connection, this: Round) -> dict[int, float]:
    rows = connection.execute(text(_VIEWS), {"after": this.after, "last": this.last})
    return {content_id: float(views) for content_id, views in rows}


def _near_row(
    network_id: int, key: tuple[int, int], label: TrackLabel, *, ids: Mapping[str, int], views: float
) -> dict[str, Any]:
    confidence = label.candidates[0].confidence
    return {
        "network_id": network_id,
        "content_id": key[0],
        "track_no": key[1],
        "worth": views * confidence * (1 - confidence),
        "candidates": [
            [ids[one.identity.name], float(one.score), float(one.confidence)]
            for one in label.candidates
            if one.identity.name in ids
        ],
    }


def _write_near(connection: Connection, near: Sequence[Mapping[str, Any]]) -> None:
    """Write tracks without a name; where one of their candidates was taken down meanwhile, as if never looked at."""
    wanted = {one[0] for row in near for one in row["candidates"]}
    there = set(connection.execute(select(identities.c.id).where(identities.c.id.in_(wanted))).scalars())
    rows = [row for row in near if all(one[0] in there for one in row["candidates"])]
    if rows:
        written = dialect_insert(connection, review_items)
        changed = {name: written.excluded[name] for name in ("worth", "candidates")}
        keys = ["network_id", "content_id", "track_no"]
        connection.execute(written.on_conflict_do_update(index_elements=keys, set_=changed), rows)
