"""What people say of tracks, and what they are asked."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
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

# What people say of tracks, appended only. The boxes say which face is meant, whatever network finds it.
corrections = Table(
    "corrections",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("content_id", BigInteger, nullable=False),
    Column("network_id", Integer, ForeignKey("networks.id"), nullable=False, comment="whose track was looked at"),
    Column("track_no", SmallInteger, nullable=False, comment="of that network, at that time"),
    Column("boxes", LargeBinary, nullable=False, comment="of the track: they find it under other networks"),
    Column("verdict", Text, nullable=False),
    Column("identity_id", Integer, ForeignKey("identities.id"), nullable=False),
    Column("said_by", Text, nullable=False, comment="user and machine"),
    Column("said_at", UtcTime, nullable=False),
    Column("withdrawn_by", Text, comment="user and machine"),
    Column("withdrawn_at", UtcTime),
    CheckConstraint("verdict IN ('is', 'is not')", name="verdict"),
    CheckConstraint("(withdrawn_at IS NULL) = (withdrawn_by IS NULL)", name="withdrawn"),
    Index(None, "content_id"),
)

# What the model says of tracks of which somebody has said something: it holds again where that is withdrawn.
overruled_labels = Table(
    "overruled_labels",
    metadata,
    Column("labelling_id", Integer, primary_key=True, autoincrement=False),
    Column("content_id", BigInteger, primary_key=True, autoincrement=False),
    Column("track_no", SmallInteger, primary_key=True, autoincrement=False),
    Column(
        "candidates",
        Json,
        nullable=False,
        comment="what the model says, best first: [[identity_id, score, confidence], …]; none: nobody known",
    ),
    sqlite_with_rowid=False,
)

# What is worth a person's look (annotator.store.review): tracks whose names are uncertain, those first of which a
# decision tells most. Made again from labels and embeddings at any time; decisions are kept for ever.
review_items = Table(
    "review_items",
    metadata,
    Column("network_id", Integer, primary_key=True, autoincrement=False),
    Column("content_id", BigInteger, primary_key=True, autoincrement=False),
    Column("track_no", SmallInteger, primary_key=True, autoincrement=False),
    Column("worth", Double, nullable=False, comment="views x confidence x (1 - confidence)"),
    Column(
        "candidates",
        Json,
        comment="of a track without a name, best first: [[identity_id, score, confidence], …]; NULL: labels have them",
    ),
    Column("leased_to", Text, comment="name of the account that has it in hand"),
    Column("leased_until", UtcTime),
    Column("decided_at", UtcTime),
    Index(
        "ix_review_items_leased",
        "leased_to",
        postgresql_where=text("leased_to IS NOT NULL"),
        sqlite_where=text("leased_to IS NOT NULL"),
    ),
)

Index(
    "ix_review_items_open",
    review_items.c.network_id,
    review_items.c.worth.desc(),
    review_items.c.content_id,
    review_items.c.track_no,
    postgresql_where=text("decided_at IS NULL"),
    sqlite_where=text("decided_at IS NULL"),
)

review_decisions = Table(
    "review_decisions",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("network_id", Integer, nullable=False),
    Column("content_id", BigInteger, nullable=False),
    Column("track_no", SmallInteger, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("decided_by", Text, nullable=False, comment="name of the account"),
    Column("decided_at", UtcTime, nullable=False),
    Column("correction_id", BigInteger, comment="what was said by it; NULL where the track was skipped"),
    Column("undone_at", UtcTime),
    CheckConstraint("verdict IN ('right', 'wrong', 'is', 'skip')", name="verdict"),
    Index(None, "decided_by", "decided_at"),
    Index(None, "decided_at"),
    Index(None, "network_id", "content_id", "track_no"),
)

review_scans = Table(
    "review_scans",
    metadata,
    Column("network_id", Integer, ForeignKey("networks.id"), primary_key=True, autoincrement=False),
    Column("labelling_id", Integer, nullable=False, comment="whose names are looked at"),
    Column("after_content_id", BigInteger, nullable=False, comment="all contents up to here were looked at"),
    Column("scanned_at", UtcTime, nullable=False),
)
