"""People who log in to the web application elsewhere, at an identity provider.

Revision ID: 0020
Revises: 0019

It only adds, so programs of 0019 go on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "web_subjects",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False, comment="who it is there, for ever"),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["web_accounts.id"], name=op.f("fk_web_subjects_account_id")),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_web_subjects")),
        sa.UniqueConstraint("account_id", name=op.f("uq_web_subjects_account_id")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("web_subjects")
