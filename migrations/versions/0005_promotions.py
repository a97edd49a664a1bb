"""Every switch of the labelling that is shown has a row: which, from which, when, by whom and why.

Revision ID: 0005
Revises: 0004

It only adds a table and a view, so programs of 0004 go on; what they switch has no row.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UTC_TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MODEL_HISTORY = """
SELECT p.id AS step,
       p.happened_at AS happened_at,
       p.kind AS kind,
       b.model AS model,
       f.model AS former_model,
       p.done_by AS done_by,
       p.forced_reason AS forced_reason,
       p.tracks_added AS tracks_added,
       p.tracks_dropped AS tracks_dropped,
       p.tracks_flipped AS tracks_flipped,
       CASE WHEN p.id = (SELECT max(q.id) FROM promotions q WHERE q.kind <> 'refusal')
                 AND p.labelling_id = (SELECT labelling_id FROM active) THEN 1 ELSE 0 END AS is_shown
FROM promotions p
JOIN labellings b ON b.id = p.labelling_id
LEFT JOIN labellings f ON f.id = p.from_labelling_id
"""


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "promotions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("labelling_id", sa.Integer(), nullable=False),
        sa.Column("from_labelling_id", sa.Integer(), nullable=True, comment="shown before"),
        sa.Column("happened_at", UTC_TIME, nullable=False),
        sa.Column("done_by", sa.Text(), nullable=False, comment="user and machine"),
        sa.Column("forced_reason", sa.Text(), nullable=True, comment="why it was promoted though the gate refused"),
        sa.Column("tracks_added", sa.BigInteger(), nullable=True, comment="get a name"),
        sa.Column("tracks_dropped", sa.BigInteger(), nullable=True, comment="lose theirs"),
        sa.Column("tracks_flipped", sa.BigInteger(), nullable=True, comment="get another one"),
        sa.Column("report", JSON, nullable=True, comment="of the gate"),
        sa.CheckConstraint("kind IN ('promotion', 'rollback', 'update', 'refusal')", name=op.f("ck_promotions_kind")),
        sa.ForeignKeyConstraint(["labelling_id"], ["labellings.id"], name=op.f("fk_promotions_labelling_id")),
        sa.ForeignKeyConstraint(["from_labelling_id"], ["labellings.id"], name=op.f("fk_promotions_from_labelling_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotions")),
    )
    op.execute(f"CREATE VIEW model_history AS {MODEL_HISTORY}")


def downgrade() -> None:
    """Take back. What is shown stays as it is."""
    op.execute("DROP VIEW model_history")
    op.drop_table("promotions")
