"""Delivering the outbox: which call-backs are due, and what became of them.

Whoever takes call-backs holds them for some minutes: nobody else delivers them meanwhile, and if the process dies they
are due again. A receiver that fails waits as a whole: its call-backs are not tried one by one against a dead host.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, case, delete, select, update

from annotator.store.columns import utc_now
from annotator.store.dialect import later_value
from annotator.store.messages import clean_message
from annotator.store.tables import outbox, runs

# How long call-backs are held by whoever has taken them, in seconds; longer than a round of deliveries may take.
_HOLD_S: Final = 300.0
_MAX_MESSAGE: Final = 500  # characters
_MOST_FAILURES: Final = 32_000  # a smallint ends soon after


@dataclass(frozen=True, slots=True)
class CallBack:
    """A call-back that is due.

    Attributes:
        id: its row.
        run_id: its backlog, which names the receiver.
        event: what happened.
        key: the same for each try.
        payload: what is told.
        tries: this one included.

    """

    id: int
    run_id: int
    event: str
    key: str
    payload: Mapping[str, Any]
    tries: int


@dataclass(frozen=True, slots=True)
class Receiver:
    """Whom a backlog tells.

    Attributes:
        run_id: the backlog.
        url: where its call-backs go.
        failures: how often it has failed in a row.

    """

    run_id: int
    url: str
    failures: int


def _is_open() -> ColumnElement[bool]:
    return outbox.c.delivered_at.is_(None) & outbox.c.given_up_at.is_(None)


def _is_due() -> ColumnElement[bool]:
    return _is_open() & (outbox.c.not_before.is_(None) | (outbox.c.not_before <= utc_now()))


def due_receivers(connection: Connection) -> list[Receiver]:
    """Return the receivers that may be tried now and for whom something is due."""
    may_be_tried = runs.c.callback_not_before.is_(None) | (runs.c.callback_not_before <= utc_now())
    something = select(outbox.c.id).where(outbox.c.run_id == runs.c.id, _is_due()).exists()
    wanted = select(runs.c.id, runs.c.callback_url, runs.c.callback_failures).where(
        runs.c.callback_url.is_not(None), may_be_tried, something
    )
    return [Receiver(*row) for row in connection.execute(wanted.order_by(runs.c.id))]


def take_call_backs(connection: Connection, run_id: int, *, limit: int) -> list[CallBack]:
    """Take call-backs that are due, the oldest first: they are ours for a while, and each counts as tried once more.

    Args:
        connection: in a writing transaction.
        run_id: of which backlog.
        limit: most of them.

    """
    due = select(outbox.c.id).where(outbox.c.run_id == run_id, _is_due()).order_by(outbox.c.id).limit(limit)
    ids = connection.execute(due.with_for_update(skip_locked=True)).scalars().all()
    if not ids:
        return []
    table = outbox.c
    taken = (
        update(outbox)
        .where(table.id.in_(ids))
        .values(attempts=table.attempts + 1, not_before=later_value(connection, _HOLD_S))
        .returning(table.id, table.run_id, table.event, table.idempotency_key, table.payload, table.attempts)
    )
    return sorted((CallBack(*row) for row in connection.execute(taken)), key=lambda one: one.id)


def mark_delivered(connection: Connection, ids: Collection[int]) -> None:
    """Note that call-backs have arrived."""
    if ids:
        values = {"not_before": None, "message": None}
        connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(delivered_at=utc_now(), **values))


def give_back(connection: Connection, ids: Collection[int]) -> None:
    """Return call-backs that were taken and not tried."""
    if ids:
        values = {"attempts": outbox.c.attempts - 1, "not_before": None}
        connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(values))


def postpone(connection: Connection, callback_id: int, *, delay_s: float, message: str) -> None:
    """Let a call-back that was not accepted wait."""
    values = {"not_before": later_value(connection, delay_s), "message": clean_message(message)[:_MAX_MESSAGE]}
    connection.execute(update(outbox).where(outbox.c.id == callback_id).values(values))


def give_up(connection: Connection, callback_id: int, *, message: str) -> None:
    """Try a call-back no more."""
    values = {"not_before": None, "message": clean_message(message)[:_MAX_MESSAGE]}
    connection.execute(update(outbox).where(outbox.c.id == callback_id).values(given_up_at=utc_now(), **values))


def receiver_answers(connection: Connection, run_id: int) -> None:
    """Note that a receiver works."""
    failed = update(runs).where(runs.c.id == run_id, runs.c.callback_failures > 0)
    connection.execute(failed.values(callback_failures=0, callback_not_before=None))


def receiver_fails(connection: Connection, run_id: int, *, delay_s: float, give_up_s: float, message: str) -> int:
    """Let a receiver that fails wait, and give up what it has not taken for too long.

    Args:
        connection: in a writing transaction.
        run_id: whose receiver.
        delay_s: how long it is left alone.
        give_up_s: age from which its call-backs are tried no more.
        message: how it fails.

    Returns:
        How many call-backs are given up.

    """
    values = {
        # One more, as far as the column goes: a receiver may be away for months.
        "callback_failures": case(
            (runs.c.callback_failures < _MOST_FAILURES, runs.c.callback_failures + 1), else_=_MOST_FAILURES
        ),
        "callback_not_before": later_value(connection, delay_s),
    }
    connection.execute(update(runs).where(runs.c.id == run_id).values(values))
    is_old = outbox.c.created_at < later_value(connection, -give_up_s)
    old = update(outbox).where(outbox.c.run_id == run_id, _is_due(), is_old)
    given_up = {"not_before": None, "message": clean_message(message)[:_MAX_MESSAGE]}
    return connection.execute(old.values(given_up_at=utc_now(), **given_up)).rowcount


def bring_back(connection: Connection) -> int:
    """Let call-backs that were given up be tried again, as if they were new.

    Returns:
        How many these are.

    """
    given_up = update(outbox).where(outbox.c.given_up_at.is_not(None), outbox.c.delivered_at.is_(None))
    values = {"given_up_at": None, "attempts": 0, "not_before": None}
    count = connection.execute(given_up.values(created_at=utc_now(), **values)).rowcount
    waiting = update(runs).where(runs.c.callback_failures > 0)
    connection.execute(waiting.values(callback_failures=0, callback_not_before=None))
    return count


def forget_call_backs(connection: Connection, *, delivered_s: float, given_up_s: float, limit: int) -> int:
    """Delete call-backs that were delivered or given up long ago.

    Args:
        connection: in a writing transaction.
        delivered_s: age from which what was delivered is deleted.
        given_up_s: age from which what was given up is deleted.
        limit: most of each.

    Returns:
        How many were deleted; call again when they were as many as the limit says.

    """
    count = 0
    for column, after_s in ((outbox.c.delivered_at, delivered_s), (outbox.c.given_up_at, given_up_s)):
        old = select(outbox.c.id).where(column < later_value(connection, -after_s)).order_by(column).limit(limit)
        count += connection.execute(delete(outbox).where(outbox.c.id.in_(old))).rowcount
    return count
