"""The record of who did what in the web application; rows are added and never changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from annotator.store.tables import web_audit


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that somebody did.

    Attributes:
        deed_id: ascends with time.
        happened_at: when.
        actor: name of the account, or what stands for it.
        address: where from.
        action: in a few fixed words, e.g. ``"logged in"``.
        subject: what it was done to, as people name it; None where the action says all.
        details: what else is to be known.

    """

    deed_id: int
    happened_at: datetime
    actor: str
    address: str
    action: str
    subject: str | None
    details: Mapping[str, Any] | None


def record_deed(  # noqa: PLR0913 - a row
    connection: Connection,
    actor: str,
    action: str,
    *,
    address: str,
    now: datetime,
    subject: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add to the record, in the transaction of what was done: neither is there without the other."""
    connection.execute(
        insert(web_audit).values(
            happened_at=now, actor=actor, address=address, action=action, subject=subject, details=details
        )
    )


def list_deeds(connection: Connection, *, limit: int = 100, before_id: int | None = None) -> list[Deed]:
    """Return what was done, newest first.

    Args:
        connection: any.
        limit: at most so many.
        before_id: only what is older than this one: where the page before ended.

    """
    statement = select(web_audit).order_by(web_audit.c.id.desc()).limit(limit)
    if before_id is not None:
        statement = statement.where(web_audit.c.id < before_id)
    return [
        Deed(row.id, row.happened_at, row.actor, row.address, row.action, row.subject, row.details)
        for row in connection.execute(statement)
    ]
