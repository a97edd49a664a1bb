"""Stored media, told as fresh ones are, without decoding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, exists, select

from annotator.results import MediaResult, TrackBox, TrackResult
from annotator.store.appearances import load_boxes
from annotator.store.codec import StoredBoxes
from annotator.store.corrections.words import rule, words_on
from annotator.store.identities import load_identities
from annotator.store.labels import Identify, load_evidence, network_of
from annotator.store.registry import find_media
from annotator.store.tables import (
    WorkState,
    annotations,
    content_labels_by,
    contents,
    labelled_contents,
    labellings,
    stale_contents,
    track_labels,
    tracks,
    work,
)
from annotator.types import Candidate, ContentLabel, Identity, MediaRef, TrackLabel


@dataclass(frozen=True, slots=True)
class KnownContent:
    """What the store knows of a media or of its bytes.

    Attributes:
        content_id: the content's id.
        sha256: digest of the bytes, hexadecimal.
        is_annotated: the network has annotated it.

    """

    content_id: int
    sha256: str
    is_annotated: bool


@dataclass(frozen=True, slots=True, eq=False)
class StoredTrack:
    """A track as it is stored.

    Attributes:
        track_no: 0-based within the media.
        shot_no: 0-based number of the shot it is in.
        boxes: where and when it was seen.
        label: who it is. Without an ``identify``, an unknown track has no candidates, and «too poor» reads «unknown».
        is_picture: whether it shows a picture of somebody that is in the clip; None where it was not measured.

    """

    track_no: int
    shot_no: int
    boxes: StoredBoxes
    label: TrackLabel
    is_picture: bool | None

    def told(self) -> TrackResult:
        """Tell it as a fresh track is told."""
        shares = self.boxes.shares
        corners = np.rint(self.boxes.boxes_xyxy).astype(int).tolist()
        return TrackResult(
            track_no=self.track_no,
            start_ms=shares[0][0],
            end_ms=shares[-1][1],
            screen_time_ms=int(self.boxes.shown_ms.sum()),
            label=self.label,
            boxes=tuple(
                TrackBox(pts_ms, (x1, y1, x2, y2))
                for pts_ms, (x1, y1, x2, y2) in zip(self.boxes.pts_ms.tolist(), corners, strict=True)
            ),
            is_picture=self.is_picture,
        )


@dataclass(frozen=True, slots=True, eq=False)
class StoredAnnotation:
    """A media's rows.

    Attributes:
        result: as it is told; the same as when it was fresh.
        tracks: in order; empty for a failed media.

    """

    result: MediaResult
    tracks: tuple[StoredTrack, ...]


def known_contents(connection: Connection, network_id: int, digests: Sequence[str]) -> dict[str, KnownContent]:
    """Return what is known of contents, by the sha256 of their bytes (hexadecimal); unknown ones are left out."""
    rows = connection.execute(
        select(contents.c.id, contents.c.sha256, annotations.c.content_id)
        .outerjoin_from(
            contents,
            annotations,
            (annotations.c.network_id == network_id) & (annotations.c.content_id == contents.c.id),
        )
        .where(contents.c.sha256.in_([bytes.fromhex(digest) for digest in digests]))
    )
    return {
        bytes(digest).hex(): KnownContent(content_id, bytes(digest).hex(), done is not None)
        for content_id, digest, done in rows
    }


def is_annotated(connection: Connection, network_id: int, sha256: str) -> bool:
    """Say whether a network has annotated the content of this digest (hexadecimal), and nobody wants it done again."""
    stale = stale_contents.c
    is_stale = exists().where(stale.network_id == network_id, stale.content_id == contents.c.id)
    found = connection.execute(
        select(annotations.c.content_id)
        .join_from(contents, annotations, annotations.c.content_id == contents.c.id)
        .where(contents.c.sha256 == bytes.fromhex(sha256), annotations.c.network_id == network_id, ~is_stale)
    )
    return found.first() is not None


def known_media(connection: Connection, network_id: int, refs: Sequence[MediaRef]) -> dict[str, KnownContent]:
    """Return what is known of media, by URI, going by their etag alone.

    A media is left out where it must be read to be sure: never seen, never read, changed, or of a source without etags.
    """
    rows = find_media(connection, refs)
    sure = {
        ref.uri: rows[ref.uri].content_id
        for ref in refs
        if ref.uri in rows
        and ref.etag is not None
        and ref.etag == rows[ref.uri].etag
        and rows[ref.uri].content_id is not None
    }
    digests = connection.execute(
        select(contents.c.id, contents.c.sha256).where(contents.c.id.in_(sorted(set(sure.values()))))
    )
    by_id = {content_id: bytes(digest).hex() for content_id, digest in digests}
    known = known_contents(connection, network_id, list(by_id.values()))
    return {uri: known[by_id[content_id]] for uri, content_id in sure.items()}


def load_annotations(
    connection: Connection, labelling_id: int, refs: Sequence[MediaRef], *, identify: Identify | None = None
) -> dict[str, StoredAnnotation]:
    """Return the rows of media, by URI, as they are told; media that were never annotated nor failed are left out.

    Args:
        connection: any.
        labelling_id: whose labels.
        refs: which media; ``media_id`` is told as given here.
        identify: tells the candidates of unknown tracks, which are not stored. Names come from the rows.

    """
    network_id = network_of(connection, labelling_id)
    rows = find_media(connection, refs)
    model = connection.execute(select(labellings.c.model).where(labellings.c.id == labelling_id)).scalar_one()
    by_content = _load_contents(
        connection,
        network_id,
        labelling_id,
        content_ids=sorted({row.content_id for row in rows.values() if row.content_id is not None}),
        identify=identify,
    )
    failures = _load_failures(connection, network_id, [row.id for row in rows.values()])
    told = {}
    for ref in refs:
        row = rows.get(ref.uri)
        if row is None:
            continue
        if row.id in failures:
            reason, message = failures[row.id]
            told[ref.uri] = StoredAnnotation(_failed(ref, model, reason, message), ())
        elif row.content_id in by_content:
            clip, labels, its_tracks = by_content[row.content_id]
            told[ref.uri] = StoredAnnotation(
                _annotated(ref, model, clip, labels=labels, its_tracks=its_tracks), its_tracks
            )
    return told


def _load_contents(
    connection: Connection,
    network_id: int,
    labelling_id: int,
    *,
    content_ids: Sequence[int],
    identify: Identify | None,
) -> dict[int, tuple[Row[*tuple[Any, ...]], tuple[ContentLabel, ...], tuple[StoredTrack, ...]]]:
    """Return row, labels and tracks of those contents that are annotated and labelled."""
    clips = connection.execute(
        select(annotations)
        .join_from(
            annotations,
            labelled_contents,
            (labelled_contents.c.labelling_id == labelling_id)
            & (labelled_contents.c.content_id == annotations.c.content_id),
        )
        .where(annotations.c.network_id == network_id, annotations.c.content_id.in_(content_ids))
    ).all()
    ids = [clip.content_id for clip in clips]
    people = load_identities(connection)
    labels = _load_content_labels(connection, labelling_id, ids, people)
    stored = _load_tracks(connection, network_id, labelling_id, ids, people=people, identify=identify)
    return {clip.content_id: (clip, labels[clip.content_id], stored[clip.content_id]) for clip in clips}


def _load_content_labels(
    connection: Connection, labelling_id: int, content_ids: Sequence[int], people: Mapping[int, Identity]
) -> dict[int, tuple[ContentLabel, ...]]:
    found: dict[int, list[ContentLabel]] = {content_id: [] for content_id in content_ids}
    rows = connection.execute(
        select(content_labels_by).where(
            content_labels_by.c.labelling_id == labelling_id, content_labels_by.c.content_id.in_(content_ids)
        )
    )
    for row in rows:
        found[row.content_id].append(
            ContentLabel(people[row.identity_id], row.confidence, row.first_ms, row.last_ms, row.screen_ms)
        )
    return {
        content_id: tuple(sorted(labels, key=lambda one: (-one.confidence, one.start_ms, one.identity.name)))
        for content_id, labels in found.items()
    }


def _load_tracks(
    connection: Connection,
    network_id: int,
    labelling_id: int,
    content_ids: Sequence[int],
    *,
    people: Mapping[int, Identity],
    identify: Identify | None,
) -> dict[int, tuple[StoredTrack, ...]]:
    boxes = load_boxes(connection, network_id, content_ids)
    keys = [(content_id, track_no) for content_id in content_ids for track_no in boxes[content_id]]
    labels = _load_track_labels(connection, labelling_id, content_ids, people)
    if identify is not None:
        evidence = load_evidence(connection, network_id, content_ids)
        proofs = dict(zip(keys, (one for content_id in content_ids for one in evidence[content_id]), strict=True))
        unknown = [key for key in keys if key not in labels]
        guessed = zip(unknown, identify([proofs[key] for key in unknown]), strict=True)
        # A track without a row is unknown, whatever a changed identifier would say of it now.
        ruled_out = _ruled_out(connection, boxes, people)
        labels |= {
            key: TrackLabel(
                "unknown" if label.verdict == "known" else label.verdict,
                tuple(one for one in label.candidates if one.identity not in ruled_out.get(key, ())),
            )
            for key, label in guessed
        }
    rows = connection.execute(
        select(tracks.c.content_id, tracks.c.track_no, tracks.c.shot_no, tracks.c.is_picture).where(
            tracks.c.network_id == network_id, tracks.c.content_id.in_(content_ids)
        )
    )
    row_by_key = {(row.content_id, row.track_no): row for row in rows}
    found: dict[int, list[StoredTrack]] = {content_id: [] for content_id in content_ids}
    for key in keys:
        label = labels.get(key, TrackLabel("unknown", ()))
        row = row_by_key[key]
        found[key[0]].append(StoredTrack(key[1], row.shot_no, boxes[key[0]][key[1]], label, row.is_picture))
    return {content_id: tuple(its_own) for content_id, its_own in found.items()}


def _ruled_out(
    connection: Connection, boxes: Mapping[int, Mapping[int, StoredBoxes]], people: Mapping[int, Identity]
) -> dict[tuple[int, int], set[Identity]]:
    """Return whom people have said that tracks are not, by content and track."""
    return {
        (content_id, track_no): {people[one] for one in ruling.are_not}
        for content_id, words in words_on(connection, boxes.keys()).items()
        for track_no, ruling in rule(words, boxes[content_id]).items()
    }


def _load_track_labels(
    connection: Connection, labelling_id: int, content_ids: Sequence[int], people: Mapping[int, Identity]
) -> dict[tuple[int, int], TrackLabel]:
    found = {}
    rows = connection.execute(
        select(track_labels).where(
            track_labels.c.labelling_id == labelling_id, track_labels.c.content_id.in_(content_ids)
        )
    )
    for row in rows:
        candidates = tuple(Candidate(people[one], score, confidence) for one, score, confidence in considered(row))
        found[row.content_id, row.track_no] = TrackLabel("known", candidates)
    return found


def considered(label: Any) -> list[tuple[int, float, float]]:  # noqa: ANN401  (a row)
    """Return who was considered for a track that has a name, best first: identity, score, confidence.

    Args:
        label: a row of ``track_labels``.

    """
    told = [(label.identity_id, label.score, label.confidence)]
    if label.runner_up_id is not None:
        told.append((label.runner_up_id, label.runner_up_score, label.runner_up_confidence))
    return told + [(one, score, confidence) for one, score, confidence in label.candidates or ()]


def _load_failures(connection: Connection, network_id: int, media_ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    rows = connection.execute(
        select(work.c.media_id, work.c.reason, work.c.message).where(
            work.c.network_id == network_id, work.c.media_id.in_(media_ids), work.c.state >= int(WorkState.FAILED)
        )
    )
    return {media_id: (reason or "", message or "") for media_id, reason, message in rows}


def _failed(ref: MediaRef, model: str, reason: str, message: str) -> MediaResult:
    return MediaResult(
        media=ref.media_id,
        status="failed",
        reason=reason,
        message=message,
        model=model,
        duration_ms=None,
        frames_sampled=0,
        faces=0,
        labels=(),
        tracks=(),
    )


def _annotated(
    ref: MediaRef,
    model: str,
    clip: Row[*tuple[Any, ...]],
    *,
    labels: tuple[ContentLabel, ...],
    its_tracks: Sequence[StoredTrack],
) -> MediaResult:
    return MediaResult(
        media=ref.media_id,
        status="damaged" if clip.damage else "annotated",
        reason=clip.damage,
        message=None,
        model=model,
        duration_ms=clip.duration_ms,
        frames_sampled=clip.frames_sampled,
        faces=clip.faces,
        labels=labels,
        tracks=tuple(track.told() for track in its_tracks),
    )
