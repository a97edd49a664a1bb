"""What a takedown reports is kept with it: its tombstones, what is left to do, whether it was killed and went on.

Revision ID: 0023
Revises: 0022

It only adds, so programs of 0022 go on.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
COLUMNS = (
    ("tombstones", JSON, "of the person, hexadecimal; NULL: a former program has begun it"),
    ("is_resumed", sa.Boolean(), "it was killed and went on"),
    ("left_to_do", JSON, "sentences for a person, which name nobody; NULL until a step leaves some"),
)


def upgrade() -> None:
    """Apply."""
    for name, kind, comment in COLUMNS:
        op.add_column("takedowns", sa.Column(name, kind, nullable=True, comment=comment))


def downgrade() -> None:
    """Take back."""
    for name, _, _ in COLUMNS:  # in batch mode, SQLite would drop the table, to which tombstones point
        op.drop_column("takedowns", name)
