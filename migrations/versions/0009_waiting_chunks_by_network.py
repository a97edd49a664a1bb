"""Waiting chunks by network: what waits for one that few workers run does not slow down the feeding of others.

Revision ID: 0009
Revises: 0008

The indexes are made while workers go on, each in a transaction of its own; every step may be done again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

WAITING = "state = 0"
INDEXES = {
    "ix_chunks_due_of_network": ["network_id", "lane", "priority DESC", "id"],
    "ix_chunks_age_of_network": ["network_id", "lane", "id"],
}


def _make_one(index: str, on: str) -> None:
    """Make an index, unless it is there; one that was broken off is made anew."""
    found = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
    is_valid = op.get_bind().execute(found, {"name": index}).scalar_one_or_none()
    if is_valid is False:
        _without_limits(f"DROP INDEX CONCURRENTLY {index}")
    if not is_valid:
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
        for index, columns in INDEXES.items():
            op.create_index(index, "chunks", [sa.text(one) for one in columns], sqlite_where=sa.text(WAITING))
        return
    with op.get_context().autocommit_block():
        for index, columns in INDEXES.items():
            _make_one(index, f"chunks ({', '.join(columns)}) WHERE {WAITING}")


def downgrade() -> None:
    """Take back."""
    for index in INDEXES:
        op.drop_index(index, "chunks")
