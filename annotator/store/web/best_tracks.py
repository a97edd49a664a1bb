"""Which track of a media shows a person best: the one whose faces stand for the media in lists."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from annotator.store.registry import active_labelling
from annotator.store.tables import identities, track_labels


def best_tracks(
    connection: Connection, content_ids: Collection[int], person_ids: Collection[int]
) -> dict[tuple[int, int], int]:
    """Return the number of the surest track of people in contents, by content and person, as what is shown has it.

    Args:
        connection: any.
        content_ids: of the media.
        person_ids: as labels hold them, or of those who took over.

    Returns:
        Track numbers by the content's id and each id that means the person; without those who are not in a content.

    """
    labelling_id = active_labelling(connection)
    if labelling_id is None or not content_ids or not person_ids:
        return {}
    labels = track_labels.c
    asked = select(identities.c.survivor_id).where(identities.c.id.in_(sorted(person_ids)))
    rows = connection.execute(
        select(labels.content_id, labels.track_no, identities.c.id, identities.c.survivor_id)
        .join_from(track_labels, identities, identities.c.id == labels.identity_id)
        .where(
            labels.labelling_id == labelling_id,
            labels.content_id.in_(sorted(content_ids)),
            identities.c.survivor_id.in_(asked),
        )
        .order_by(labels.content_id, labels.confidence.desc(), labels.track_no)
    )
    found: dict[tuple[int, int], int] = {}
    for content_id, track_no, person_id, survivor_id in rows:
        track = found.setdefault((content_id, survivor_id), track_no)  # the surest comes first
        found.setdefault((content_id, person_id), track)
    return found
