"""``annotator identities --split``: some tracks of one name are somebody else."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from annotator.cli.correcting import media_of
from annotator.cli.database import open_store
from annotator.cli.output import out
from annotator.errors import CorrectionError
from annotator.settings import load_settings
from annotator.store.corrections.splitting import Split, split_person
from annotator.store.identities import load_identity, the_one_called
from annotator.store.promotions import who_is_this
from annotator.store.registry import find_media
from annotator.store.rollups import catch_up
from annotator.types import TrackKey


def split_people(name: str, into: str, tracks: Sequence[str], *, is_new: bool, settings: Mapping[str, Any]) -> None:
    """Say of some tracks of one name that they are somebody else, and what became of them.

    Args:
        name: whose name they have.
        into: whose they are.
        tracks: ``MEDIA#TRACK``, a media as for ``annotator annotate``.
        is_new: whether somebody is added where nobody has the name.
        settings: values for ``load_settings``.

    Raises:
        ChangedMeanwhileError: a track has not this person's name.
        CorrectionError: none is given, it is no track, or its media is not annotated.
        IdentityError: a name means nobody or several, or both mean one person.
        TakenDownError: whose name it is was taken down.

    """
    with open_store(load_settings(**settings), must_exist=True) as store:
        with store.reading() as connection:
            person_id = the_one_called(connection, name)
            person = load_identity(connection, person_id)
            keys = [_key(connection, given) for given in tracks]
        split = Split(into, is_new=is_new, said_by=who_is_this())
        whose = split_person(store.engine, person_id, keys, split)
        catch_up(store.engine)
    counted = "1 track is" if len(set(keys)) == 1 else f"{len(set(keys)):,} tracks are"
    called = into if whose is None else whose.name
    out().print(f"{counted} {called} now, and not {person.name}; that stays so", markup=False, soft_wrap=True)


def _key(connection: Connection, given: str) -> TrackKey:
    source, _, number = given.rpartition("#")
    if not source or not (number.isascii() and number.isdigit() and len(number) < 5):
        raise CorrectionError(f"{given!r} is no track: write MEDIA#TRACK, as clip.gif#0")
    media = media_of(source)
    row = find_media(connection, [media]).get(media.uri)
    if row is None or row.content_id is None:
        raise CorrectionError(f"{source} is not annotated in this database: annotate it first")
    return row.content_id, int(number)
