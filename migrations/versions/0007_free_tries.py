"""Work counts the tries that cost nothing by themselves: numbers of attempts also tell of changes and give-backs.

Revision ID: 0007
Revises: 0006

It only adds a column with a constant default, so programs of 0006 go on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    free_tries = sa.Column(
        "free_tries",
        sa.SmallInteger(),
        server_default=sa.text("0"),
        nullable=False,
        comment="that failed by no fault of the media, since it was asked for",
    )
    op.add_column("work", free_tries)


def downgrade() -> None:
    """Take back."""
    op.drop_column("work", "free_tries")
