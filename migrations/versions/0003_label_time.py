"""Indexes that are made while workers go on: labels by time, and waiting chunks by age.

Revision ID: 0003
Revises: 0002

A transaction of its own for each step: CONCURRENTLY cannot be rolled back, so every step may be done again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INDEX = "ix_content_labels_by_time"
TABLE = "content_labels_by"
COLUMNS = ["labelling_id", "labelled_at"]
AGE_INDEX = "ix_chunks_age"
AGE_COLUMNS = ["lane", "id"]
WAITING = "state = 0"


def _partitions(of: str) -> list[tuple[str, bool]]:
    """Return the names of the partitions of a table, and whether they are divided themselves."""
    children = sa.text(
        "SELECT c.relname, c.relkind = 'p' FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = to_regclass(:parent) AND NOT i.inhdetachpending ORDER BY c.relname"
    )
    return [(name, is_divided) for name, is_divided in op.get_bind().execute(children, {"parent": of})]


def _index_of(table: str) -> str:
    return INDEX + table.removeprefix(TABLE)


def _state(index: str) -> str | None:
    """Return «valid», «invalid» (it was broken off, or waits for its parts), or None where there is none."""
    found = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
    is_valid = op.get_bind().execute(found, {"name": index}).scalar_one_or_none()
    return None if is_valid is None else "valid" if is_valid else "invalid"


def _make(table: str, *, is_divided: bool, above: str | None) -> None:
    """Make the index of a table and of all below it, then hang it on that of the table above."""
    index = _index_of(table)
    state = _state(index)
    if is_divided:
        if state is None:
            op.execute(f"CREATE INDEX {index} ON ONLY {table} (labelling_id, labelled_at)")
        for name, is_divided_too in _partitions(table):
            _make(name, is_divided=is_divided_too, above=index)
    else:
        _make_one(index, f"{table} (labelling_id, labelled_at)")
    if above is not None:
        op.execute(f"ALTER INDEX {above} ATTACH PARTITION {index}")


def _make_one(index: str, on: str) -> None:
    """Make an index that is not divided, unless it is there; one that was broken off is made anew."""
    state = _state(index)
    if state == "invalid":
        _without_limits(f"DROP INDEX CONCURRENTLY {index}")
    if state != "valid":
        _without_limits(f"CREATE INDEX CONCURRENTLY {index} ON {on}")


def _without_limits(statement: str) -> None:
    """Run what waits for whoever has an older snapshot, and holds nobody up meanwhile."""
    names = ("statement_timeout", "lock_timeout")
    limits = {name: op.get_bind().execute(sa.text(f"SHOW {name}")).scalar_one() for name in names}
    for name in names:
        op.execute(f"SET {name} = 0")
    op.execute(statement)
    for name, limit in limits.items():
        op.execute(f"SET {name} = '{limit}'")


def upgrade() -> None:
    """Apply."""
    if op.get_bind().dialect.name != "postgresql":
        op.create_index(INDEX, TABLE, COLUMNS)
        op.create_index(AGE_INDEX, "chunks", AGE_COLUMNS, sqlite_where=sa.text(WAITING))
        return
    with op.get_context().autocommit_block():
        _make_one(AGE_INDEX, f"chunks (lane, id) WHERE {WAITING}")
        if _partitions(TABLE):
            _make(TABLE, is_divided=True, above=None)
        else:
            op.execute(f"CREATE INDEX IF NOT EXISTS {INDEX} ON {TABLE} (labelling_id, labelled_at)")


def downgrade() -> None:
    """Take back."""
    op.drop_index(AGE_INDEX, "chunks")
    op.drop_index(INDEX, TABLE)
