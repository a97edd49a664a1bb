"""What a person has decided about groups of strangers holds when faces are found anew, by the same network or another.

Revision ID: 0026
Revises: 0025

It only adds, so programs of 0025 go on. One of these that annotates a content anew forgets which groups a person has
put its tracks into, as it always did.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
COLUMNS = (
    ("from_network_id", "where a person has decided what the group is; NULL: under its own network"),
    ("from_group_no", "what the group is called there"),
)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "awaited_tracks",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("content_id", sa.BigInteger(), nullable=False),
        sa.Column("group_no", sa.Integer(), nullable=False, comment="of track_groups, that a person has put it into"),
        sa.Column("boxes", sa.LargeBinary(), nullable=False, comment="of the track that was looked at: they find it"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_awaited_tracks")),
    )
    op.create_index(op.f("ix_awaited_tracks_content_id"), "awaited_tracks", ["content_id"])
    op.create_index(op.f("ix_awaited_tracks_network_id_group_no"), "awaited_tracks", ["network_id", "group_no"])
    for name, comment in COLUMNS:
        op.add_column("track_groups", sa.Column(name, sa.Integer(), nullable=True, comment=comment))


def downgrade() -> None:
    """Take back."""
    for name, _ in COLUMNS:  # in batch mode, SQLite would make the table anew
        op.drop_column("track_groups", name)
    op.drop_table("awaited_tracks")
