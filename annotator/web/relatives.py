"""The other media that show the same clip, as the page of a media names them."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from annotator.store.titles import titles_of
from annotator.store.web.families import FoundElsewhere, MediaFamily, family_of_media, found_elsewhere
from annotator.store.web.media import KnownMediaRow

_NAMED: Final = 4
_PEOPLE: Final = 4


@dataclass(frozen=True, slots=True)
class Relatives:
    """The family of a media.

    Attributes:
        family: it, with the newest of the others.
        titles: what media are called, by number: the others, and those that the people are from.
        same_bytes: numbers of the others that have the annotation of the media.
        people: who is named in others, and not in the media; surest first.

    """

    family: MediaFamily
    titles: dict[int, str]
    same_bytes: frozenset[int]
    people: tuple[FoundElsewhere, ...]


def relatives_of(
    connection: Connection, row: KnownMediaRow, *, limit: int = _NAMED, before_id: int | None = None
) -> Relatives | None:
    """Return the others of a media's family; None where there are none (before ``before_id``)."""
    family = family_of_media(connection, row.media_id, row.content_id, limit=limit, before_id=before_id)
    if family is None or row.content_id is None:
        return None
    people = found_elsewhere(connection, row.content_id, limit=_PEOPLE)
    named = [(one.media_id, one.uri) for one in family.others] + [(one.media_id, one.uri) for one in people]
    return Relatives(
        family=family,
        titles=titles_of(connection, named),
        same_bytes=frozenset(one.media_id for one in family.others if one.content_id == row.content_id),
        people=tuple(people),
    )
