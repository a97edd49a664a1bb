"""What visitors of the web application have asked to be annotated.

Revision ID: 0018
Revises: 0017

It only adds, so programs of 0017 go on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

UTC_TIME = sa.DateTime(timezone=True)
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPEN = sa.text("finished_at IS NULL")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "web_jobs",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("owner", sa.Text(), nullable=False, comment="who has asked, as the record has it"),
        sa.Column("uri", sa.Text(), nullable=False, comment="of the media"),
        sa.Column("name", sa.Text(), nullable=False, comment="what its owner calls it"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=True, comment="what is done to it now, while it runs"),
        sa.Column(
            "frames",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="in which faces were looked for",
        ),
        sa.Column(
            "tries",
            sa.SmallInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="sessions that took it and lost it",
        ),
        sa.Column("session", sa.Text(), nullable=True, comment="who has it in hand"),
        sa.Column("seen_at", UTC_TIME, nullable=True, comment="when the session has last said that it lives"),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("finished_at", UTC_TIME, nullable=True),
        sa.Column("media_id", sa.BigInteger(), nullable=True, comment="what it became"),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'running', 'done', 'failed')", name=op.f("ck_web_jobs_state")),
        sa.CheckConstraint("(state = 'running') = (session IS NOT NULL)", name=op.f("ck_web_jobs_session")),
        sa.CheckConstraint(
            "(finished_at IS NULL) = (state IN ('waiting', 'running'))", name=op.f("ck_web_jobs_finished")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_jobs")),
    )
    op.create_index(op.f("ix_web_jobs_owner_id"), "web_jobs", ["owner", "id"])
    op.create_index("ix_web_jobs_open", "web_jobs", ["id"], postgresql_where=OPEN, sqlite_where=OPEN)


def downgrade() -> None:
    """Take back."""
    op.drop_table("web_jobs")
