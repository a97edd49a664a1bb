"""Attempts to log in, so that nobody can guess passwords: they are counted by account and by address.

An attempt is noted before the password is looked at, and taken back when it was right: of a thousand guesses at once
no more are looked at than of a thousand one after the other.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, text

from annotator.store.tables import web_attempts


@dataclass(frozen=True, slots=True)
class AttemptLimits:
    """How many wrong passwords are taken within a time.

    Attributes:
        of_account: for one account, wherever they come from.
        of_address: from one address, for whatever account.
        within: the time.

    """

    of_account: int = 10
    of_address: int = 50
    within: timedelta = timedelta(minutes=15)


USUAL_LIMITS: Final = AttemptLimits()


def take_attempt(
    connection: Connection, name: str, address: str, *, now: datetime, limits: AttemptLimits = USUAL_LIMITS
) -> timedelta | None:
    """Note that somebody tries a password.

    Args:
        connection: in a transaction that writes.
        name: the account as typed, whether there is one or not.
        address: where from.
        now: the time.
        limits: how many may be wrong.

    Returns:
        None where the password may be looked at, else for how long it may not.

    """
    if connection.dialect.name == "postgresql":  # SQLite has one writer anyhow
        connection.execute(text("LOCK TABLE web_attempts IN SHARE ROW EXCLUSIVE MODE"))
    connection.execute(delete(web_attempts).where(web_attempts.c.at <= now - limits.within))
    for column, value, most in (
        (web_attempts.c.name, name, limits.of_account),
        (web_attempts.c.address, address, limits.of_address),
    ):
        count, first = connection.execute(
            select(func.count(), func.min(web_attempts.c.at)).where(column == value)
        ).one()
        if count >= most:
            return first + limits.within - now  # type: ignore[no-any-return]
    connection.execute(insert(web_attempts).values(name=name, address=address, at=now))
    return None


def forget_attempts(connection: Connection, name: str, address: str) -> None:
    """Take back what somebody tried from an address before the password was right."""
    connection.execute(delete(web_attempts).where(web_attempts.c.name == name, web_attempts.c.address == address))
