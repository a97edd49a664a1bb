"""Groups of strangers are counted with the roll-ups, so that their list reads some rows and not all tracks.

Revision ID: 0024
Revises: 0023

It only adds, so programs of 0023 go on. Until groups are counted for the first time, the list counts them itself.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

UTC_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "stranger_roll_ups",
        sa.Column("labelling_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("as_of", UTC_TIME, nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("labelling_id", name=op.f("pk_stranger_roll_ups")),
    )
    op.create_table(
        "stranger_counts_by",
        sa.Column("labelling_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "group_no",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="of a group that is part of no other",
        ),
        sa.Column(
            "changes", sa.BigInteger(), nullable=False, comment="as of which change of the groups: groupings.changes"
        ),
        sa.Column("contents", sa.BigInteger(), nullable=False),
        sa.Column("media", sa.BigInteger(), nullable=False),
        sa.Column("tracks", sa.BigInteger(), nullable=False, comment="that have no name"),
        sa.Column("named_tracks", sa.BigInteger(), nullable=False),
        sa.Column("screen_ms", sa.BigInteger(), nullable=False),
        sa.Column("face_px", sa.Double(), nullable=True),
        sa.Column("first_annotated_at", UTC_TIME, nullable=False),
        sa.Column("last_annotated_at", UTC_TIME, nullable=False),
        sa.Column(
            "best_content_id", sa.BigInteger(), nullable=False, comment="whose track is the sharpest of the group"
        ),
        sa.Column("best_track_no", sa.SmallInteger(), nullable=False),
        sa.Column("resembles_id", sa.Integer(), nullable=True, comment="whose name most of the named tracks have"),
        sa.PrimaryKeyConstraint("labelling_id", "group_no", name=op.f("pk_stranger_counts_by")),
    )
    op.create_index(
        "ix_stranger_counts_by_most_seen",
        "stranger_counts_by",
        ["labelling_id", sa.text("media DESC"), sa.text("screen_ms DESC"), "group_no"],
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("stranger_counts_by")
    op.drop_table("stranger_roll_ups")
