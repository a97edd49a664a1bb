"""What people say of tracks is kept: this is somebody, this is not.

Revision ID: 0011
Revises: 0010

It only adds, so programs of 0010 go on; what they label meanwhile does not know of corrections. Labellings that are
there already have no calibration: where a name is taken from a track of theirs, the track is unknown.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

UTC_TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "corrections",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("content_id", sa.BigInteger(), nullable=False),
        sa.Column("network_id", sa.Integer(), nullable=False, comment="whose track was looked at"),
        sa.Column("track_no", sa.SmallInteger(), nullable=False, comment="of that network, at that time"),
        sa.Column("boxes", sa.LargeBinary(), nullable=False, comment="of the track: they find it under other networks"),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("identity_id", sa.Integer(), nullable=False),
        sa.Column("said_by", sa.Text(), nullable=False, comment="user and machine"),
        sa.Column("said_at", UTC_TIME, nullable=False),
        sa.Column("withdrawn_by", sa.Text(), nullable=True, comment="user and machine"),
        sa.Column("withdrawn_at", UTC_TIME, nullable=True),
        sa.CheckConstraint("verdict IN ('is', 'is not')", name=op.f("ck_corrections_verdict")),
        sa.CheckConstraint("(withdrawn_at IS NULL) = (withdrawn_by IS NULL)", name=op.f("ck_corrections_withdrawn")),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name=op.f("fk_corrections_network_id")),
        sa.ForeignKeyConstraint(["identity_id"], ["identities.id"], name=op.f("fk_corrections_identity_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
    )
    op.create_index(op.f("ix_corrections_content_id"), "corrections", ["content_id"])
    op.create_table(
        "overruled_labels",
        sa.Column("labelling_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("track_no", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "candidates",
            JSON,
            nullable=False,
            comment="what the model says, best first: [[identity_id, score, confidence], …]; none: nobody known",
        ),
        sa.PrimaryKeyConstraint("labelling_id", "content_id", "track_no", name=op.f("pk_overruled_labels")),
        sqlite_with_rowid=False,
    )
    op.add_column(
        "labellings", sa.Column("calibration", JSON, nullable=True, comment="thresholds and confidence of its model")
    )


def downgrade() -> None:
    """Take back."""
    op.drop_column("labellings", "calibration")
    op.drop_table("overruled_labels")
    op.drop_table("corrections")
