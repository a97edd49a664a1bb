"""Accounts of people who log in elsewhere, at an identity provider: who each is there."""

from sqlalchemy import Connection, delete, insert, select

from annotator.store.columns import utc_now
from annotator.store.tables import web_accounts, web_sessions, web_subjects, web_tokens
from annotator.store.web.accounts import Account, Role, account_of, add_account


def account_of_subject(connection: Connection, issuer: str, subject: str) -> Account | None:
    """Return the account of somebody at a provider, also a disabled one; None where there is none yet."""
    row = connection.execute(
        select(web_accounts)
        .join_from(web_subjects, web_accounts, web_accounts.c.id == web_subjects.c.account_id)
        .where(web_subjects.c.issuer == issuer, web_subjects.c.subject == subject)
    ).one_or_none()
    return None if row is None else account_of(row)


def add_subject(
    connection: Connection, issuer: str, subject: str, *, name: str, password_hash: str, role: Role
) -> Account:
    """Add an account for somebody at a provider.

    Args:
        connection: in a transaction that writes.
        issuer: the provider.
        subject: who it is there, for ever; names change.
        name: of the account.
        password_hash: of a password that nobody knows.
        role: what the account may do.

    Raises:
        AccountError: the name is taken, or cannot be one.

    """
    account = add_account(connection, name, password_hash=password_hash, role=role)
    connection.execute(
        insert(web_subjects).values(issuer=issuer, subject=subject, account_id=account.account_id, created_at=utc_now())
    )
    return account


def issuer_of(connection: Connection, account_id: int) -> str | None:
    """Return where an account logs in; None where it has a password here."""
    return connection.execute(
        select(web_subjects.c.issuer).where(web_subjects.c.account_id == account_id)
    ).scalar_one_or_none()


def issuers_by_account(connection: Connection) -> dict[int, str]:
    """Return where accounts log in, by number; those with a password here are not in it."""
    rows = connection.execute(select(web_subjects.c.account_id, web_subjects.c.issuer))
    return {row.account_id: row.issuer for row in rows}


def end_all_of(connection: Connection, account_id: int) -> None:
    """End the sessions of an account, and let its tokens work no more; it may log in again."""
    connection.execute(delete(web_sessions).where(web_sessions.c.account_id == account_id))
    connection.execute(delete(web_tokens).where(web_tokens.c.account_id == account_id))
