"""The work of a backlog: what is to be done, by whom, how far it is, and who is told."""

from enum import IntEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from annotator.store.columns import BigId, IdList, Json, Key, UtcTime
from annotator.store.tables.base import BY_NETWORK, metadata


class WorkState(IntEnum):
    """What has become of (network, media)."""

    PENDING = 0
    CLAIMED = 1
    DONE = 2
    FAILED = 3
    QUARANTINED = 4


class ChunkState(IntEnum):
    """Where a chunk of media ids is. A chunk whose media are all settled is deleted."""

    WAITING = 0
    PUBLISHED = 1


work = Table(
    "work",
    metadata,
    Column("network_id", Integer, primary_key=True),
    Column("media_id", BigInteger, primary_key=True),
    Column("state", SmallInteger, nullable=False, comment="WorkState", server_default=text("0")),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0")),
    Column("losses", SmallInteger, nullable=False, server_default=text("0")),
    Column("deaths", SmallInteger, nullable=False, server_default=text("0"), comment="of its process, while alone"),
    Column("suspect", Boolean, nullable=False, server_default=text("false"), comment="runs alone next time"),
    Column("session_id", BigInteger),
    Column("deadline_at", UtcTime),
    Column("not_before", UtcTime),
    Column("finished_at", UtcTime),
    Column("reason", Text),
    Column("message", Text),
    Column("run_id", Integer, comment="the backlog that asked for it last"),
    Column("lane", Text, nullable=False, server_default=text("'gif'")),
    Column("cost_ms", Integer, nullable=False, server_default=text("0"), comment="estimated"),
    Column(
        "free_tries",
        SmallInteger,
        nullable=False,
        server_default=text("0"),
        comment="that failed by no fault of the media, since it was asked for",
    ),
    Index("ix_work_deadline", "deadline_at", postgresql_where=text("state = 1"), sqlite_where=text("state = 1")),
    Index(
        "ix_work_failures",
        "network_id",
        "reason",
        "finished_at",
        "media_id",
        postgresql_where=text("state >= 3"),
        sqlite_where=text("state >= 3"),
    ),
    sqlite_with_rowid=False,
    **BY_NETWORK,
)

