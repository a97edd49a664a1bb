"""Relabellings of the whole archive are runs: how far they have come, and what they change.

Revision ID: 0004
Revises: 0003

It only adds a table and a view, so programs of 0003 go on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UTC_TIME = sa.DateTime(timezone=True)
OPEN = "finished_at IS NULL"
RELABELLING_RUNS = """
SELECT r.id AS run,
       b.model AS model,
       f.model AS from_model,
       r.started_at AS started_at,
       r.finished_at AS finished_at,
       CASE WHEN r.finished_at IS NOT NULL OR r.last_content_id <= r.first_content_id THEN 1.0
            WHEN r.after_content_id >= r.last_content_id THEN 1.0
            ELSE (r.after_content_id - r.first_content_id) * 1.0 / (r.last_content_id - r.first_content_id)
       END AS share_done,
       r.contents AS contents,
       r.tracks AS tracks,
       r.labels AS labels,
       r.tracks_added AS tracks_added,
       r.tracks_dropped AS tracks_dropped,
       r.tracks_flipped AS tracks_flipped
FROM relabellings r
JOIN labellings b ON b.id = r.labelling_id
LEFT JOIN labellings f ON f.id = r.from_labelling_id
"""


def _count(name: str, comment: str | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False, comment=comment)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "relabellings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("labelling_id", sa.Integer(), nullable=False),
        sa.Column("from_labelling_id", sa.Integer(), nullable=True, comment="what changes are counted against"),
        sa.Column("started_at", UTC_TIME, nullable=False),
        sa.Column("finished_at", UTC_TIME, nullable=True),
        sa.Column("first_content_id", sa.BigInteger(), nullable=False, comment="it began after this one"),
        sa.Column("after_content_id", sa.BigInteger(), nullable=False, comment="up to here all contents have labels"),
        sa.Column("last_content_id", sa.BigInteger(), nullable=False, comment="the newest one when it began"),
        _count("contents"),
        _count("tracks"),
        _count("labels", "tracks that have a name"),
        _count("tracks_added", "had no name before"),
        _count("tracks_dropped", "have no name any more"),
        _count("tracks_flipped", "have another name"),
        sa.ForeignKeyConstraint(["labelling_id"], ["labellings.id"], name=op.f("fk_relabellings_labelling_id")),
        sa.ForeignKeyConstraint(
            ["from_labelling_id"], ["labellings.id"], name=op.f("fk_relabellings_from_labelling_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_relabellings")),
    )
    op.create_index(
        "uq_relabellings_open",
        "relabellings",
        ["labelling_id"],
        unique=True,
        postgresql_where=sa.text(OPEN),
        sqlite_where=sa.text(OPEN),
    )
    op.execute(f"CREATE VIEW relabelling_runs AS {RELABELLING_RUNS}")


def downgrade() -> None:
    """Take back. What was labelled stays."""
    op.execute("DROP VIEW relabelling_runs")
    op.drop_table("relabellings")
