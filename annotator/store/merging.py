"""Two identities that are one person: labels point to the survivor, and where both were in one content they fold."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, select, update

from annotator.store.appearances import load_boxes, summed_up
from annotator.store.columns import utc_now
from annotator.store.corrections.applying import contents_about, reapply_corrections
from annotator.store.identities import load_identity, point_to_survivor, two_people
from annotator.store.labels import network_of
from annotator.store.locks import change_corrections
from annotator.store.tables import content_labels_by, identities, labellings, networks, track_labels
from annotator.types import Identity


def merge(connection: Connection, name: str, into: str) -> Identity:
    """Let one person stand for another: the other's name, aliases, photographs and labels are the person's own now.

    No label is rewritten, except in contents that showed both: there the two labels become one; and where somebody has
    said that a track is one of them, or is not: that holds of both now.

    Args:
        connection: in a transaction that writes.
        name: who is given up.
        into: who remains.

    Returns:
        Who remains.

    Raises:
        IdentityError: one of the names means nobody or several, or both mean one person.

    """
    change_corrections(connection, connection.execute(select(networks.c.id)).scalars().all())
    loser_id, survivor_id = two_people(connection, name, into)
    point_to_survivor(connection, loser_id, survivor_id)
    group = connection.execute(select(identities.c.id).where(identities.c.survivor_id == survivor_id)).scalars().all()
    for labelling_id in connection.execute(select(labellings.c.id).order_by(labellings.c.id)).scalars().all():
        _fold(connection, labelling_id, list(group), survivor_id)
    reapply_corrections(connection, contents_about(connection, group))
    return load_identity(connection, survivor_id)


def _fold(connection: Connection, labelling_id: int, group: Sequence[int], survivor_id: int) -> None:
    labels = content_labels_by.c
    both = (
        connection.execute(
            select(labels.content_id)
            .where(labels.labelling_id == labelling_id, labels.identity_id.in_(group))
            .group_by(labels.content_id)
            .having(func.count() > 1)
        )
        .scalars()
        .all()
    )
    if not both:
        return
    boxes = load_boxes(connection, network_of(connection, labelling_id), both)
    wanted = (
        track_labels.c.labelling_id == labelling_id,
        track_labels.c.content_id.in_(both),
        track_labels.c.identity_id.in_(group),
    )
    appearances = defaultdict(list)
    columns = select(track_labels.c.content_id, track_labels.c.track_no, track_labels.c.confidence)
    for content_id, track_no, confidence in connection.execute(columns.where(*wanted)):
        appearances[content_id].append((boxes[content_id][track_no].shares, confidence))
    connection.execute(update(track_labels).where(*wanted).values(identity_id=survivor_id))
    connection.execute(
        delete(content_labels_by).where(
            labels.labelling_id == labelling_id, labels.content_id.in_(both), labels.identity_id.in_(group)
        )
    )
    connection.execute(
        content_labels_by.insert().values(labelled_at=utc_now()),
        [
            {"labelling_id": labelling_id, "content_id": content_id, "identity_id": survivor_id} | summed_up(shown)
            for content_id, shown in sorted(appearances.items())
        ],
    )
