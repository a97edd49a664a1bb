"""Folders that a takedown was told to sweep are kept until it is finished: whoever goes on with it sweeps them, too.

Revision ID: 0025
Revises: 0024

It only adds, so programs of 0024 go on; but a takedown with folders that is finished by one of them leaves these
as they were, and their paths in the row until the next takedown begins.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Apply."""
    comment = "to be swept, [[path, machine], …], until it is finished; NULL then"
    op.add_column("takedowns", sa.Column("folders", JSON, nullable=True, comment=comment))


def downgrade() -> None:
    """Take back."""
    op.drop_column("takedowns", "folders")  # in batch mode, SQLite would drop the table, to which tombstones point
