"""Somebody says of a track that it is a person, or is not, or takes that back: the labels change with it.

A word and what it changes are one transaction. While it runs nobody writes labels, which takes as long as those that
are under way: a moment.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import DBAPIError

from annotator.errors import ChangedMeanwhileError, CorrectionError, IdentityError
from annotator.recognition.labels import check_name
from annotator.store.appearances import load_boxes
from annotator.store.codec import StoredBoxes, encode_boxes
from annotator.store.columns import utc_now
from annotator.store.connection import writing
from annotator.store.corrections.applying import reapply_corrections
from annotator.store.corrections.words import CorrectionVerdict, tracks_meant, words_on
from annotator.store.database_errors import MAX_CONFLICTS, is_conflict
from annotator.store.identities import find_identities, load_identities, load_identity, register_identities
from annotator.store.locks import change_corrections
from annotator.store.promotions import who_is_this
from annotator.store.registry import active_labelling, active_network, find_media
from annotator.store.tables import corrections, networks, track_labels
from annotator.store.takedowns.tombstones import insist_on_nobody_taken_down
from annotator.types import Identity, MediaRef, TrackKey

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Corrected:
    """What became of a track.

    Attributes:
        content_id: of the media.
        track_no: as the active network numbers it.
        start_ms: first appearance.
        end_ms: end of the last appearance.
        before: who it was in what is shown; None was unknown.
        now: who it is now.
        words: how many words were said or withdrawn.
        correction_id: of the word that was said; None where words were withdrawn.

    """

    content_id: int
    track_no: int
    start_ms: int
    end_ms: int
    before: Identity | None
    now: Identity | None
    words: int
    correction_id: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Speaker:
    """Who says something of a track.

    Attributes:
        name: as it is kept beside the word.
        seen: ids of the network and the content whose tracks the speaker has looked at: of others nothing is said, for
            their numbers may mean other faces. None means what is shown now.
        note: keeps what else is to be known of it, in its transaction.

    """

    name: str = field(default_factory=who_is_this)
    seen: tuple[int, int] | None = None
    note: Callable[[Connection, Corrected], None] = lambda *_: None


def correct_track(  # noqa: PLR0913 - all but the first by name
    engine: Engine,
    media: MediaRef,
    track_no: int,
    *,
    verdict: CorrectionVerdict,
    name: str,
    is_new: bool = False,
    speaker: Speaker | None = None,
) -> Corrected:
    """Say of a track who it is, or is not: for all models, from now on.

    Args:
        engine: of the database.
        media: which media, by its URI.
        track_no: of the network that is shown.
        verdict: ``"is"`` or ``"is not"``.
        name: whose; an alias means the person behind it.
        is_new: whether the person is added where nobody has the name.
        speaker: who says so; by default the user of this machine.

    Raises:
        ChangedMeanwhileError: the speaker has looked at other tracks than those that are shown now.
        CorrectionError: there is no such media or track.
        IdentityError: nobody has the name, or several.
        ModelError: the name of somebody new cannot be a name.
        TakenDownError: the person was taken down.
        StoreUnavailableError: the database does not answer.

    """
    says = speaker or Speaker()

    def say(connection: Connection) -> Corrected:
        track = _Track.of(connection, media, track_no, seen=says.seen)
        values = {
            "content_id": track.content_id,
            "network_id": track.network_id,
            "track_no": track_no,
            "boxes": encode_boxes(track.boxes),
            "verdict": verdict,
            "identity_id": who_is_called(connection, name, is_new=is_new),
            "said_by": says.name,
        }
        before = track.identity(connection)
        said = insert(corrections).values(said_at=utc_now(), **values).returning(corrections.c.id)
        correction_id = connection.execute(said).scalar_one()
        reapply_corrections(connection, [track.content_id])
        done = track.corrected(before, track.identity(connection), words=1)
        done = replace(done, correction_id=correction_id)
        says.note(connection, done)
        return done

    return alone(engine, say)


def withdraw_corrections(
    engine: Engine, media: MediaRef, track_no: int, *, speaker: Speaker | None = None
) -> Corrected:
    """Take back all that was said of a track: it is again who the model says.

    Args:
        engine: of the database.
        media: which media, by its URI.
        track_no: of the network that is shown.
        speaker: who takes it back; by default the user of this machine.

    Raises:
        ChangedMeanwhileError: the speaker has looked at other tracks than those that are shown now.
        CorrectionError: there is no such media or track, or nothing was said of it.
        StoreUnavailableError: the database does not answer.

    """
    says = speaker or Speaker()

    def withdraw(connection: Connection) -> Corrected:
        track = _Track.of(connection, media, track_no, seen=says.seen)
        said = words_on(connection, [track.content_id]).get(track.content_id, [])
        mine = [one.correction_id for one in said if track_no in tracks_meant(one, track.all_boxes)]
        if not mine:
            raise CorrectionError(f"nothing was said of track {track_no}: `annotator corrections` lists what was")
        before = track.identity(connection)
        connection.execute(
            update(corrections).where(corrections.c.id.in_(mine)).values(withdrawn_at=utc_now(), withdrawn_by=says.name)
        )
        reapply_corrections(connection, [track.content_id])
        done = track.corrected(before, track.identity(connection), words=len(mine))
        says.note(connection, done)
        return done

    return alone(engine, withdraw)


def withdraw_word(engine: Engine, correction_id: int, *, by: str, note: Callable[[Connection], None]) -> None:
    """Take back one word that was said of a track; the others stay. What was taken back already stays so.

    Args:
        engine: of the database.
        correction_id: which word.
        by: who takes it back.
        note: keeps what else is to be known of it, in its transaction.

    Raises:
        StoreUnavailableError: the database does not answer.

    """

    def withdraw(connection: Connection) -> None:
        holds = (corrections.c.id == correction_id, corrections.c.withdrawn_at.is_(None))
        withdrawn = update(corrections).where(*holds).values(withdrawn_at=utc_now(), withdrawn_by=by)
        contents = connection.execute(withdrawn.returning(corrections.c.content_id)).scalars().all()
        reapply_corrections(connection, contents)
        note(connection)

    alone(engine, withdraw)


def say_of_tracks(
    connection: Connection,
    network_id: int,
    keys: Collection[TrackKey],
    *,
    verdict: CorrectionVerdict,
    identity_id: int,
    said_by: str,
) -> None:
    """Say the same of several tracks.

    Args:
        connection: in a transaction that writes and has called ``change_corrections`` first.
        network_id: whose tracks they are.
        keys: of the tracks.
        verdict: ``"is"`` or ``"is not"``.
        identity_id: whom.
        said_by: who says so.

    """
    content_ids = sorted({content_id for content_id, _ in keys})
    boxes = load_boxes(connection, network_id, content_ids)
    same = {"network_id": network_id, "verdict": verdict, "identity_id": identity_id, "said_by": said_by}
    words = [
        same | {"content_id": content_id, "track_no": track_no, "boxes": encode_boxes(boxes[content_id][track_no])}
        for content_id, track_no in sorted(keys)
    ]
    connection.execute(insert(corrections).values(said_at=utc_now()), words)
    reapply_corrections(connection, content_ids)


@dataclass(frozen=True, slots=True, eq=False)
class _Track:
    """A track of what is shown, and the other tracks of its content."""

    content_id: int
    network_id: int
    labelling_id: int
    track_no: int
    all_boxes: dict[int, StoredBoxes]

    @classmethod
    def of(cls, connection: Connection, media: MediaRef, track_no: int, *, seen: tuple[int, int] | None) -> "_Track":
        row = find_media(connection, [media]).get(media.uri)
        network_id, labelling_id = active_network(connection), active_labelling(connection)
        if row is None or row.content_id is None or network_id is None or labelling_id is None:
            raise CorrectionError(f"{media.media_id} is not annotated in this database: annotate it first")
        if seen not in {None, (network_id, row.content_id)}:
            raise ChangedMeanwhileError(
                f"{media.media_id} has other tracks by now than those that were looked at: look at it again"
            )
        boxes = load_boxes(connection, network_id, [row.content_id])[row.content_id]
        if track_no not in boxes:
            there = f"its tracks are {', '.join(map(str, boxes))}" if boxes else "no face was followed in it"
            raise CorrectionError(f"{media.media_id} has no track {track_no}: {there}")
        return cls(row.content_id, network_id, labelling_id, track_no, boxes)

    @property
    def boxes(self) -> StoredBoxes:
        return self.all_boxes[self.track_no]

    def identity(self, connection: Connection) -> Identity | None:
        labels = track_labels.c
        found = connection.execute(
            select(labels.identity_id).where(
                labels.labelling_id == self.labelling_id,
                labels.content_id == self.content_id,
                labels.track_no == self.track_no,
            )
        ).scalar_one_or_none()
        return None if found is None else load_identities(connection)[found]

    def corrected(self, before: Identity | None, now: Identity | None, *, words: int) -> Corrected:
        shares = self.boxes.shares
        return Corrected(self.content_id, self.track_no, shares[0][0], shares[-1][1], before, now, words)


def who_is_called(connection: Connection, name: str, *, is_new: bool) -> int:
    """Return who has a name or alias, or who is new and gets it.

    Raises:
        IdentityError: nobody has the name, or several.
        ModelError: the name of somebody new cannot be a name.
        TakenDownError: the person was taken down.

    """
    try:
        found = find_identities(connection, name)
    except IdentityError as error:
        insist_on_nobody_taken_down(connection, [Identity(" ".join(name.split()))])
        if not is_new:
            hint = f"did you mean {' or '.join(error.suggestions)}? " if error.suggestions else ""
            raise IdentityError(
                f"nobody is called {name!r}: {hint}--new adds the person",
                name=name,
                suggestions=error.suggestions,
            ) from error
        cleaned = " ".join(name.split())
        check_name(cleaned)
        return register_identities(connection, [Identity(cleaned)])[cleaned]
    if len(found) > 1:
        names = " and ".join(load_identity(connection, one).name for one in found)
        raise IdentityError(f"{name!r} may mean {names}: write the name exactly", name=name)
    return found[0]


def alone(engine: Engine, act: Callable[[Connection], _T]) -> _T:
    """Do something in a transaction while nobody writes labels; again where it has lost against another one."""
    for _ in range(MAX_CONFLICTS - 1):
        try:
            return _once(engine, act)
        except DBAPIError as exc:
            if not is_conflict(exc):
                raise
    return _once(engine, act)


def _once(engine: Engine, act: Callable[[Connection], _T]) -> _T:
    with writing(engine) as connection:
        change_corrections(connection, connection.execute(select(networks.c.id)).scalars().all())
        return act(connection)
