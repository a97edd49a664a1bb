"""What the web application keeps of itself: accounts, sessions, tokens, attempts to log in, who did what.

Revision ID: 0012
Revises: 0011

It only adds, so programs of 0011 go on.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

UTC_TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
IS_A_ROLE = "role IN ('reader', 'reviewer', 'operator', 'admin')"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "web_accounts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="in small letters"),
        sa.Column("password_hash", sa.Text(), nullable=False, comment="argon2id, with its salt and parameters"),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("disabled_at", UTC_TIME, nullable=True),
        sa.CheckConstraint(IS_A_ROLE, name=op.f("ck_web_accounts_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_accounts")),
        sa.UniqueConstraint("name", name=op.f("uq_web_accounts_name")),
    )
    op.create_table(
        "web_sessions",
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=True, comment="NULL: whoever sits at the machine"),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("seen_at", UTC_TIME, nullable=False),
        sa.Column("expires_at", UTC_TIME, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["web_accounts.id"], name=op.f("fk_web_sessions_account_id")),
        sa.PrimaryKeyConstraint("secret_sha256", name=op.f("pk_web_sessions")),
    )
    op.create_index(op.f("ix_web_sessions_account_id"), "web_sessions", ["account_id"])
    op.create_table(
        "web_tokens",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False, comment="at most that of its account counts"),
        sa.Column("purpose", sa.Text(), nullable=False, comment="what its owner calls it"),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("expires_at", UTC_TIME, nullable=True),
        sa.Column("used_at", UTC_TIME, nullable=True),
        sa.CheckConstraint(IS_A_ROLE, name=op.f("ck_web_tokens_role")),
        sa.ForeignKeyConstraint(["account_id"], ["web_accounts.id"], name=op.f("fk_web_tokens_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_tokens")),
        sa.UniqueConstraint("secret_sha256", name=op.f("uq_web_tokens_secret_sha256")),
    )
    op.create_index(op.f("ix_web_tokens_account_id"), "web_tokens", ["account_id"])
    op.create_table(
        "web_attempts",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="as typed: there may be no such account"),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_attempts")),
    )
    for column in ("name", "address", "at"):
        op.create_index(op.f(f"ix_web_attempts_{column}"), "web_attempts", [column])
    op.create_table(
        "web_audit",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("happened_at", UTC_TIME, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False, comment="a name, not an account: the record outlives accounts"),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("details", JSON, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_audit")),
    )


def downgrade() -> None:
    """Take back."""
    for table in ("web_audit", "web_attempts", "web_tokens", "web_sessions", "web_accounts"):
        op.drop_table(table)
