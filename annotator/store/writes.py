"""Outcomes as rows: a content annotated once per network and labelled once per labelling, whoever comes first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, delete, select, text
from sqlalchemy.exc import DBAPIError

from annotator.store.bulk import insert_new, insert_rows
from annotator.store.codec import encode_boxes, encode_evidence
from annotator.store.columns import utc_now
from annotator.store.dialect import given_ids, ids_param
from annotator.store.duplicates.fingerprints import write_fingerprints
from annotator.store.labels import LabelledTrack, delete_labels, insert_labels, load_evidence
from annotator.store.locks import replace_evidence
from annotator.store.messages import clean_message
from annotator.store.partitions import ensure_partitions
from annotator.store.queue.chunks import Piece
from annotator.store.queue.counts import Delta, add_deltas
from annotator.store.registry import dialect_insert, link_media, register_contents, register_media
from annotator.store.strangers.finding import await_tracks
from annotator.store.tables import (
    WorkState,
    annotations,
    grouped_contents,
    grouped_tracks,
    labelled_contents,
    labellings,
    media,
    track_embeddings,
    tracks,
    work,
)
from annotator.types import FaceTrack, KnownMedia, MediaAnnotation, MediaFailure, MediaRef

Outcome = MediaAnnotation | MediaFailure | KnownMedia
# What of a row of `work` says what has become of the media.
_FATE: Final = ("state", "reason", "message")
_CLIP_COLUMNS: Final = ("width_px", "height_px", "duration_ms", "frames_decoded", "frames_distinct")
# Reason of a media whose result the database refuses.
UNSTORABLE: Final = "unstorable"


@dataclass(frozen=True, slots=True)
class SaveReport:
    """What saving has changed.

    Attributes:
        annotated: contents whose tracks were written now.
        labelled: contents that were labelled now.
        failed: media that failed, by URI, those that could not be stored included.
        to_relabel: contents that are annotated but have no labels under this labelling, for
            ``Store.label_contents``: known ones, or ones that somebody else annotated differently meanwhile.
        media_ids: ids of all media of the outcomes, by URI.

    """

    annotated: frozenset[int] = frozenset()
    labelled: frozenset[int] = frozenset()
    failed: tuple[str, ...] = ()
    to_relabel: frozenset[int] = frozenset()
    media_ids: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "SaveReport") -> "SaveReport":
        """Sum up two batches."""
        labelled = self.labelled | other.labelled
        return SaveReport(
            annotated=self.annotated | other.annotated,
            labelled=labelled,
            failed=self.failed + other.failed,
            to_relabel=(self.to_relabel | other.to_relabel) - labelled,
            media_ids={**self.media_ids, **other.media_ids},
        )


def write_outcomes(
    connection: Connection,
    outcomes: Sequence[Outcome],
    *,
    network_id: int,
    labelling_id: int,
    refresh: bool = False,
    media_ids: Mapping[str, int] | None = None,
) -> SaveReport:
    """Write outcomes in the caller's transaction.

    Args:
        connection: in a transaction that writes; on an exception it must be rolled back.
        outcomes: at most a few dozen, of any media and contents; doubles of a content are one.
        network_id: what made the tracks.
        labelling_id: what made the labels.
        refresh: replace what is there; the labels of all labellings over the network go with the tracks.
        media_ids: of a queue, by URI: it knows the ids, and writes the fates of its media itself, under its fence. By
            default media are registered, and their fates written into ``work``.

    Raises:
        LookupError: a label names somebody who was never registered.
        sqlalchemy.exc.SQLAlchemyError: the database refuses.

    """
    annotated = {one.content_sha256: one for one in outcomes if isinstance(one, MediaAnnotation)}
    read = {one.media.uri: one.content_sha256 for one in outcomes if not isinstance(one, MediaFailure)}
    # Before anything else: making partitions waits for others.
    ensure_partitions(connection, network_ids=[network_id], labelling_ids=[labelling_id])
    content_ids = register_contents(connection, set(read.values()), new=annotated)
    held = {uri: content_ids[digest] for uri, digest in read.items()}
    refs = [one.media for one in outcomes]
    is_queued = media_ids is not None
    if media_ids is None:
        media_ids = register_media(connection, refs, content_ids=held)
    else:
        link_media(connection, refs, media_ids=media_ids, content_ids=held)
    by_content = {content_ids[digest]: one for digest, one in annotated.items()}
    outdated = _take_stale(connection, network_id, list(by_content))
    if refresh or outdated:
        delete_contents(connection, network_id, list(by_content) if refresh else outdated)
    new = _insert_annotations(connection, network_id, by_content)
    write_fingerprints(connection, by_content, new)
    labelled, to_relabel = _label(
        connection, by_content, new, network_id=network_id, labelling_id=labelling_id, all_ids=set(content_ids.values())
    )
    if not is_queued:
        write_work(connection, outcomes, network_id=network_id, media_ids=media_ids)
    return SaveReport(
        annotated=frozenset(new),
        labelled=frozenset(labelled),
        failed=tuple(one.media.uri for one in outcomes if isinstance(one, MediaFailure)),
        to_relabel=frozenset(to_relabel),
        media_ids=media_ids,
    )


def write_work(
    connection: Connection, outcomes: Sequence[Outcome], *, network_id: int, media_ids: Mapping[str, int]
) -> None:
    """Write the fate of media that no queue looks after; rows are written only where something changed.

    What a queue has in hand changes hands: its late report is refused, since the row names its session no more.
    """
    fates = {media_ids[one.media.uri]: _fate(one) for one in outcomes}
    before = {row.media_id: row for row in _work_rows(connection, network_id, sorted(fates))}
    changed = [
        media_id
        for media_id, fate in sorted(fates.items())
        if media_id not in before or fate != tuple(getattr(before[media_id], name) for name in _FATE)
    ]
    if not changed:
        return
    pieces = _pieces(connection, [media_id for media_id in changed if media_id not in before])
    rows = []
    deltas = []
    for media_id in changed:
        state, reason, _ = fates[media_id]
        old = before.get(media_id)
        lane, cost_ms = (old.lane, old.cost_ms) if old else (pieces[media_id].lane, pieces[media_id].cost_ms)
        run_id = old.run_id if old else None
        if old:
            left = WorkState(old.state)
            deltas.append(Delta(network_id, run_id, lane, left, old.reason, -1, -cost_ms))
        deltas.append(Delta(network_id, run_id, lane, WorkState(state), reason, 1, cost_ms))
        key = {"network_id": network_id, "media_id": media_id, "lane": lane, "cost_ms": cost_ms}
        rows.append(key | dict(zip(_FATE, fates[media_id], strict=True)))
    insert = dialect_insert(connection, work).values(finished_at=utc_now())
    statement = insert.on_conflict_do_update(
        index_elements=[work.c.network_id, work.c.media_id],
        set_={name: insert.excluded[name] for name in _FATE}
        | {"finished_at": utc_now(), "session_id": None, "deadline_at": None, "not_before": None},
    )
    connection.execute(statement, rows)
    add_deltas(connection, deltas)


def _fate(outcome: Outcome) -> tuple[int, str | None, str | None]:
    if isinstance(outcome, MediaFailure):
        return int(WorkState.FAILED), outcome.reason, clean_message(outcome.message)
    return int(WorkState.DONE), None, None


def _work_rows(connection: Connection, network_id: int, media_ids: Sequence[int]) -> Sequence[Any]:
    """Return the rows of media, in order, and keep others from moving them until the transaction ends."""
    wanted = select(work).where(work.c.network_id == network_id, work.c.media_id.in_(media_ids))
    return connection.execute(wanted.order_by(work.c.media_id).with_for_update()).all()


def _pieces(connection: Connection, media_ids: Sequence[int]) -> dict[int, Piece]:
    if not media_ids:
        return {}
    rows = connection.execute(select(media.c.id, media.c.key, media.c.size_bytes).where(media.c.id.in_(media_ids)))
    return {row.id: Piece(row.id, row.key, row.size_bytes) for row in rows}


def _take_stale(connection: Connection, network_id: int, content_ids: Sequence[int]) -> list[int]:
    """Return those contents that a backlog wants annotated again; with these results they are as wanted."""
    if not content_ids:
        return []
    taken = text(
        f"DELETE FROM stale_contents WHERE network_id = :n AND content_id {given_ids(connection)} RETURNING content_id"  # noqa: S608
    )
    return list(connection.execute(taken, {"n": network_id, "ids": ids_param(connection, content_ids)}).scalars())


def delete_contents(connection: Connection, network_id: int, content_ids: Sequence[int]) -> None:
    """Delete what a network found in contents, all labels over it, and their places in groups of strangers.

    Of tracks that a person has put into groups it is kept where they were seen.
    """
    if not content_ids:
        return
    replace_evidence(connection, network_id)
    await_tracks(connection, network_id, content_ids)
    over = connection.execute(select(labellings.c.id).where(labellings.c.network_id == network_id)).scalars()
    for labelling_id in over.all():
        delete_labels(connection, labelling_id, content_ids)
    for table in (grouped_tracks, grouped_contents, track_embeddings, tracks, annotations):
        connection.execute(delete(table).where(table.c.network_id == network_id, table.c.content_id.in_(content_ids)))


def unstorable(outcome: Outcome, error: Exception) -> MediaFailure:
    """Return the failure of a media whose result the database refuses."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    model = outcome.model if not isinstance(outcome, KnownMedia) else ""
    sentence = f"the database refuses the result: {str(cause).strip().partition(chr(10))[0]}"
    # Without its etag, and as a failure, the media can be written whatever the result holds.
    media = MediaRef(outcome.media.media_id, outcome.media.uri)
    return MediaFailure(media=media, model=model, reason=UNSTORABLE, message=sentence, is_transient=False)


