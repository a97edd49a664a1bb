"""Failures of a reason in order of time: pages of them are read by index, however many there are.

Revision ID: 0017
Revises: 0016

The new index is made while workers go on, partition by partition, each in a transaction of its own; every step may be
done again. It begins as the former one does, which is then not needed any more.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLE = "work"
FORMER = "ix_work_failed"
FORMER_COLUMNS = ["network_id", "reason"]
INDEX = "ix_work_failures"
COLUMNS = ["network_id", "reason", "finished_at", "media_id"]
FAILED = "state >= 3"


def _partitions() -> list[str]:
    children = sa.text(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = to_regclass(:parent) AND NOT i.inhdetachpending ORDER BY c.relname"
    )
    return list(op.get_bind().execute(children, {"parent": TABLE}).scalars())


def _state(index: str) -> str | None:
    """Return «valid», «invalid» (it was broken off, or waits for its parts), or None where there is none."""
    found = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
    is_valid = op.get_bind().execute(found, {"name": index}).scalar_one_or_none()
    return None if is_valid is None else "valid" if is_valid else "invalid"


def _make(index: str, columns: list[str]) -> None:
    """Make an index of the table: first without its parts, then that of each partition, which is hung on it."""
    on = f"({', '.join(columns)}) WHERE {FAILED}"
    if _state(index) is None:
        op.execute(f"CREATE INDEX {index} ON ONLY {TABLE} {on}")
    for partition in _partitions():
        part = f"{index}{partition.removeprefix(TABLE)}"
        if _state(part) == "invalid":
            _without_limits(f"DROP INDEX CONCURRENTLY {part}")
        if _state(part) is None:
            _without_limits(f"CREATE INDEX CONCURRENTLY {part} ON {partition} {on}")
        op.execute(f"ALTER INDEX {index} ATTACH PARTITION {part}")


def _without_limits(statement: str) -> None:
    """Run what waits for whoever has an older snapshot, and holds nobody up meanwhile."""
    names = ("statement_timeout", "lock_timeout")
    limits = {name: op.get_bind().execute(sa.text(f"SHOW {name}")).scalar_one() for name in names}
    for name in names:
        op.execute(f"SET {name} = 0")
    op.execute(statement)
    for name, limit in limits.items():
        op.execute(f"SET {name} = '{limit}'")


def _replace(former: str, index: str, columns: list[str]) -> None:
    if op.get_bind().dialect.name != "postgresql":
        op.create_index(index, TABLE, columns, sqlite_where=sa.text(FAILED))
        op.drop_index(former, TABLE)
        return
    with op.get_context().autocommit_block():
        _make(index, columns)
        op.execute(f"DROP INDEX IF EXISTS {former}")


def upgrade() -> None:
    """Apply."""
    _replace(FORMER, INDEX, COLUMNS)


def downgrade() -> None:
    """Take back."""
    _replace(INDEX, FORMER, FORMER_COLUMNS)
