"""Photographs of people who were added here: their embeddings, which make a gallery know them."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from sqlalchemy import Connection, delete, select

from annotator.store.codec import StoredBoxes, decode_embedding, encode_boxes, encode_embedding
from annotator.store.columns import utc_now
from annotator.store.identities import load_identities, load_identity, one_person, register_identities
from annotator.store.registry import batched, insert_missing
from annotator.store.tables import enrolled_faces
from annotator.store.takedowns.tombstones import insist_on_nobody_taken_down
from annotator.types import F32, Identity, frozen_array

_ASKED: Final = 500  # photographs in one statement


@dataclass(frozen=True, slots=True, eq=False)
class EnrolledFaces:
    """The enrolled photographs of one person, made by one embedder.

    Attributes:
        identity: who.
        photo_sha256: digests of the photographs' bytes, hexadecimal, sorted.
        embeddings: f32 (n, D), unit norm, in the order of ``photo_sha256``.

    """

    identity: Identity
    photo_sha256: tuple[str, ...]
    embeddings: F32

    def __post_init__(self) -> None:
        """Check and freeze."""
        object.__setattr__(self, "embeddings", frozen_array("embeddings", self.embeddings, np.float32, ("n", "D")))


def add_enrolled(
    connection: Connection, identity: Identity, *, embedder: str, embeddings: F32, photo_sha256: Sequence[str]
) -> Identity:
    """Keep photographs of a person, who is added if nobody has the name; photographs that are there stay.

    Args:
        connection: in a transaction that writes.
        identity: who; an alias means the person behind it.
        embedder: what made the embeddings, e.g. ``"sface-2021dec"``.
        embeddings: f32 (n, D), unit norm.
        photo_sha256: n digests of the photographs' bytes, hexadecimal.

    Returns:
        The person as the store knows them.

    Raises:
        TypeError: the embeddings have another dtype or shape.
        ValueError: not one embedding per photograph.
        TakenDownError: the person was taken down.

    """
    insist_on_nobody_taken_down(connection, [identity])
    embeddings = frozen_array("embeddings", embeddings, np.float32, ("n", "D"))
    if len(embeddings) != len(photo_sha256):
        raise ValueError(f"one embedding per photograph: got {len(embeddings)} and {len(photo_sha256)}")
    identity_id = register_identities(connection, [identity])[identity.name]
    rows = [
        {
            "identity_id": identity_id,
            "embedder": embedder,
            "photo_sha256": bytes.fromhex(digest),
            "embedding": encode_embedding(embedding),
        }
        for digest, embedding in zip(photo_sha256, embeddings, strict=True)
    ]
    if rows:
        connection.execute(insert_missing(connection, enrolled_faces).values(added_at=utc_now()), rows)
    return load_identity(connection, identity_id)


def list_enrolled(connection: Connection, embedder: str) -> list[EnrolledFaces]:
    """Return the enrolled people of an embedder, by name."""
    faces = enrolled_faces.c
    rows = connection.execute(
        select(faces.identity_id, faces.photo_sha256, faces.embedding)
        .where(faces.embedder == embedder)
        .order_by(faces.identity_id, faces.photo_sha256)
    )
    people = load_identities(connection)
    by_person: dict[Identity, dict[str, F32]] = defaultdict(dict)
    for identity_id, digest, embedding in rows:  # of people who were merged both may have had a photograph
        by_person[people[identity_id]].setdefault(bytes(digest).hex(), decode_embedding(bytes(embedding)))
    found = [
        EnrolledFaces(identity, tuple(sorted(faces)), np.stack([faces[digest] for digest in sorted(faces)]))
        for identity, faces in by_person.items()
    ]
    return sorted(found, key=lambda one: one.identity.name)


def remove_enrolled(connection: Connection, identity_id: int, *, photo_sha256: Sequence[str]) -> int:
    """Delete enrolled photographs of a person, and of all who were merged with that one; the name stays.

    Args:
        connection: in a transaction that writes.
        identity_id: whose.
        photo_sha256: which, by the digests of their bytes.

    Returns:
        How many photographs were deleted: one counts once, whatever embedders read it, and where two who were merged
        both had it.

    """
    faces = enrolled_faces.c
    mine = faces.identity_id.in_(one_person(connection, identity_id))
    removed: set[bytes] = set()
    for some in batched([bytes.fromhex(one) for one in photo_sha256], _ASKED):
        these = delete(enrolled_faces).where(mine, faces.photo_sha256.in_(list(some))).returning(faces.photo_sha256)
        removed |= {bytes(one) for one in connection.execute(these).scalars()}
    return len(removed)


def digest_of_track(content_sha256: bytes, track_no: int) -> str:
    """Return the digest that stands for a track of a group of strangers as that of a photograph does, hexadecimal."""
    return hashlib.sha256(content_sha256 + f":track {track_no}".encode()).hexdigest()


def digest_of_boxes(content_sha256: bytes, boxes: StoredBoxes) -> str:
    """Return the digest that stands for a face that somebody has looked at, whichever network finds it, hexadecimal."""
    return hashlib.sha256(content_sha256 + encode_boxes(boxes)).hexdigest()