def _insert_annotations(connection: Connection, network_id: int, by_content: Mapping[int, MediaAnnotation]) -> set[int]:
    """Write what was found in contents that this network has not annotated yet; return these."""
    if not by_content:
        return set()
    ensure_partitions(connection, by_content, network_ids=[network_id])
    same = {"network_id": network_id}
    found = [(content_id, by_content[content_id]) for content_id in sorted(by_content)]
    new = insert_new(connection, "annotations", _annotation_columns(found), same=same, now=["annotated_at"])
    fresh = [(content_id, track) for content_id, one in found if content_id in new for track in one.tracks]
    if fresh:
        insert_rows(connection, "tracks", _track_columns(fresh), same=same)
        insert_rows(connection, "track_embeddings", _evidence_columns(fresh), same=same)
    return new


def _label(
    connection: Connection,
    by_content: Mapping[int, MediaAnnotation],
    new: set[int],
    *,
    network_id: int,
    labelling_id: int,
    all_ids: set[int],
) -> tuple[set[int], set[int]]:
    """Label what has no labels yet; return the contents labelled now, and those left to relabel from their rows."""
    old = sorted(all_ids - new)
    done = set()
    if old:
        table = labelled_contents.c
        done = set(
            connection.execute(
                select(table.content_id).where(table.labelling_id == labelling_id, table.content_id.in_(old))
            ).scalars()
        )
    unlabelled = [one for one in old if one not in done]
    # Labels belong to the stored tracks. Tracks of a content that was annotated before may differ in their last bits.
    stored = load_evidence(connection, network_id, unlabelled) if unlabelled else {}
    same = {one for one in unlabelled if one in by_content and _same_evidence(by_content[one], stored[one])}
    labelled = {
        one: [
            LabelledTrack.of(track, label)
            for track, label in zip(by_content[one].tracks, by_content[one].labels, strict=True)
            if label.identity is not None  # only known people have rows
        ]
        for one in sorted(new | same)
    }
    return insert_labels(connection, labelling_id, labelled), set(unlabelled) - same


