"""Partitions on Postgres: LIST by network or labelling, below it RANGE by content id. SQLite has none.

Partitions are made beside their table and attached: ATTACH takes a lock that stops neither readers nor writers, where
``CREATE TABLE … PARTITION OF`` would wait for every query on the table and hold up all that come after it.
``work`` is parted by network alone, since its keys are media.
"""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, text

CONTENTS_PER_PARTITION: Final = 10_000_000
NETWORK_TABLES: Final = ("annotations", "tracks", "track_embeddings")
LABELLING_TABLES: Final = ("labelled_contents", "track_labels", "content_labels_by")
_WORK: Final = "work"
# Rows of `work` change state a few times: room in their pages keeps the changes there, and vacuum comes early.
_WORK_OPTIONS: Final = "WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02)"
# Partitions are made by one transaction at a time: the key of the advisory lock, any fixed number.
_ADVISORY_LOCK: Final = 0x70617274  # "part"


def add_network(connection: Connection, network_id: int) -> None:
    """Make the partitions of a network, if they are missing. Nothing happens on SQLite."""
    _add_lists(connection, "n", network_id, NETWORK_TABLES)
    if connection.dialect.name == "postgresql" and not _exists(connection, f"{_WORK}__n{network_id}"):
        _attach(connection, _WORK, f"{_WORK}__n{network_id}", bounds=f"IN ({network_id})", options=_WORK_OPTIONS)


def add_labelling(connection: Connection, labelling_id: int) -> None:
    """Make the partitions of a labelling, if they are missing. Nothing happens on SQLite."""
    _add_lists(connection, "l", labelling_id, LABELLING_TABLES)


def ensure_partitions(
    connection: Connection,
    content_ids: Iterable[int],
    *,
    network_ids: Iterable[int] = (),
    labelling_ids: Iterable[int] = (),
) -> bool:
    """Make the partitions that these contents fall into, and the ones after them. Nothing happens on SQLite.

    Args:
        connection: in a transaction; the partitions appear with its commit.
        content_ids: contents about to be written.
        network_ids: networks that will write them.
        labelling_ids: labellings that will label them.

    Returns:
        Whether any partition was made.

    """
    if connection.dialect.name != "postgresql":
        return False
    numbers = {content_id // CONTENTS_PER_PARTITION for content_id in content_ids}
    numbers |= {number + 1 for number in numbers}
    parents = [f"{table}__n{one}" for one in network_ids for table in NETWORK_TABLES]
    parents += [f"{table}__l{one}" for one in labelling_ids for table in LABELLING_TABLES]
    missing = _missing(connection, [(parent, number) for parent in parents for number in sorted(numbers)])
    if missing:
        _lock(connection)
        for parent, number in _missing(connection, missing):
            start, end = number * CONTENTS_PER_PARTITION, (number + 1) * CONTENTS_PER_PARTITION
            _attach(connection, parent, f"{parent}__{number}", bounds=f"FROM ({start}) TO ({end})")
    return bool(missing)


def _add_lists(connection: Connection, mark: str, owner_id: int, tables: Iterable[str]) -> None:
    if connection.dialect.name != "postgresql":
        return
    _lock(connection)
    for table in tables:
        name = f"{table}__{mark}{owner_id}"
        if not _exists(connection, name):
            _attach(connection, table, name, bounds=f"IN ({owner_id})", options="PARTITION BY RANGE (content_id)")


def _attach(connection: Connection, parent: str, name: str, *, bounds: str, options: str = "") -> None:
    """Make one partition; the names and numbers are this module's own."""
    connection.execute(text(f"CREATE TABLE {name} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS) {options}"))
    connection.execute(text(f"ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES {bounds}"))


def _missing(connection: Connection, wanted: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    by_name = {f"{parent}__{number}": (parent, number) for parent, number in wanted}
    found = connection.execute(
        text("SELECT name FROM unnest(CAST(:names AS text[])) name WHERE to_regclass(name) IS NULL"),
        {"names": list(by_name)},
    )
    return [by_name[name] for name in found.scalars()]


def _exists(connection: Connection, name: str) -> bool:
    return bool(connection.execute(text("SELECT to_regclass(:name) IS NOT NULL"), {"name": name}).scalar_one())


def _lock(connection: Connection) -> None:
    connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
