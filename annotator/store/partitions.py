"""Partitions on Postgres: LIST by network or labelling, below it RANGE by content id. SQLite has none.

They are made by the functions of ``annotator.store.functions``, which have the right to. Ids of contents ascend, so the
partitions that a network or labelling needs are those up to the newest content and one ahead. ``work`` is parted by
network alone, since its keys are media.
"""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, Engine, func, select, text, update
from sqlalchemy.exc import DBAPIError

from annotator.errors import StoreUnavailableError
from annotator.store.columns import utc_now
from annotator.store.connection import writing
from annotator.store.database_errors import sqlstate
from annotator.store.tables import contents, labellings, networks

# As in the functions.
CONTENTS_PER_PARTITION: Final = 10_000_000
LABELLING_TABLES: Final = ("labelled_contents", "track_labels", "content_labels_by")
_NETWORK: Final = "make_network_partitions"
_LABELLING: Final = "make_labelling_partitions"
# How long whoever begins to use a labelling waits for others who have it, or read what is left of a retired one.
_USE_TIMEOUT_MS: Final = 30_000
_LOCK_NOT_AVAILABLE: Final = "55P03"  # SQLSTATE
# Under this key a connection remembers the newest partition of each owner, and the transaction that made some: what is
# not committed yet is not remembered.
_KNOWN: Final = "annotator_partitions"
_MAKING: Final = "annotator_partitions_made_in"


def add_network(connection: Connection, network_id: int) -> None:
    """Make the partitions of a registered network, if they are missing. Nothing happens on SQLite."""
    ensure_partitions(connection, network_ids=[network_id])


def use_labelling(connection: Connection, labelling_id: int) -> None:
    """Note that a program begins to work with a registered labelling, and make its partitions, if they are missing.

    One that was retired comes back, without labels.

    Raises:
        StoreUnavailableError: somebody has it, or reads what is left of the retired one, for longer than is waited.

    """
    if connection.dialect.name != "postgresql":
        used = update(labellings).where(labellings.c.id == labelling_id)
        connection.execute(used.values(used_at=utc_now(), retired_at=None))
        return
    former = connection.execute(text("SELECT current_setting('lock_timeout')")).scalar_one()
    _set_lock_timeout(connection, f"{_USE_TIMEOUT_MS}ms")
    try:
        connection.execute(text("SELECT use_labelling(:labelling)"), {"labelling": labelling_id})
    except DBAPIError as exc:
        if sqlstate(exc) != _LOCK_NOT_AVAILABLE:
            raise
        raise StoreUnavailableError(
            f"labelling {labelling_id} is not free: its labels are being removed, or somebody still reads what is left"
            " of them (a backup?); try again when that has ended"
        ) from exc
    _set_lock_timeout(connection, former)
    # It may have been retired since this connection has seen its partitions.
    connection.info.get(_KNOWN, {}).pop((_LABELLING, labelling_id), None)
    ensure_partitions(connection, labelling_ids=[labelling_id])


def _set_lock_timeout(connection: Connection, timeout: str) -> None:
    connection.execute(text("SELECT set_config('lock_timeout', :timeout, true)"), {"timeout": timeout})


def ensure_partitions(
    connection: Connection,
    content_ids: Iterable[int] = (),
    *,
    network_ids: Iterable[int] = (),
    labelling_ids: Iterable[int] = (),
) -> None:
    """Make the partitions that contents fall into, and the one after them. Nothing happens on SQLite.

    Call it first in a transaction, without contents: making partitions waits for others that make some, and must not do
    so while others wait for rows of this transaction. Call it again when the contents are known, which costs nothing
    unless they have reached a partition that is not there yet.

    Args:
        connection: in a transaction; the partitions appear with its commit.
        content_ids: contents about to be written.
        network_ids: networks that will write them.
        labelling_ids: labellings that will label them.

    """
    if connection.dialect.name != "postgresql":
        return
    needed = max(content_ids, default=0) // CONTENTS_PER_PARTITION
    for function, owners in ((_NETWORK, network_ids), (_LABELLING, labelling_ids)):
        for owner_id in owners:
            _ensure(connection, function, owner_id, needed)


def make_ahead(engine: Engine) -> None:
    """Make what is missing for all networks and labellings, so that workers need not: a job of beat."""
    with writing(engine) as connection:
        make_on(connection)


def make_on(connection: Connection) -> None:
    """Do the same in a transaction: one after the newest content, which the connection does not remember for ever."""
    if connection.dialect.name == "postgresql":
        network_ids = connection.execute(select(networks.c.id)).scalars().all()
        wanted = select(labellings.c.id).where(labellings.c.retired_at.is_(None))
        labelling_ids = connection.execute(wanted).scalars().all()
        newest = connection.execute(select(func.max(contents.c.id))).scalar_one() or 0
        ensure_partitions(connection, [newest], network_ids=network_ids, labelling_ids=labelling_ids)


def _ensure(connection: Connection, function: str, owner_id: int, needed: int) -> None:
    known: dict[tuple[str, int], int] = connection.info.setdefault(_KNOWN, {})
    if known.get((function, owner_id), -1) > needed:
        return
    newest = connection.execute(text(f"SELECT {function}(:owner_id)"), {"owner_id": owner_id}).scalar_one()
    if newest is None:
        connection.info[_MAKING] = connection.get_transaction()
    elif connection.info.get(_MAKING) is not connection.get_transaction():
        known[function, owner_id] = int(newest)
