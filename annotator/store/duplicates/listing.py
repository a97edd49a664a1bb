"""Families as they are told: which media, what was done to them, and who is in them."""

from dataclasses import dataclass

from sqlalchemy import Connection, select, text

from annotator.errors import SourceNotFoundError
from annotator.store.registry import find_media
from annotator.store.tables import content_families
from annotator.types import MediaRef


@dataclass(frozen=True, slots=True)
class Member:
    """A media of a family.

    Attributes:
        media_uri: of the media.
        content_id: its bytes; media of equal bytes have one.
        like_uri: of the media that it was found to be one with; None of the first one.
        likeness: correlation of their pictures; None of the first one.
        changes: what was done, as far as pictures tell: ``"mirrored"``, ``"cropped"``, ``"trimmed"``.

    """

    media_uri: str
    content_id: int
    like_uri: str | None
    likeness: float | None
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody known who is in a family.

    Attributes:
        name: the person's.
        confidence: the best of all members.
        contents: in how many of the family's contents the person was found.

    """

    name: str
    confidence: float
    contents: int


@dataclass(frozen=True, slots=True)
class Family:
    """Media that show one clip.

    Attributes:
        family: names it: the smallest content id.
        contents: how many different bytes it has.
        members: its media, in order of their contents.
        people: who is in it, in any member; surest first.

    """

    family: int
    contents: int
    members: tuple[Member, ...]
    people: tuple[Person, ...]


_LARGEST = text(
    "SELECT family_id FROM content_families GROUP BY family_id ORDER BY count(*) DESC, family_id LIMIT :most"
)
_MEMBERS = text(
    "SELECT media_uri, content_id, like_uri, likeness, changes FROM duplicate_media WHERE family = :family"
    " ORDER BY content_id, media_uri"
)
_PEOPLE = text(
    "SELECT identity, confidence, contents FROM family_labels WHERE family = :family ORDER BY confidence DESC, identity"
)


def list_families(connection: Connection, *, limit: int) -> list[Family]:
    """Return families, those of most contents first."""
    return [load_family(connection, family) for family in connection.execute(_LARGEST, {"most": limit}).scalars().all()]


def family_of(connection: Connection, media: MediaRef) -> Family | None:
    """Return the family of a media; None where it has no other.

    Raises:
        SourceNotFoundError: the database does not know the media, or has not read it.

    """
    row = find_media(connection, [media]).get(media.uri)
    if row is None or row.content_id is None:
        raise SourceNotFoundError(f"{media.media_id} is not in the database: run `annotator annotate {media.media_id}`")
    wanted = select(content_families.c.family_id).where(content_families.c.content_id == row.content_id)
    family = connection.execute(wanted).scalar_one_or_none()
    return None if family is None else load_family(connection, int(family))


def load_family(connection: Connection, family: int) -> Family:
    """Return a family by its number."""
    rows = connection.execute(_MEMBERS, {"family": family}).all()
    members = tuple(
        Member(row.media_uri, row.content_id, row.like_uri, row.likeness, tuple(filter(None, row.changes.split(", "))))
        for row in rows
    )
    people = connection.execute(_PEOPLE, {"family": family}).all()
    return Family(
        family=family,
        contents=len({one.content_id for one in members}),
        members=members,
        people=tuple(Person(row.identity, row.confidence, row.contents) for row in people),
    )
