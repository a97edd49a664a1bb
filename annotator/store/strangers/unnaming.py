"""Tracks that are split out of a group with a name are not that person: neither as evidence nor as labels."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from annotator.store.appearances import load_boxes
from annotator.store.corrections.saying import say_of_tracks
from annotator.store.enrolled import digest_of_boxes, digest_of_track, remove_enrolled
from annotator.store.identities import load_identity, one_person
from annotator.store.tables import contents, enrolled_faces
from annotator.types import Identity, TrackKey


@dataclass(frozen=True, slots=True)
class Unnamed:
    """What it came to that tracks are not somebody.

    Attributes:
        identity: who it is not.
        identity_id: of that person.
        enrolled: how many of the tracks were evidence of the person, and are no more.
        left: how many photographs and tracks still are.

    """

    identity: Identity
    identity_id: int
    enrolled: int
    left: int


def unname(
    connection: Connection, network_id: int, keys: Collection[TrackKey], *, identity_id: int, said_by: str
) -> Unnamed:
    """Say of tracks that they are not somebody, and let them be no evidence of that person any more.

    Args:
        connection: in a transaction that writes and has called ``change_corrections`` first.
        network_id: whose tracks they are.
        keys: of the tracks.
        identity_id: who it is not.
        said_by: who says so.

    """
    group = one_person(connection, identity_id)
    say_of_tracks(connection, network_id, keys, verdict="is not", identity_id=group[0], said_by=said_by)
    removed = remove_enrolled(connection, group[0], photo_sha256=_digests(connection, network_id, keys))
    mine = enrolled_faces.c.identity_id.in_(group)
    left = connection.execute(select(func.count(enrolled_faces.c.photo_sha256.distinct())).where(mine)).scalar_one()
    return Unnamed(load_identity(connection, group[0]), group[0], removed, int(left))


def _digests(connection: Connection, network_id: int, keys: Collection[TrackKey]) -> list[str]:
    """Return under which digests tracks may be enrolled: by the name of their group, or by a person's word."""
    content_ids = sorted({content_id for content_id, _ in keys})
    boxes = load_boxes(connection, network_id, content_ids)
    rows = connection.execute(select(contents.c.id, contents.c.sha256).where(contents.c.id.in_(content_ids)))
    sha256 = {content_id: bytes(digest) for content_id, digest in rows}
    return [
        digest
        for content_id, track_no in sorted(keys)
        for digest in (
            digest_of_track(sha256[content_id], track_no),
            digest_of_boxes(sha256[content_id], boxes[content_id][track_no]),
        )
    ]
