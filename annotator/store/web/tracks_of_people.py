"""The tracks that have a person's name, surest media first, page by page; and which of them look like somebody else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, or_, select

from annotator.recognition.calibration import F64
from annotator.recognition.evidence import unit
from annotator.store.labels import load_evidence
from annotator.store.registry import active_labelling, active_network, batched
from annotator.store.tables import content_labels_by, media, track_labels, tracks

MOST_COMPARED: Final = 1_000
"""So many tracks are compared by their look: the surest ones."""

_AT_ONCE: Final = 500  # contents whose evidence is in memory
_ROUNDS: Final = 20  # of two means: they settle in a few


@dataclass(frozen=True, slots=True)
class TrackOfPerson:
    """A track that has a person's name, in the first of the media that hold its clip.

    Attributes:
        content_id: the clip's bytes.
        track_no: which of its tracks.
        media_id: the media.
        confidence: of the name.
        first_ms: when it is seen first.
        face_px: size of its best face.

    """

    content_id: int
    track_no: int
    media_id: int
    confidence: float
    first_ms: int
    face_px: float | None


@dataclass(frozen=True, slots=True)
class PageOfTracks:
    """Some tracks of a person.

    Attributes:
        tracks: those of the surest media first.
        next: confidence and content where the next page goes on; None behind the last one.

    """

    tracks: tuple[TrackOfPerson, ...]
    next: tuple[float, int] | None


def tracks_of_person(
    connection: Connection, person_ids: Sequence[int], *, contents: int, after: tuple[float, int] | None = None
) -> PageOfTracks:
    """Return tracks that have a person's name in what is shown, of contents that are in media.

    Args:
        connection: any.
        person_ids: all ids that mean the person.
        contents: of so many contents at most.
        after: where the page before ended.

    """
    labelling_id, network_id = active_labelling(connection), active_network(connection)
    if labelling_id is None or network_id is None:
        return PageOfTracks((), None)
    sums = content_labels_by.c
    surest = select(sums.content_id, sums.confidence).where(
        sums.labelling_id == labelling_id, sums.identity_id.in_(person_ids)
    )
    if after is not None:
        further = (sums.confidence == after[0]) & (sums.content_id > after[1])
        surest = surest.where(sums.confidence <= after[0], or_(sums.confidence < after[0], further))
    surest = surest.order_by(sums.confidence.desc(), sums.content_id)
    found = connection.execute(surest.limit(contents + 1)).all()
    shown = [row.content_id for row in found[:contents]]
    last = found[contents - 1] if len(found) > contents else None
    of_content: dict[int, list[TrackOfPerson]] = {content_id: [] for content_id in shown}
    for row in connection.execute(_tracks(labelling_id, network_id, shown, person_ids)):
        of_content[row.content_id].append(TrackOfPerson(*row))
    told = tuple(one for content_id in shown for one in of_content[content_id])
    return PageOfTracks(told, None if last is None else (last.confidence, last.content_id))


def _tracks(labelling_id: int, network_id: int, content_ids: Sequence[int], person_ids: Sequence[int]) -> Any:  # noqa: ANN401 - a query
    labels = track_labels.c
    first = (
        select(media.c.content_id, func.min(media.c.id).label("media_id"))
        .where(media.c.content_id.in_(content_ids), media.c.deleted_at.is_(None))
        .group_by(media.c.content_id)
        .subquery()
    )
    same = (
        (tracks.c.network_id == network_id)
        & (tracks.c.content_id == labels.content_id)
        & (tracks.c.track_no == labels.track_no)
    )
    return (
        select(
            labels.content_id,
            labels.track_no,
            first.c.media_id,
            labels.confidence,
            tracks.c.first_ms,
            tracks.c.face_px,
        )
        .join_from(track_labels, tracks, same)
        .join(first, first.c.content_id == labels.content_id)
        .where(
            labels.labelling_id == labelling_id,
            labels.content_id.in_(content_ids),
            labels.identity_id.in_(person_ids),
        )
        .order_by(labels.content_id, labels.track_no)
    )


def by_look(connection: Connection, shown: Sequence[TrackOfPerson]) -> tuple[list[TrackOfPerson], list[TrackOfPerson]]:
    """Part tracks by how alike their faces are: those of the look that most have, and the others; most typical first.

    Whether these are two people nobody has said: of one person they are two looks. Tracks without a face are left out.
    """
    network_id = active_network(connection)
    means: dict[tuple[int, int], F64] = {}
    for some in batched(sorted({one.content_id for one in shown}), _AT_ONCE):
        for content_id, evidence in load_evidence(connection, network_id or 0, some).items():
            for track_no, track in enumerate(evidence):
                if len(track):
                    means[content_id, track_no] = unit(track.embeddings.astype(np.float64).mean(axis=0))
    seen = [one for one in shown if (one.content_id, one.track_no) in means]
    if len(seen) < 2:
        return seen, []
    vectors = np.stack([means[one.content_id, one.track_no] for one in seen])
    is_second, likeness = _two_looks(vectors)
    order = np.argsort(-likeness, kind="stable").tolist()
    first = [seen[place] for place in order if not is_second[place]]
    second = [seen[place] for place in order if is_second[place]]
    return (first, second) if len(first) >= len(second) else (second, first)


def _two_looks(vectors: F64) -> tuple[NDArray[np.bool_], F64]:
    """Part unit vectors (N, D) by two means, begun at both ends of their longest axis.

    Returns:
        bool (N,) for those of the second one, and f64 (N,) how near each is to the mean of its own.

    """
    about_mean = vectors - vectors.mean(axis=0)
    axis = np.linalg.svd(about_mean, full_matrices=False)[2][0]
    is_second = about_mean @ axis * np.sign(axis[np.abs(axis).argmax()]) > 0
    cosines = np.zeros((len(vectors), 2))
    for _ in range(_ROUNDS):
        if is_second.all() or not is_second.any():
            break
        centres = unit(np.stack([vectors[~is_second].sum(axis=0), vectors[is_second].sum(axis=0)]))
        cosines = vectors @ centres.T
        now = cosines[:, 1] > cosines[:, 0]
        if (now == is_second).all():
            break
        is_second = now
    return is_second, cosines.max(axis=1)
