"""The web application: accounts, sessions, the record, and media that visitors gave."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    text,
)

from annotator.store.columns import BigId, Json, UtcTime
from annotator.store.tables.base import metadata

web_accounts = Table(
    "web_accounts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True, comment="in small letters"),
    Column("password_hash", Text, nullable=False, comment="argon2id, with its salt and parameters"),
    Column("role", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("disabled_at", UtcTime),
    CheckConstraint("role IN ('reader', 'reviewer', 'operator', 'admin')", name="role"),
)

# Who has an account by logging in elsewhere, at an identity provider.
web_subjects = Table(
    "web_subjects",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True, comment="who it is there, for ever"),
    Column("account_id", Integer, ForeignKey("web_accounts.id"), nullable=False, unique=True),
    Column("created_at", UtcTime, nullable=False),
)

web_sessions = Table(
    "web_sessions",
    metadata,
    Column("secret_sha256", LargeBinary, primary_key=True),
    Column("account_id", Integer, ForeignKey("web_accounts.id"), comment="NULL: whoever sits at the machine"),
    Column("created_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("address", Text, nullable=False),
    Index(None, "account_id"),
)

web_tokens = Table(
    "web_tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", Integer, ForeignKey("web_accounts.id"), nullable=False),
    Column("secret_sha256", LargeBinary, nullable=False, unique=True),
    Column("role", Text, nullable=False, comment="at most that of its account counts"),
    Column("purpose", Text, nullable=False, comment="what its owner calls it"),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("used_at", UtcTime),
    CheckConstraint("role IN ('reader', 'reviewer', 'operator', 'admin')", name="role"),
    Index(None, "account_id"),
)

# Attempts to log in that were wrong, or are under way.
web_attempts = Table(
    "web_attempts",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", Text, nullable=False, comment="as typed: there may be no such account"),
    Column("address", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index(None, "name"),
    Index(None, "address"),
    Index(None, "at"),
)

web_audit = Table(
    "web_audit",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("happened_at", UtcTime, nullable=False),
    Column("actor", Text, nullable=False, comment="a name, not an account: the record outlives accounts"),
    Column("address", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text),
    Column("details", Json),
)

# What visitors have asked to be annotated (annotator.store.web.jobs).
web_jobs = Table(
    "web_jobs",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("owner", Text, nullable=False, comment="who has asked, as the record has it"),
    Column("uri", Text, nullable=False, comment="of the media"),
    Column("name", Text, nullable=False, comment="what its owner calls it"),
    Column("state", Text, nullable=False),
    Column("stage", Text, comment="what is done to it now, while it runs"),
    Column("frames", Integer, nullable=False, server_default=text("0"), comment="in which faces were looked for"),
    Column(
        "tries",
        SmallInteger,
        nullable=False,
        server_default=text("0"),
        comment="sessions that took it and lost it",
    ),
    Column("session", Text, comment="who has it in hand"),
    Column("seen_at", UtcTime, comment="when the session has last said that it lives"),
    Column("created_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("media_id", BigInteger, comment="what it became"),
    Column("reason", Text),
    Column("message", Text),
    CheckConstraint("state IN ('waiting', 'running', 'done', 'failed')", name="state"),
    CheckConstraint("(state = 'running') = (session IS NOT NULL)", name="session"),
    CheckConstraint("(finished_at IS NULL) = (state IN ('waiting', 'running'))", name="finished"),
    Index(None, "owner", "id"),
    Index(None, "media_id", "id"),
    Index(
        "ix_web_jobs_open",
        "id",
        postgresql_where=text("finished_at IS NULL"),
        sqlite_where=text("finished_at IS NULL"),
    ),
)
