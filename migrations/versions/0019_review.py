"""Tracks that are worth a person's look are queued for reviewers, and what they decide is kept.

Revision ID: 0019
Revises: 0018

It only adds, so programs of 0018 go on.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

UTC_TIME = sa.DateTime(timezone=True)
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
OPEN = sa.text("decided_at IS NULL")
LEASED = sa.text("leased_to IS NOT NULL")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "review_items",
        sa.Column("network_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("track_no", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("worth", sa.Double(), nullable=False, comment="views x confidence x (1 - confidence)"),
        sa.Column(
            "candidates",
            JSON,
            nullable=True,
            comment=(
                "of a track without a name, best first: [[identity_id, score, confidence], …]; NULL: labels have them"
            ),
        ),
        sa.Column("leased_to", sa.Text(), nullable=True, comment="name of the account that has it in hand"),
        sa.Column("leased_until", UTC_TIME, nullable=True),
        sa.Column("decided_at", UTC_TIME, nullable=True),
        sa.PrimaryKeyConstraint("network_id", "content_id", "track_no", name=op.f("pk_review_items")),
    )
    op.create_index(
        "ix_review_items_open",
        "review_items",
        ["network_id", sa.text("worth DESC"), "content_id", "track_no"],
        postgresql_where=OPEN,
        sqlite_where=OPEN,
    )
    op.create_index(
        "ix_review_items_leased", "review_items", ["leased_to"], postgresql_where=LEASED, sqlite_where=LEASED
    )
    op.create_table(
        "review_decisions",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("content_id", sa.BigInteger(), nullable=False),
        sa.Column("track_no", sa.SmallInteger(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False, comment="name of the account"),
        sa.Column("decided_at", UTC_TIME, nullable=False),
        sa.Column(
            "correction_id",
            sa.BigInteger(),
            nullable=True,
            comment="what was said by it; NULL where the track was skipped",
        ),
        sa.Column("undone_at", UTC_TIME, nullable=True),
        sa.CheckConstraint("verdict IN ('right', 'wrong', 'is', 'skip')", name=op.f("ck_review_decisions_verdict")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_decisions")),
    )
    for columns in (["decided_by", "decided_at"], ["decided_at"], ["network_id", "content_id", "track_no"]):
        op.create_index(op.f(f"ix_review_decisions_{'_'.join(columns)}"), "review_decisions", columns)
    op.create_table(
        "review_scans",
        sa.Column("network_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("labelling_id", sa.Integer(), nullable=False, comment="whose names are looked at"),
        sa.Column(
            "after_content_id", sa.BigInteger(), nullable=False, comment="all contents up to here were looked at"
        ),
        sa.Column("scanned_at", UTC_TIME, nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name=op.f("fk_review_scans_network_id")),
        sa.PrimaryKeyConstraint("network_id", name=op.f("pk_review_scans")),
    )
    op.create_table(
        "media_views",
        sa.Column("media_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("views", sa.Double(), nullable=False, comment="how often it is viewed, as somebody has told"),
        sa.PrimaryKeyConstraint("media_id", name=op.f("pk_media_views")),
    )


def downgrade() -> None:
    """Take back."""
    for table in ("media_views", "review_scans", "review_decisions", "review_items"):
        op.drop_table(table)
