"""People can be taken down: what was done is noted, and salted hashes keep them from being learnt again.

Revision ID: 0013
Revises: 0012

It only adds, so programs of 0012 go on; they do not ask whether somebody was taken down.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

UTC_TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
ID_LIST = sa.JSON().with_variant(postgresql.ARRAY(sa.BigInteger()), "postgresql")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "takedowns",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("started_at", UTC_TIME, nullable=False),
        sa.Column("finished_at", UTC_TIME, nullable=True),
        sa.Column("done_by", sa.Text(), nullable=False, comment="user and machine"),
        sa.Column("identity_ids", ID_LIST, nullable=False, comment="who it is, until it is finished; empty then"),
        sa.Column("embedder", sa.Text(), nullable=True, comment="of the faces"),
        sa.Column(
            "faces",
            sa.LargeBinary(),
            nullable=True,
            comment="n as int32, then float32 n x D: what tracks are compared with, NULL then",
        ),
        sa.Column(
            "after_content_id",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="tracks done up to here",
        ),
        sa.Column("done", JSON, nullable=False, comment="steps, with how much went in each, and whether it has ended"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_takedowns")),
    )
    op.create_table(
        "tombstones",
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="scrypt of a name, salted; it says no name"),
        sa.Column("takedown_id", sa.Integer(), nullable=False),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.CheckConstraint("length(digest) = 32", name=op.f("ck_tombstones_digest")),
        sa.ForeignKeyConstraint(["takedown_id"], ["takedowns.id"], name=op.f("fk_tombstones_takedown_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_tombstones")),
    )


def downgrade() -> None:
    """Take back. Who was taken down may be learnt again then."""
    op.drop_table("tombstones")
    op.drop_table("takedowns")