chunks = Table(
    "chunks",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("network_id", Integer, nullable=False),
    Column("run_id", Integer),
    Column("lane", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False, server_default=text("0"), comment="higher goes first"),
    Column("state", SmallInteger, nullable=False, server_default=text("0"), comment="ChunkState"),
    Column("media_ids", IdList, nullable=False),
    Column("cost_ms", Integer, nullable=False, server_default=text("0"), comment="estimated"),
    Column("not_before", UtcTime),
    Column("published_at", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("queue", Text, comment="where it was published"),
    Column("session_id", BigInteger, comment="who has taken its message"),
    Index("ix_chunks_published", "published_at", postgresql_where=text("state = 1"), sqlite_where=text("state = 1")),
)

Index(
    "ix_chunks_due",
    chunks.c.lane,
    chunks.c.priority.desc(),
    chunks.c.id,
    postgresql_where=text("state = 0"),
    sqlite_where=text("state = 0"),
)

Index(
    "ix_chunks_age",
    chunks.c.lane,
    chunks.c.id,
    postgresql_where=text("state = 0"),
    sqlite_where=text("state = 0"),
)

# The same two for the chunks of one network: those of others that wait are not looked at.
Index(
    "ix_chunks_due_of_network",
    chunks.c.network_id,
    chunks.c.lane,
    chunks.c.priority.desc(),
    chunks.c.id,
    postgresql_where=text("state = 0"),
    sqlite_where=text("state = 0"),
)

Index(
    "ix_chunks_age_of_network",
    chunks.c.network_id,
    chunks.c.lane,
    chunks.c.id,
    postgresql_where=text("state = 0"),
    sqlite_where=text("state = 0"),
)

worker_sessions = Table(
    "worker_sessions",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("worker", Text, nullable=False, comment="host and process"),
    Column("lanes", Json, nullable=False),
    Column("in_hand", Integer, nullable=False, server_default=text("0")),
    Column("started_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("queues", Json, comment="what it consumes"),
    Column("device", Text, comment="what its networks run on"),
    Column("busy", Json, comment="of the last window: share of time that each stage was busy"),
    Column("media_done", Integer, nullable=False, server_default=text("0"), comment="settled in this session"),
    Column("network_id", Integer, comment="which network it runs"),
    Column("labelling_id", Integer, comment="what labels its results"),
    Index(
        "ix_worker_sessions_open",
        "seen_at",
        postgresql_where=text("ended_at IS NULL"),
        sqlite_where=text("ended_at IS NULL"),
    ),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("network_id", Integer, ForeignKey("networks.id"), nullable=False),
    Column("source_id", Integer, ForeignKey("sources.id"), nullable=False),
    Column("prefix", Key, nullable=False),
    Column("options", Json, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("listed_at", UtcTime),
    Column("priority", SmallInteger, nullable=False, server_default=text("0"), comment="higher goes first"),
    Column("callback_url", Text, comment="who is told of each media and of the end"),
    Column("deadline_at", UtcTime, comment="when what is pending is no longer wanted"),
    Column("max_worker_s", Double, comment="budget: worker time that may be spent"),
    Column("stopped_at", UtcTime, comment="what was pending then is no longer queued"),
    Column("stop_reason", Text),
    Column("finished_at", UtcTime, comment="listed, and nothing pending or claimed"),
    Column("worker_s", Double, nullable=False, server_default=text("0"), comment="worker time spent"),
    Column("worker_s_at", UtcTime, comment="up to when worker_s is summed up"),
    Column(
        "callback_failures",
        SmallInteger,
        nullable=False,
        server_default=text("0"),
        comment="of its receiver, in a row",
    ),
    Column("callback_not_before", UtcTime, comment="when its receiver is tried again"),
    Column("folded_at", UtcTime, comment="its counts are summed up with those of other former backlogs"),
    Column("gone_refused", BigInteger, comment="known media that its listing lacked: too many to be taken for gone"),
)

listing_shards = Table(
    "listing_shards",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("run_id", Integer, ForeignKey("runs.id"), nullable=False),
    Column("prefix", Key, nullable=False),
    Column("after_key", Key, nullable=False, server_default=text("''")),
    Column("end_key", Key),
    Column("pages", Integer, nullable=False, server_default=text("0")),
    Column("listed", BigInteger, nullable=False, server_default=text("0")),
    Column("done", Boolean, nullable=False, server_default=text("false")),
    Column("start_key", Key, nullable=False, server_default=text("''"), comment="where the shard begins, exclusive"),
    Column("missing", BigInteger, nullable=False, server_default=text("0"), comment="known media that were not listed"),
    UniqueConstraint("run_id", "prefix", "start_key"),
)

# What a backlog with --refresh has asked for: the results stay, and are found, until new ones replace them.
stale_contents = Table(
    "stale_contents",
    metadata,
    Column("network_id", Integer, primary_key=True, autoincrement=False),
    Column("content_id", BigInteger, primary_key=True, autoincrement=False),
)

# Every transaction that moves rows of `work` appends here by how much: nobody updates a hot row, nobody waits. Beat
# sums the deltas up into `work_counts`; the counts of now are both together. Zero means «no run», '' means «no reason».
work_deltas = Table(
    "work_deltas",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("network_id", Integer, nullable=False),
    Column("run_id", Integer, nullable=False),
    Column("lane", Text, nullable=False),
    Column("state", SmallInteger, nullable=False, comment="WorkState"),
    Column("reason", Text, nullable=False, server_default=text("''")),
    Column("media", BigInteger, nullable=False),
    Column("cost_ms", BigInteger, nullable=False),
)

work_counts = Table(
    "work_counts",
    metadata,
    Column("network_id", Integer, primary_key=True),
    Column("run_id", Integer, primary_key=True),
    Column("lane", Text, primary_key=True),
    Column("state", SmallInteger, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("media", BigInteger, nullable=False),
    Column("cost_ms", BigInteger, nullable=False),
)

progress = Table(
    "progress",
    metadata,
    Column("network_id", Integer, primary_key=True),
    Column("lane", Text, primary_key=True),
    Column("at", UtcTime, primary_key=True),
    Column("pending", BigInteger, nullable=False),
    Column("claimed", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False, comment="quarantined included"),
    Column("pending_cost_ms", BigInteger, nullable=False),
    Column("done_cost_ms", BigInteger, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("run_id", Integer, nullable=False),
    Column("media_id", BigInteger, comment="NULL: the backlog itself"),
    Column("event", Text, nullable=False),
    Column("idempotency_key", Text, nullable=False, unique=True),
    Column("payload", Json, nullable=False),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0")),
    Column("not_before", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("delivered_at", UtcTime),
    Column("given_up_at", UtcTime),
    Column("message", Text, comment="what the last try came to"),
    Index(
        "ix_outbox_due",
        "run_id",
        "id",
        postgresql_where=text("delivered_at IS NULL AND given_up_at IS NULL"),
        sqlite_where=text("delivered_at IS NULL AND given_up_at IS NULL"),
    ),
    Index(
        "ix_outbox_delivered",
        "delivered_at",
        postgresql_where=text("delivered_at IS NOT NULL"),
        sqlite_where=text("delivered_at IS NOT NULL"),
    ),
    Index(
        "ix_outbox_given_up",
        "given_up_at",
        postgresql_where=text("given_up_at IS NOT NULL"),
        sqlite_where=text("given_up_at IS NOT NULL"),
    ),
)

scaling = Table(
    "scaling",
    metadata,
    Column("queue", Text, primary_key=True),
    Column("desired_workers", Integer, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)
