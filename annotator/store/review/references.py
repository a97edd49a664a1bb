"""Faces that surely are a person, for whoever compares."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from annotator.store.registry import active_labelling
from annotator.store.tables import content_labels_by, media, track_labels
from annotator.store.web.people import ids_of_people


@dataclass(frozen=True, slots=True)
class ReferenceFace:
    """A track of somebody.

    Attributes:
        media_id: which media shows it.
        track_no: which of its tracks.
        confidence: of its name.

    """

    media_id: int
    track_no: int
    confidence: float


def surest_faces(connection: Connection, person_id: int, *, but: int, limit: int) -> list[ReferenceFace]:
    """Return the surest tracks of a person, at most one of a clip, surest first.

    Args:
        connection: any.
        person_id: who.
        but: id of the content that is compared, which is left out.
        limit: at most so many.

    """
    sums, labels = content_labels_by.c, track_labels.c
    labelling_id, ids = active_labelling(connection), ids_of_people(connection, [person_id])
    surest = (
        select(sums.content_id, sums.confidence)
        .where(sums.labelling_id == labelling_id, sums.identity_id.in_(ids), sums.content_id != but)
        .order_by(sums.confidence.desc(), sums.content_id)
        .limit(limit)
        .subquery()
    )
    rows = connection.execute(
        select(media.c.id, labels.track_no, labels.confidence, surest.c.content_id)
        .join_from(
            surest,
            track_labels,
            (labels.labelling_id == labelling_id)
            & (labels.content_id == surest.c.content_id)
            & labels.identity_id.in_(ids),
        )
        .join(media, (media.c.content_id == surest.c.content_id) & media.c.deleted_at.is_(None))
        .order_by(labels.confidence.desc(), surest.c.content_id, media.c.id, labels.track_no)
    )
    of_contents: dict[int, ReferenceFace] = {}
    for media_id, track_no, confidence, content_id in rows:
        of_contents.setdefault(content_id, ReferenceFace(media_id, track_no, confidence))
    return list(of_contents.values())
