"""Some of a person's tracks are somebody else: two people under one name, whom no merge has made one.

Each track gets a word, as if it were said in the page of its media: so it holds whatever labels the archive next.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, select, tuple_

from annotator.errors import ChangedMeanwhileError, CorrectionError, IdentityError
from annotator.store.corrections.saying import alone, say_of_tracks, who_is_called
from annotator.store.identities import load_identity, one_person
from annotator.store.registry import active_labelling, active_network
from annotator.store.tables import track_labels
from annotator.types import Identity, TrackKey

MOST_AT_ONCE: Final = 1_000
"""So many tracks are given to somebody else at once."""


@dataclass(frozen=True, slots=True)
class Split:
    """Who some of a person's tracks are.

    Attributes:
        into: name or alias of whose they are; None where nobody knows, only that they are not the person's.
        is_new: whether somebody is added where nobody has the name.
        said_by: who says so.
        network_id: of the tracks that were looked at: of others nothing is said. None means what is shown now.
        note: keeps what else is to be known of it, in its transaction.

    """

    into: str | None
    is_new: bool
    said_by: str
    network_id: int | None = None
    note: Callable[[Connection, Identity | None], None] = lambda *_: None


def split_person(engine: Engine, person_id: int, keys: Collection[TrackKey], split: Split) -> Identity | None:
    """Say of some of a person's tracks that they are somebody else.

    Args:
        engine: of the database.
        person_id: the person whose name they have.
        keys: of the tracks, in what is shown.
        split: whose they are, and who says so.

    Returns:
        Whose they are now; None where nobody knows.

    Raises:
        ChangedMeanwhileError: one of the tracks has not this person's name any more, or others are shown by now.
        CorrectionError: no track is chosen, or too many.
        IdentityError: nobody has the name, several have it, or it is the person's own.
        ModelError: the name of somebody new cannot be a name.
        TakenDownError: whose name it is was taken down.
        StoreUnavailableError: the database does not answer.

    """
    chosen = sorted(set(keys))
    if not 0 < len(chosen) <= MOST_AT_ONCE:
        raise CorrectionError(f"choose from 1 to {MOST_AT_ONCE:,} tracks, got {len(chosen):,}")

    def say(connection: Connection) -> Identity | None:
        network_id = _insist_on_hers(connection, person_id, chosen, seen=split.network_id)
        group = one_person(connection, person_id)
        whose = None if split.into is None else who_is_called(connection, split.into, is_new=split.is_new)
        if whose in group:
            raise IdentityError(f"{split.into!r} is the person whose tracks these are", name=str(split.into))
        say_of_tracks(
            connection,
            network_id,
            chosen,
            verdict="is not" if whose is None else "is",
            identity_id=group[0] if whose is None else whose,
            said_by=split.said_by,
        )
        identity = None if whose is None else load_identity(connection, whose)
        split.note(connection, identity)
        return identity

    return alone(engine, say)


def _insist_on_hers(connection: Connection, person_id: int, chosen: Sequence[TrackKey], *, seen: int | None) -> int:
    """Return the network whose tracks are shown, if all that are chosen have the person's name in it."""
    network_id, labelling_id = active_network(connection), active_labelling(connection)
    if network_id is None or labelling_id is None or seen not in {None, network_id}:
        raise ChangedMeanwhileError("other tracks are shown by now than those that were looked at: look at them again")
    labels = track_labels.c
    named = select(labels.content_id).where(
        labels.labelling_id == labelling_id,
        labels.identity_id.in_(one_person(connection, person_id)),
        tuple_(labels.content_id, labels.track_no).in_(list(chosen)),
    )
    if len(connection.execute(named).all()) < len(chosen):
        raise ChangedMeanwhileError("some of these tracks are not this person's any more: look at them again")
    return network_id