def _same_evidence(annotation: MediaAnnotation, stored: Sequence[Any]) -> bool:
    fresh = [encode_evidence(track.evidence) for track in annotation.tracks]
    return fresh == [encode_evidence(evidence) for evidence in stored]


def _annotation_columns(found: Sequence[tuple[int, MediaAnnotation]]) -> dict[str, list[Any]]:
    clips = [one.clip for _, one in found]
    columns = {name: [getattr(clip, name) for clip in clips] for name in _CLIP_COLUMNS}
    return {
        "content_id": [content_id for content_id, _ in found],
        **columns,
        "frames_sampled": [one.frames_sampled for _, one in found],
        "faces": [one.faces for _, one in found],
        "damage": [None if clip.damage is None else clean_message(clip.damage) for clip in clips],
    }


def _track_columns(fresh: Sequence[tuple[int, FaceTrack]]) -> dict[str, list[Any]]:
    found = [track for _, track in fresh]
    best = [float(one.evidence.face_px[0]) if len(one.evidence) else None for one in found]
    return {
        "content_id": [content_id for content_id, _ in fresh],
        "track_no": [one.track_no for one in found],
        "shot_no": [one.shot_no for one in found],
        "first_ms": [one.start_ms for one in found],
        "last_ms": [one.end_ms for one in found],
        "screen_ms": [one.screen_time_ms for one in found],
        "faces": [len(one.pts_ms) for one in found],
        "face_px": best,
        "quality": [float(one.evidence.quality[0]) if len(one.evidence) else None for one in found],
        "boxes": [encode_boxes(one) for one in found],
        "is_picture": [one.is_picture for one in found],
    }


def _evidence_columns(fresh: Sequence[tuple[int, FaceTrack]]) -> dict[str, list[Any]]:
    encoded = [encode_evidence(track.evidence) for _, track in fresh]
    return {
        "content_id": [content_id for content_id, _ in fresh],
        "track_no": [track.track_no for _, track in fresh],
        **{name: [one[name] for one in encoded] for name in ("embeddings", "face_px", "quality")},
    }
