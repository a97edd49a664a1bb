"""Tokens of the API: what a program sends instead of logging in. Of each only the SHA-256 is kept."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, delete, insert, or_, select, update

from annotator.errors import AccountError
from annotator.store.tables import web_accounts, web_tokens
from annotator.store.web.accounts import Account, Role, account_of, known_account
from annotator.store.web.sessions import digest_of

PREFIX: Final = "ann_"
"""So that who finds one in a log or a file sees what it is."""
_NOTED_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Token:
    """A token that works.

    Attributes:
        token_id: its number.
        account: whose it is.
        role: what it may do: never more than its account may.
        purpose: what its owner calls it.
        created_at: when it was made.
        expires_at: until when it works; None is for ever.
        used_at: when it was last noted as used.

    """

    token_id: int
    account: Account
    role: Role
    purpose: str
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None

    def must_be_noted(self, now: datetime) -> bool:
        """Say whether it is time to note that the token is used."""
        return self.used_at is None or now - self.used_at >= _NOTED_EVERY


def add_token(
    connection: Connection, name: str, *, role: Role, purpose: str, now: datetime, lasts: timedelta | None
) -> str:
    """Make a token for an account, and return it: nobody can look it up later.

    Args:
        connection: in a transaction that writes.
        name: of the account.
        role: what it may do at most.
        purpose: what it is for.
        now: the time.
        lasts: how long it works; None is for ever.

    Raises:
        AccountError: there is no such account, it is disabled, or may do less than that.

    """
    account = known_account(connection, name)
    if account.disabled_at is not None:
        raise AccountError(f"{account.name} is disabled: it can have no token")
    if role > account.role:
        raise AccountError(f"{account.name} is {account.role.word}, so a token of it cannot be {role.word}")
    token = PREFIX + secrets.token_urlsafe(32)
    connection.execute(
        insert(web_tokens).values(
            account_id=account.account_id,
            secret_sha256=digest_of(token),
            role=role.word,
            purpose=purpose,
            created_at=now,
            expires_at=None if lasts is None else now + lasts,
        )
    )
    return token


def find_token(connection: Connection, token: str, *, now: datetime) -> Token | None:
    """Return a token that works; None where it is unknown, has expired, or its account is disabled."""
    statement = _tokens().where(
        web_tokens.c.secret_sha256 == digest_of(token),
        or_(web_tokens.c.expires_at.is_(None), web_tokens.c.expires_at > now),
        web_accounts.c.disabled_at.is_(None),
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else _token(row)


def note_token(connection: Connection, token_id: int, *, now: datetime) -> None:
    """Note that a token is used."""
    connection.execute(update(web_tokens).where(web_tokens.c.id == token_id).values(used_at=now))


def list_tokens(connection: Connection) -> list[Token]:
    """Return all tokens, newest first; those that have expired, too."""
    return [_token(row) for row in connection.execute(_tokens().order_by(web_tokens.c.id.desc()))]


def remove_token(connection: Connection, token_id: int) -> None:
    """Let a token work no more.

    Raises:
        AccountError: there is no such token.

    """
    if not connection.execute(delete(web_tokens).where(web_tokens.c.id == token_id)).rowcount:
        raise AccountError(f"there is no token {token_id}: `annotator web tokens list` shows all")


def _tokens() -> Select[*tuple[Any, ...]]:
    return select(
        web_accounts,
        web_tokens.c.id.label("token_id"),
        web_tokens.c.role.label("token_role"),
        web_tokens.c.purpose,
        web_tokens.c.created_at.label("made_at"),
        web_tokens.c.expires_at,
        web_tokens.c.used_at,
    ).join_from(web_tokens, web_accounts, web_accounts.c.id == web_tokens.c.account_id)


def _token(row: Any) -> Token:  # noqa: ANN401 - a row of _tokens
    account = account_of(row)
    role = min(Role.of(row.token_role), account.role)
    return Token(row.token_id, account, role, row.purpose, row.made_at, row.expires_at, row.used_at)
