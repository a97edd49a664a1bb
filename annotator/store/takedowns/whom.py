"""Who is meant: a person under all names and ids of the database."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, select

from annotator.errors import IdentityError
from annotator.recognition.tombstone import plain_name
from annotator.store.codec import decode_embedding
from annotator.store.identities import find_identities
from annotator.store.tables import enrolled_faces, identities, identity_aliases
from annotator.types import F32, Identity


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody under all names.

    Attributes:
        identity_ids: of the person, and of whoever was merged into her or him; none where the database knows nobody so.
        names: all of them, aliases included, sorted.
        kg_mids: Knowledge Graph ids, sorted.

    """

    identity_ids: tuple[int, ...]
    names: tuple[str, ...]
    kg_mids: tuple[str, ...] = ()

    @property
    def identities(self) -> tuple[Identity, ...]:
        """The person under each name, with each Knowledge Graph id."""
        ids: tuple[str | None, ...] = self.kg_mids or (None,)
        return tuple(Identity(name, kg_mid) for name in self.names for kg_mid in ids)


def find_person(connection: Connection, wanted: str) -> Person:
    """Return who is meant by a name, an alias, an identity id or a Knowledge Graph id (``/m/…``).

    Nobody of the database is a person too: bundles and folders may know the name.

    Raises:
        IdentityError: several people may be meant, nobody has the id, or it is no name.

    """
    found = _ids(connection, wanted)
    if len(found) > 1:
        raise IdentityError(f"{wanted!r} may mean several people: write the name exactly, or give the id", name=wanted)
    if not found:
        if not plain_name(wanted):
            raise IdentityError(f"{wanted!r} is no name: it has no letter and no digit", name=wanted)
        return Person((), (" ".join(wanted.split()),), (wanted,) if wanted.startswith("/") else ())
    return person_of(connection, found[0])


def person_of(connection: Connection, survivor_id: int) -> Person:
    """Return the person whom an identity stands for, whoever was merged into it included."""
    rows = connection.execute(
        select(identities.c.id, identities.c.kg_mid).where(identities.c.survivor_id == survivor_id)
    ).all()
    ids = sorted(row.id for row in rows)
    names = sorted(names_of(connection, ids))
    return Person(tuple(ids), tuple(names), tuple(sorted({row.kg_mid for row in rows if row.kg_mid})))


def names_of(connection: Connection, identity_ids: Collection[int]) -> set[str]:
    """Return all names of some identities, aliases included."""
    names = select(identities.c.name).where(identities.c.id.in_(sorted(identity_ids)))
    aliases = select(identity_aliases.c.name).where(identity_aliases.c.identity_id.in_(sorted(identity_ids)))
    return set(connection.execute(names.union(aliases)).scalars())


def kg_mids_of(connection: Connection, identity_ids: Collection[int]) -> set[str]:
    """Return all Knowledge Graph ids of some identities."""
    ids = select(identities.c.kg_mid).where(identities.c.id.in_(sorted(identity_ids)), identities.c.kg_mid.is_not(None))
    return set(connection.execute(ids).scalars())


def enrolled_of(connection: Connection, person: Person, *, embedder: str) -> F32:
    """Return the embeddings of a person's enrolled photographs, f32 (n, D); (0, 0) where there are none."""
    faces = enrolled_faces.c
    rows = connection.execute(
        select(faces.embedding)
        .where(faces.identity_id.in_(person.identity_ids), faces.embedder == embedder)
        .order_by(faces.photo_sha256)
    ).scalars()
    found = [decode_embedding(bytes(one)) for one in rows]
    return np.stack(found) if found else np.zeros((0, 0), np.float32)


def _ids(connection: Connection, wanted: str) -> list[int]:
    by_id = identities.c.id == int(wanted) if wanted.isdecimal() and len(wanted) < 10 else None
    if wanted.startswith("/"):
        by_id = identities.c.kg_mid == wanted
    if by_id is not None:
        found = {int(one) for one in connection.execute(select(identities.c.survivor_id).where(by_id)).scalars()}
        if not found and wanted.isdecimal():
            raise IdentityError(f"nobody has the id {wanted}: `annotator identities --json` lists names", name=wanted)
        return sorted(found)
    try:
        return find_identities(connection, wanted)
    except IdentityError:
        return []
