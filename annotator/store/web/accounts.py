"""Local accounts of the web application. Passwords are hashed by whoever calls; here nobody reads them."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from annotator.errors import AccountError
from annotator.store.columns import utc_now
from annotator.store.tables import web_accounts, web_sessions, web_tokens

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")


class Role(IntEnum):
    """What somebody may do; each role may do what those below it may."""

    READER = 1
    REVIEWER = 2
    OPERATOR = 3
    ADMIN = 4

    @property
    def word(self) -> str:
        """The role as people write it.

        >>> Role.ADMIN.word
        'admin'
        """
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> "Role":
        """Return the role of a word.

        Raises:
            AccountError: there is no such role.

        """
        if word.upper() not in cls.__members__:
            raise AccountError(f"{word} is no role: give one of {', '.join(role.word for role in cls)}")
        return cls[word.upper()]


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may log in.

    Attributes:
        account_id: its number.
        name: in small letters.
        role: what the account may do.
        password_hash: as the caller made it.
        created_at: when it was made.
        disabled_at: since when it may not log in; None while it may.

    """

    account_id: int
    name: str
    role: Role
    password_hash: str
    created_at: datetime
    disabled_at: datetime | None


def account_name(given: str) -> str:
    """Return the name of an account as it is kept.

    Raises:
        AccountError: it is none.

    >>> account_name(" Eve@Example.org ")
    'eve@example.org'
    """
    name = given.strip().lower()
    if not _NAME.fullmatch(name):
        raise AccountError(
            f"{given!r} cannot be the name of an account: take up to 64 letters of a-z, digits and . _ @ + -,"
            " and begin with a letter or digit"
        )
    return name


def add_account(connection: Connection, name: str, *, password_hash: str, role: Role) -> Account:
    """Add an account. What was open to whoever sits at this machine without one is open no longer.

    Raises:
        AccountError: the name is taken, or cannot be one.

    """
    name = account_name(name)
    if find_account(connection, name) is not None:
        raise AccountError(f"there is an account {name} already: choose another name, or change its role")
    connection.execute(
        insert(web_accounts).values(name=name, password_hash=password_hash, role=role.word, created_at=utc_now())
    )
    connection.execute(delete(web_sessions).where(web_sessions.c.account_id.is_(None)))
    return known_account(connection, name)


def find_account(connection: Connection, name: str) -> Account | None:
    """Return an account by its name, also a disabled one; None where there is none."""
    row = connection.execute(select(web_accounts).where(web_accounts.c.name == name)).one_or_none()
    return None if row is None else account_of(row)


def known_account(connection: Connection, name: str) -> Account:
    """Return an account by its name, also a disabled one.

    Raises:
        AccountError: there is none.

    """
    account = find_account(connection, account_name(name))
    if account is None:
        raise AccountError(f"there is no account {name}: `annotator web users list` shows all")
    return account


def list_accounts(connection: Connection) -> list[Account]:
    """Return all accounts by name, disabled ones too."""
    return [account_of(row) for row in connection.execute(select(web_accounts).order_by(web_accounts.c.name))]


def has_accounts(connection: Connection) -> bool:
    """Say whether anybody may log in."""
    enabled = select(web_accounts.c.id).where(web_accounts.c.disabled_at.is_(None)).limit(1)
    return connection.execute(enabled).first() is not None


def change_role(connection: Connection, name: str, role: Role) -> Account:
    """Let an account do more or less from its next request on.

    Raises:
        AccountError: there is no such account.

    """
    account = known_account(connection, name)
    connection.execute(update(web_accounts).where(web_accounts.c.id == account.account_id).values(role=role.word))
    return known_account(connection, name)


def change_password(connection: Connection, name: str, password_hash: str) -> Account:
    """Give an account another password; whoever is logged in with the old one is logged out.

    Raises:
        AccountError: there is no such account.

    """
    account = known_account(connection, name)
    connection.execute(
        update(web_accounts).where(web_accounts.c.id == account.account_id).values(password_hash=password_hash)
    )
    connection.execute(delete(web_sessions).where(web_sessions.c.account_id == account.account_id))
    return known_account(connection, name)


def disable_account(connection: Connection, name: str) -> Account:
    """Let an account do nothing any more: its sessions end, its tokens no longer work. What it did stays on record.

    Raises:
        AccountError: there is no such account.

    """
    account = known_account(connection, name)
    connection.execute(
        update(web_accounts).where(web_accounts.c.id == account.account_id).values(disabled_at=utc_now())
    )
    connection.execute(delete(web_sessions).where(web_sessions.c.account_id == account.account_id))
    connection.execute(delete(web_tokens).where(web_tokens.c.account_id == account.account_id))
    return known_account(connection, name)


def account_of(row: Row[*tuple[object, ...]]) -> Account:
    """Return the account of a row that has the columns of ``web_accounts``."""
    columns = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    return Account(
        account_id=columns["id"],
        name=columns["name"],
        role=Role.of(columns["role"]),
        password_hash=columns["password_hash"],
        created_at=columns["created_at"],
        disabled_at=columns["disabled_at"],
    )
