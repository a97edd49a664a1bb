"""Counters, progress, backlogs with a budget, call-backs, roll-ups, routing by queue.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
UTC_TIME = sa.DateTime(timezone=True)
_DUE = "delivered_at IS NULL AND given_up_at IS NULL"


def _new_columns() -> dict[str, list[sa.Column]]:
    return {
        "work": [
            sa.Column("run_id", sa.Integer(), nullable=True, comment="the backlog that asked for it last"),
            sa.Column("lane", sa.Text(), server_default=sa.text("'gif'"), nullable=False),
            sa.Column("cost_ms", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="estimated"),
        ],
        "chunks": [sa.Column("queue", sa.Text(), nullable=True, comment="where it was published")],
        "worker_sessions": [
            sa.Column("queues", JSON, nullable=True, comment="what it consumes"),
            sa.Column("device", sa.Text(), nullable=True, comment="what its networks run on"),
            sa.Column(
                "busy", JSON, nullable=True, comment="of the last window: share of time that each stage was busy"
            ),
            sa.Column(
                "media_done",
                sa.Integer(),
                server_default=sa.text("0"),
                nullable=False,
                comment="settled in this session",
            ),
        ],
        "runs": [
            sa.Column(
                "priority", sa.SmallInteger(), server_default=sa.text("0"), nullable=False, comment="higher goes first"
            ),
            sa.Column("callback_url", sa.Text(), nullable=True, comment="who is told of each media and of the end"),
            sa.Column("deadline_at", UTC_TIME, nullable=True, comment="when what is pending is no longer wanted"),
            sa.Column("max_worker_s", sa.Double(), nullable=True, comment="budget: worker time that may be spent"),
            sa.Column("stopped_at", UTC_TIME, nullable=True, comment="what was pending then is no longer queued"),
            sa.Column("stop_reason", sa.Text(), nullable=True),
            sa.Column("finished_at", UTC_TIME, nullable=True, comment="listed, and nothing pending or claimed"),
            sa.Column(
                "worker_s", sa.Double(), server_default=sa.text("0"), nullable=False, comment="worker time spent"
            ),
            sa.Column("worker_s_at", UTC_TIME, nullable=True, comment="up to when worker_s is summed up"),
            sa.Column(
                "callback_failures",
                sa.SmallInteger(),
                server_default=sa.text("0"),
                nullable=False,
                comment="of its receiver, in a row",
            ),
            sa.Column("callback_not_before", UTC_TIME, nullable=True, comment="when its receiver is tried again"),
        ],
    }


def _columns() -> None:
    for table, columns in _new_columns().items():
        for column in columns:
            op.add_column(table, column)


def _listing() -> None:
    start = sa.Column(
        "start_key", KEY, server_default=sa.text("''"), nullable=False, comment="where the shard begins, exclusive"
    )
    with op.batch_alter_table("listing_shards") as table:
        table.add_column(start)
        table.drop_constraint("uq_listing_shards_run_id_prefix_after_key", type_="unique")
        table.create_unique_constraint("uq_listing_shards_run_id_prefix_start_key", ["run_id", "prefix", "start_key"])


def _feeding() -> None:
    op.create_index(
        "ix_chunks_age",
        "chunks",
        ["lane", "id"],
        postgresql_where=sa.text("state = 0"),
        sqlite_where=sa.text("state = 0"),
    )


def _counters() -> None:
    op.create_table(
        "work_deltas",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False, comment="WorkState"),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("media", sa.BigInteger(), nullable=False),
        sa.Column("cost_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_deltas")),
    )
    op.create_table(
        "work_counts",
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("media", sa.BigInteger(), nullable=False),
        sa.Column("cost_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("network_id", "run_id", "lane", "state", "reason", name=op.f("pk_work_counts")),
    )
    op.create_table(
        "progress",
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("at", UTC_TIME, nullable=False),
        sa.Column("pending", sa.BigInteger(), nullable=False),
        sa.Column("claimed", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False, comment="quarantined included"),
        sa.Column("pending_cost_ms", sa.BigInteger(), nullable=False),
        sa.Column("done_cost_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("network_id", "lane", "at", name=op.f("pk_progress")),
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("media_id", sa.BigInteger(), nullable=True, comment="NULL: the backlog itself"),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("not_before", UTC_TIME, nullable=True),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("delivered_at", UTC_TIME, nullable=True),
        sa.Column("given_up_at", UTC_TIME, nullable=True),
        sa.Column("message", sa.Text(), nullable=True, comment="what the last try came to"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_outbox_idempotency_key")),
    )
    op.create_index(
        "ix_outbox_due", "outbox", ["run_id", "id"], postgresql_where=sa.text(_DUE), sqlite_where=sa.text(_DUE)
    )


def _roll_ups() -> None:
    op.create_table(
        "roll_ups",
        sa.Column("labelling_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("as_of", UTC_TIME, nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("labelling_id", name=op.f("pk_roll_ups")),
    )
    op.create_table(
        "identity_counts_by",
        sa.Column("labelling_id", sa.Integer(), nullable=False),
        sa.Column("identity_id", sa.Integer(), nullable=False),
        sa.Column("media", sa.BigInteger(), nullable=False),
        sa.Column("contents", sa.BigInteger(), nullable=False),
        sa.Column("screen_ms", sa.BigInteger(), nullable=False),
        sa.Column("best_confidence", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("labelling_id", "identity_id", name=op.f("pk_identity_counts_by")),
    )
    op.create_table(
        "co_appearances_by",
        sa.Column("labelling_id", sa.Integer(), nullable=False),
        sa.Column("identity_id", sa.Integer(), nullable=False),
        sa.Column("other_identity_id", sa.Integer(), nullable=False),
        sa.Column("media", sa.BigInteger(), nullable=False),
        sa.Column("contents", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("labelling_id", "identity_id", "other_identity_id", name=op.f("pk_co_appearances_by")),
    )
    op.create_index("ix_content_labels_by_time", "content_labels_by", ["labelling_id", "labelled_at"])


def _scaling(key: str) -> None:
    """Make it anew: no program has ever written a row of it."""
    op.drop_table("scaling")
    op.create_table(
        "scaling",
        sa.Column(key, sa.Text(), nullable=False),
        sa.Column("desired_workers", sa.Integer(), nullable=False),
        sa.Column("updated_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint(key, name=op.f("pk_scaling")),
    )


def upgrade() -> None:
    """Apply."""
    _columns()
    _listing()
    _feeding()
    _counters()
    _outbox()
    _roll_ups()
    _scaling("queue")


def downgrade() -> None:
    """Take back. Counts and call-backs are lost; what was annotated stays."""
    _scaling("lane")
    op.drop_index("ix_content_labels_by_time", "content_labels_by")
    for name in (
        "co_appearances_by",
        "identity_counts_by",
        "roll_ups",
        "outbox",
        "progress",
        "work_counts",
        "work_deltas",
    ):
        op.drop_table(name)
    op.drop_index("ix_chunks_age", "chunks")
    with op.batch_alter_table("listing_shards") as table:
        table.drop_constraint("uq_listing_shards_run_id_prefix_start_key", type_="unique")
        table.drop_column("start_key")
        table.create_unique_constraint("uq_listing_shards_run_id_prefix_after_key", ["run_id", "prefix", "after_key"])
    for table, columns in _new_columns().items():
        for column in reversed(columns):
            op.drop_column(table, column.name)
