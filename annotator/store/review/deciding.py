"""What a reviewer decides of an item, and takes back: the correction and a row that says so, all or nothing."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, Engine, insert, or_, select, true, update

from annotator.errors import ChangedMeanwhileError, CorrectionError
from annotator.store.connection import reading, writing
from annotator.store.corrections.saying import Corrected, Speaker, correct_track, withdraw_word
from annotator.store.registry import active_network, dialect_insert
from annotator.store.review.leasing import LEASE, ItemKey, first_media
from annotator.store.tables import review_decisions, review_items

Verdict = Literal["right", "wrong", "is", "skip"]

_MOST_WORTH_OF_A_VIEW: Final = 0.25  # confidence x (1 - confidence) of a name at 50 %


@dataclass(frozen=True, slots=True)
class Decision:
    """What a reviewer says of an item.

    Attributes:
        verdict: the name that was proposed is right, or wrong; it is somebody else; or the reviewer does not know.
        name: who was proposed, or is it; empty where it is skipped.
        is_new: the person is added where nobody has the name.

    """

    verdict: Verdict
    name: str = ""
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Who decides, and when.

    Attributes:
        name: of the account.
        now: the time.
        note: keeps what else is to be known of it, in the transaction.

    """

    name: str
    now: datetime
    note: Callable[[Connection], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class LastDecision:
    """The newest decision of a reviewer that holds.

    Attributes:
        decision_id: its number.
        key: of which track.
        verdict: what was decided.
        correction_id: what was said by it; None where the track was skipped.

    """

    decision_id: int
    key: ItemKey
    verdict: Verdict
    correction_id: int | None


def decide(engine: Engine, key: ItemKey, decision: Decision, reviewer: Reviewer) -> Corrected | None:
    """Keep a decision, with who and when; labels change at once, for all models.

    Args:
        engine: of the database.
        key: of the item that the reviewer has in hand.
        decision: what is said of it.
        reviewer: who says it.

    Returns:
        What became of the track; None where it was skipped.

    Raises:
        ChangedMeanwhileError: the reviewer has it in hand no more: somebody else has it, or has decided.
        IdentityError: nobody has the name, or several.
        ModelError: the name of somebody new cannot be a name.
        TakenDownError: the person was taken down.
        StoreUnavailableError: the database does not answer.

    """
    if decision.verdict == "skip":
        with writing(engine) as connection:
            _take_out_of_hand(connection, key, reviewer, is_decided=False)
            _keep(connection, key, decision, reviewer, correction_id=None)
        return None

    def note(connection: Connection, done: Corrected) -> None:
        _take_out_of_hand(connection, key, reviewer, is_decided=True)
        _keep(connection, key, decision, reviewer, correction_id=done.correction_id)

    with reading(engine) as connection:
        shown = first_media(connection, key.content_id)
    if shown is None:
        raise CorrectionError("all media that show it are gone")
    return correct_track(
        engine,
        shown[1],
        key.track_no,
        verdict="is not" if decision.verdict == "wrong" else "is",
        name=decision.name,
        is_new=decision.is_new,
        speaker=Speaker(reviewer.name, (key.network_id, key.content_id), note),
    )


def last_decision(connection: Connection, reviewer: str) -> LastDecision | None:
    """Return what a reviewer would take back; None where there is nothing."""
    table = review_decisions.c
    row = connection.execute(
        select(review_decisions)
        .where(table.decided_by == reviewer, table.undone_at.is_(None), table.network_id == active_network(connection))
        .order_by(table.decided_at.desc(), table.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    return LastDecision(row.id, ItemKey(row.network_id, row.content_id, row.track_no), row.verdict, row.correction_id)


def undo(engine: Engine, last: LastDecision, reviewer: Reviewer) -> None:
    """Take a decision back: what was said by it is withdrawn, and the reviewer has the item in hand again.

    One that was skipped, and that somebody else has in hand by now, stays there.

    Raises:
        ChangedMeanwhileError: it was taken back already.
        StoreUnavailableError: the database does not answer.

    """

    def take_back(connection: Connection) -> None:
        holds = (review_decisions.c.id == last.decision_id, review_decisions.c.undone_at.is_(None))
        if connection.execute(update(review_decisions).where(*holds).values(undone_at=reviewer.now)).rowcount != 1:
            raise ChangedMeanwhileError("that was taken back already: look at it again")
        _let_go(connection, reviewer)
        _have_in_hand_again(connection, last, reviewer)
        reviewer.note(connection)

    if last.correction_id is None:
        with writing(engine) as connection:
            take_back(connection)
    else:
        withdraw_word(engine, last.correction_id, by=reviewer.name, note=take_back)


def _have_in_hand_again(connection: Connection, last: LastDecision, reviewer: Reviewer) -> None:
    items = review_items.c
    again = {"decided_at": None, "leased_to": reviewer.name, "leased_until": reviewer.now + LEASE}
    # It was taken from the queue because it was out of date; whether it still is, is looked at when it is given.
    row = dataclasses.asdict(last.key) | {"worth": _MOST_WORTH_OF_A_VIEW} | again
    added = dialect_insert(connection, review_items).values(**row).on_conflict_do_nothing()
    if connection.execute(added).rowcount == 1:
        return
    is_free = or_(items.leased_until.is_(None), items.leased_until <= reviewer.now)  # one that was skipped may not be
    # What was skipped may have been decided by somebody else: that holds.
    is_mine = items.decided_at.is_(None) if last.verdict == "skip" else true()
    connection.execute(update(review_items).where(last.key.of(review_items), is_free, is_mine).values(**again))


def _let_go(connection: Connection, reviewer: Reviewer) -> None:
    mine = (review_items.c.leased_to == reviewer.name, review_items.c.decided_at.is_(None))
    connection.execute(update(review_items).where(*mine).values(leased_to=None, leased_until=None))


def _take_out_of_hand(connection: Connection, key: ItemKey, reviewer: Reviewer, *, is_decided: bool) -> None:
    mine = (review_items.c.leased_to == reviewer.name, review_items.c.decided_at.is_(None))
    values = {"leased_to": None, "leased_until": None, "decided_at": reviewer.now if is_decided else None}
    if connection.execute(update(review_items).where(key.of(review_items), *mine).values(**values)).rowcount != 1:
        raise ChangedMeanwhileError("somebody else has this one in hand by now, or has decided: nothing was changed")


def _keep(
    connection: Connection, key: ItemKey, decision: Decision, reviewer: Reviewer, *, correction_id: int | None
) -> None:
    connection.execute(
        insert(review_decisions).values(
            network_id=key.network_id,
            content_id=key.content_id,
            track_no=key.track_no,
            verdict=decision.verdict,
            decided_by=reviewer.name,
            decided_at=reviewer.now,
            correction_id=correction_id,
        )
    )
    reviewer.note(connection)
