"""Retrainings have rows: which step a run is in, how it ended and why.

Revision ID: 0006
Revises: 0005

It only adds a table and a view, so programs of 0005 go on.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

UTC_TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
RETRAINING_HISTORY = """
SELECT r.id AS retraining,
       r.experiment AS experiment,
       r.cause AS cause,
       r.model AS model,
       r.started_at AS started_at,
       r.finished_at AS finished_at,
       r.step AS step,
       r.outcome AS outcome,
       r.reason AS reason
FROM retrainings r
"""


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "retrainings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("started_at", UTC_TIME, nullable=False),
        sa.Column("finished_at", UTC_TIME, nullable=True),
        sa.Column("step", sa.Text(), nullable=True, comment="in hand, or the last one"),
        sa.Column("tries", sa.SmallInteger(), nullable=False, comment="how often the step in hand was begun"),
        sa.Column("done", JSON, nullable=False, comment="steps that have ended, with their seconds"),
        sa.Column("news", JSON, nullable=False, comment="digests of what it is made from"),
        sa.Column("model", sa.Text(), nullable=False, comment="NAME@VERSION that it makes"),
        sa.Column("outcome", sa.Text(), nullable=True, comment="promoted, held, failed, nothing new"),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("is_open", sa.SmallInteger(), nullable=True, comment="1 until it ends, NULL then: one at a time"),
        sa.CheckConstraint("cause IN ('schedule', 'command')", name=op.f("ck_retrainings_cause")),
        sa.CheckConstraint(
            "outcome IN ('promoted', 'held', 'failed', 'nothing new')", name=op.f("ck_retrainings_outcome")
        ),
        sa.CheckConstraint("(finished_at IS NULL) = (is_open IS NOT NULL)", name=op.f("ck_retrainings_open")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retrainings")),
        sa.UniqueConstraint("is_open", name=op.f("uq_retrainings_is_open")),
    )
    op.execute(f"CREATE VIEW retraining_history AS {RETRAINING_HISTORY}")


def downgrade() -> None:
    """Take back."""
    op.execute("DROP VIEW retraining_history")
    op.drop_table("retrainings")
