"""What is to be exported, as users say it and in the numbers of a database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, select, text

from annotator.errors import ConfigError, SourceNotFoundError
from annotator.store.dialect import given_ids, ids_param
from annotator.store.identities import find_identities, load_survivors
from annotator.store.labellings import Labelling, find_labelling, load_active
from annotator.store.registry import find_media
from annotator.store.tables import media
from annotator.types import Identity, MediaRef


@dataclass(frozen=True, slots=True)
class Selection:
    """What is exported.

    Attributes:
        people: only media that show one of these, and nobody else in them; names or aliases. Empty means everybody.
        media: only these: numbers of the views, addresses, or paths on this machine. Empty means all.
        min_confidence: names that are less sure are not told: their tracks are nobody's.
        since: only media that were labelled, or have failed, at this time or later.
        model: whose labels, as of ``annotator.store.labellings.find_labelling``; None means those that are shown.

    """

    people: tuple[str, ...] = ()
    media: tuple[str, ...] = ()
    min_confidence: float = 0.0
    since: datetime | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A selection in the numbers of one database.

    Attributes:
        selection: as it was said.
        labelling: whose labels.
        names: by the number that a label holds: number and person of whoever it means after merges. Who is added while
            an export runs comes in.
        identity_ids: of the people who are wanted; empty means everybody.
        media_ids: of the media that are wanted; empty means all.

    """

    selection: Selection
    labelling: Labelling
    names: dict[int, tuple[int, Identity]]
    identity_ids: tuple[int, ...]
    media_ids: tuple[int, ...]


def resolve(connection: Connection, selection: Selection) -> Wanted:
    """Return what a selection means in a database.

    Raises:
        ConfigError: nothing is annotated yet, or there is no such model.
        IdentityError: nobody has one of the names.
        SourceNotFoundError: one of the media is not in the database.

    """
    labelling = load_active(connection) if selection.model is None else find_labelling(connection, selection.model)
    if labelling is None:
        raise ConfigError("nothing is annotated yet: there is nothing to export")
    names = load_survivors(connection)
    meant = {one for name in selection.people for one in find_identities(connection, name)}
    return Wanted(
        selection,
        labelling,
        names,
        identity_ids=tuple(sorted(one for one, (survivor_id, _) in names.items() if survivor_id in meant)),
        media_ids=_find(connection, selection.media),
    )


def _find(connection: Connection, given: Sequence[str]) -> tuple[int, ...]:
    """Return the numbers of media that are given by number, address or path."""
    numbers = {one: int(one) for one in given if one.isascii() and one.isdecimal()}
    refs = {
        one: MediaRef(one, one if "://" in one else Path(one).resolve().as_uri()) for one in given if one not in numbers
    }
    if numbers:
        is_given = text(f"media.id {given_ids(connection)}").bindparams(ids=ids_param(connection, [*numbers.values()]))
        there = set(connection.execute(select(media.c.id).where(is_given)).scalars())
        numbers = {one: media_id for one, media_id in numbers.items() if media_id in there}
    by_uri = find_media(connection, list(refs.values()))
    found = numbers | {one: by_uri[ref.uri].id for one, ref in refs.items() if ref.uri in by_uri}
    lost = [one for one in given if one not in found]
    if lost:
        raise SourceNotFoundError(
            f"the database has no media {lost[0]}: give its number, as in the views, or its address"
        )
    return tuple(sorted(set(found.values())))
