"""What a media is called by whoever gave it is found by an index.

Revision ID: 0021
Revises: 0020

It only adds, so programs of 0020 go on. The table is small: few media are given by hand.
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index(op.f("ix_web_jobs_media_id_id"), "web_jobs", ["media_id", "id"])


def downgrade() -> None:
    """Take back."""
    op.drop_index(op.f("ix_web_jobs_media_id_id"), "web_jobs")
