"""Sessions of the web application: who a cookie belongs to, and until when.

The cookie holds a random secret; the table holds its SHA-256, so that nobody who reads the table can log in.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, or_, select, update

from annotator.store.tables import web_accounts, web_sessions
from annotator.store.web.accounts import Account, account_of

# A session is noted as used at most so often: reading a page writes nothing otherwise.
NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a session lasts.

    Attributes:
        longest: from logging in, whatever happens.
        idle: from the last request.

    """

    longest: timedelta
    idle: timedelta


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is open.

    Attributes:
        account: whose; None is whoever sits at the machine, where there are no accounts.
        created_at: when it began.
        seen_at: when it was last noted as used.
        expires_at: when it ends at the latest.

    """

    account: Account | None
    created_at: datetime
    seen_at: datetime
    expires_at: datetime

    def must_be_noted(self, now: datetime) -> bool:
        """Say whether it is time to note that the session is used."""
        return now - self.seen_at >= NOTED_EVERY


def digest_of(secret: str) -> bytes:
    """Return what is kept of a secret: 32 bytes. The secret is random, so no salt is needed."""
    return hashlib.sha256(secret.encode()).digest()


def begin_session(
    connection: Connection, account_id: int | None, *, lifetime: Lifetime, now: datetime, address: str
) -> str:
    """Open a session and return its secret, for the cookie; sessions that are over are removed.

    Args:
        connection: in a transaction that writes.
        account_id: whose; None is whoever sits at the machine.
        lifetime: how long it lasts.
        now: the time.
        address: where it was opened from, for the record.

    """
    over = or_(web_sessions.c.expires_at <= now, web_sessions.c.seen_at <= now - lifetime.idle)
    connection.execute(delete(web_sessions).where(over))
    secret = secrets.token_urlsafe(32)
    connection.execute(
        insert(web_sessions).values(
            secret_sha256=digest_of(secret),
            account_id=account_id,
            created_at=now,
            seen_at=now,
            expires_at=now + lifetime.longest,
            address=address,
        )
    )
    return secret


def find_session(connection: Connection, secret: str, *, lifetime: Lifetime, now: datetime) -> Session | None:
    """Return the open session of a secret; None where it is over, or its account is disabled."""
    row = connection.execute(
        select(
            web_sessions.c.account_id,
            web_sessions.c.created_at.label("began_at"),
            web_sessions.c.seen_at,
            web_sessions.c.expires_at,
            web_accounts,
        )
        .join_from(web_sessions, web_accounts, web_accounts.c.id == web_sessions.c.account_id, isouter=True)
        .where(
            web_sessions.c.secret_sha256 == digest_of(secret),
            web_sessions.c.expires_at > now,
            web_sessions.c.seen_at > now - lifetime.idle,
            web_accounts.c.disabled_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        return None
    account = None if row.account_id is None else account_of(row)
    return Session(account, row.began_at, row.seen_at, row.expires_at)


def note_session(connection: Connection, secret: str, *, now: datetime) -> None:
    """Note that a session is used."""
    connection.execute(
        update(web_sessions).where(web_sessions.c.secret_sha256 == digest_of(secret)).values(seen_at=now)
    )


def end_session(connection: Connection, secret: str) -> None:
    """Close a session; nothing happens where it is closed."""
    connection.execute(delete(web_sessions).where(web_sessions.c.secret_sha256 == digest_of(secret)))
