"""Labels that name somebody: they go, and so does the person from among the candidates of other people's tracks."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, Text, cast, delete, func, or_, select, update

from annotator.store.corrections.applying import contents_about, reapply_corrections
from annotator.store.tables import (
    co_appearances_by,
    content_labels_by,
    corrections,
    enrolled_faces,
    identities,
    identity_aliases,
    identity_counts_by,
    labelling_identities,
    merges,
    overruled_labels,
    review_items,
    stranger_counts_by,
    track_groups,
    track_labels,
)

_ABOUT: Final[tuple[tuple[Table, str], ...]] = (
    (content_labels_by, "identity_id"),
    (identity_counts_by, "identity_id"),
    (co_appearances_by, "identity_id"),
    (co_appearances_by, "other_identity_id"),
    (labelling_identities, "identity_id"),
    (enrolled_faces, "identity_id"),
    (merges, "identity_id"),
)
"""Tables whose rows are about one person, by the column that says about whom."""

NAMES: Final = ("identities", "identity_aliases")
"""Tables that say what people are called: their rows go last."""


def count_labels(connection: Connection, identity_ids: Collection[int]) -> dict[str, int]:
    """Return how many rows name somebody, by table; of candidates, how many tracks of others have the person there."""
    ids = sorted(identity_ids)
    labels, words = track_labels.c, corrections.c
    counts = {
        "track_labels": _count(connection, track_labels, labels.identity_id.in_(ids)),
        "candidates": _count(connection, track_labels, labels.identity_id.not_in(ids), _is_candidate(ids)),
        "overruled_labels": _count(connection, overruled_labels, _has(overruled_labels.c.candidates, ids)),
        "review_items": _count(connection, review_items, _has(review_items.c.candidates, ids)),
        "corrections": _count(connection, corrections, words.identity_id.in_(ids)),
        "identities": _count(connection, identities, identities.c.id.in_(ids)),
        "identity_aliases": _count(connection, identity_aliases, identity_aliases.c.identity_id.in_(ids)),
    }
    for table, column in _ABOUT:
        counts[table.name] = counts.get(table.name, 0) + _count(connection, table, table.c[column].in_(ids))
    return counts


def forget_labels(connection: Connection, identity_ids: Collection[int]) -> dict[str, int]:
    """Take all rows away that name somebody; return how many of each table.

    Args:
        connection: in a transaction that writes and has called ``change_corrections`` first.
        identity_ids: who; the rows that say her or his names stay for ``forget_names``.

    """
    ids = sorted(identity_ids)
    counts = count_labels(connection, ids)
    corrected = contents_about(connection, ids)
    connection.execute(delete(track_labels).where(track_labels.c.identity_id.in_(ids)))
    _forget_candidates(connection, ids)
    _forget_overruled(connection, ids)
    connection.execute(delete(review_items).where(_has(review_items.c.candidates, ids)))
    connection.execute(delete(corrections).where(corrections.c.identity_id.in_(ids)))
    for table, column in _ABOUT:
        connection.execute(delete(table).where(table.c[column].in_(ids)))
    resembling = stranger_counts_by.c.resembles_id.in_(ids)
    connection.execute(update(stranger_counts_by).where(resembling).values(resembles_id=None))
    reapply_corrections(connection, corrected)
    return {name: count for name, count in counts.items() if count and name not in NAMES}


def forget_names(connection: Connection, identity_ids: Collection[int]) -> dict[str, int]:
    """Take somebody's names away: last of all, since they find the rest. Return how many rows of each table."""
    ids = sorted(identity_ids)
    connection.execute(update(track_groups).where(track_groups.c.identity_id.in_(ids)).values(identity_id=None))
    counts = {
        "identity_aliases": connection.execute(
            delete(identity_aliases).where(identity_aliases.c.identity_id.in_(ids))
        ).rowcount,
        # Those who were merged point to the one who stands for them: they go first.
        "identities": connection.execute(
            delete(identities).where(identities.c.id.in_(ids), identities.c.merged_into.is_not(None))
        ).rowcount,
    }
    counts["identities"] += connection.execute(delete(identities).where(identities.c.id.in_(ids))).rowcount
    return {name: count for name, count in counts.items() if count}


def _forget_candidates(connection: Connection, ids: Sequence[int]) -> None:
    """Let the next candidates move up where the person was one of them."""
    labels = track_labels.c
    rows = connection.execute(select(track_labels).where(_is_candidate(ids))).all()
    for row in rows:
        second = [(row.runner_up_id, row.runner_up_score, row.runner_up_confidence)]
        others = [*(second if row.runner_up_id is not None else []), *(row.candidates or [])]
        left = [tuple(one) for one in others if one[0] not in ids]
        first = left[0] if left else (None, None, None)
        mine = (labels.labelling_id == row.labelling_id, labels.content_id == row.content_id)
        connection.execute(
            update(track_labels)
            .where(*mine, labels.track_no == row.track_no)
            .values(
                runner_up_id=first[0],
                runner_up_score=first[1],
                runner_up_confidence=first[2],
                candidates=[list(one) for one in left[1:]] or None,
            )
        )


def _forget_overruled(connection: Connection, ids: Sequence[int]) -> None:
    table = overruled_labels.c
    rows = connection.execute(select(overruled_labels).where(_has(table.candidates, ids))).all()
    for row in rows:
        # Whom the model named is left without a name; whoever came second has not reached the threshold for sure.
        left = [one for one in row.candidates if one[0] not in ids] if row.candidates[0][0] not in ids else []
        connection.execute(
            update(overruled_labels)
            .where(
                table.labelling_id == row.labelling_id,
                table.content_id == row.content_id,
                table.track_no == row.track_no,
            )
            .values(candidates=left)
        )


def _is_candidate(ids: Sequence[int]) -> ColumnElement[bool]:
    return or_(track_labels.c.runner_up_id.in_(ids), _has(track_labels.c.candidates, ids))


def _has(candidates: ColumnElement[Any], ids: Sequence[int]) -> ColumnElement[bool]:
    """Say whether a column ``[[identity_id, score, confidence], …]`` has one of some people."""
    as_text = cast(
        candidates, Text
    )  # on SQLite that reads the text itself, on Postgres that of jsonb: both write "[7, "
    return or_(*(as_text.like(f"%[{one},%") for one in ids)) if ids else as_text.is_(None) & as_text.is_not(None)


def _count(connection: Connection, table: Table, *where: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()
