"""The tables: one definition for SQLite and Postgres, laid out for 10^9 media.

On Postgres the big tables are partitioned: LIST by network or labelling (retiring one is a DROP), below it RANGE by
content id (ids ascend: inserts stay local, old partitions freeze). ``annotator.store.partitions`` makes the partitions.
SQLite has the same tables, whole.

Foreign keys stand between the small tables only. A foreign key from a table of 10^9 rows to the one row of a network
would lock that row in every transaction of every worker; there the partition itself refuses an unknown network.
"""

from enum import IntEnum
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from annotator.store.columns import BigId, IdList, Json, Key, UtcTime


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


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

# ---------------------------------------------------------------------------------------------- media and contents

sources = Table(
    "sources",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uri", Text, nullable=False, unique=True, comment="file:///, s3://bucket/, https://host/"),
)

contents = Table(
    "contents",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("sha256", LargeBinary, nullable=False, unique=True),
    CheckConstraint("length(sha256) = 32", name="sha256"),
)

media = Table(
    "media",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("source_id", Integer, nullable=False),
    Column("key", Key, nullable=False, comment="its URI is sources.uri || key"),
    Column("etag", Text),
    Column("size_bytes", BigInteger),
    Column("content_id", BigInteger, comment="what its bytes are, once read"),
    Column("deleted_at", UtcTime),
    UniqueConstraint("source_id", "key"),
    Index(None, "content_id", postgresql_where=text("content_id IS NOT NULL")),
)

# --------------------------------------------------------------------------------------------- networks and labellings

networks = Table(
    "networks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", Text, nullable=False, unique=True, comment="sha256 of the canonical JSON of spec"),
    Column("spec", Json, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("uri", Text, nullable=False),
    Column("manifest", Json, nullable=False),
    Column("installed_at", UtcTime, nullable=False),
    UniqueConstraint("name", "version"),
)

labellings = Table(
    "labellings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("network_id", Integer, ForeignKey("networks.id"), nullable=False),
    Column("model", Text, nullable=False, comment="as users see it: starter@1"),
    Column("digest", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("retired_at", UtcTime),
    Column("used_at", UtcTime, comment="when a program has last begun to work with it"),
    Column("calibration", Json, comment="thresholds and confidence of its model"),
    UniqueConstraint("network_id", "digest"),
)

relabellings = Table(
    "relabellings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("labelling_id", Integer, ForeignKey("labellings.id"), nullable=False),
    Column("from_labelling_id", Integer, ForeignKey("labellings.id"), comment="what changes are counted against"),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("first_content_id", BigInteger, nullable=False, comment="it began after this one"),
    Column("after_content_id", BigInteger, nullable=False, comment="up to here all contents have labels"),
    Column("last_content_id", BigInteger, nullable=False, comment="the newest one when it began"),
    Column("contents", BigInteger, nullable=False, server_default=text("0")),
    Column("tracks", BigInteger, nullable=False, server_default=text("0")),
    Column("labels", BigInteger, nullable=False, server_default=text("0"), comment="tracks that have a name"),
    Column("tracks_added", BigInteger, nullable=False, server_default=text("0"), comment="had no name before"),
    Column("tracks_dropped", BigInteger, nullable=False, server_default=text("0"), comment="have no name any more"),
    Column("tracks_flipped", BigInteger, nullable=False, server_default=text("0"), comment="have another name"),
    Index(
        "uq_relabellings_open",
        "labelling_id",
        unique=True,
        postgresql_where=text("finished_at IS NULL"),
        sqlite_where=text("finished_at IS NULL"),
    ),
)

active = Table(
    "active",
    metadata,
    Column("only_row", SmallInteger, primary_key=True, autoincrement=False),
    Column("labelling_id", Integer, ForeignKey("labellings.id"), nullable=False),
    Column("network_id", Integer, ForeignKey("networks.id"), nullable=False),
    Column("switched_at", UtcTime, nullable=False),
    CheckConstraint("only_row = 1", name="only_row"),
)

promotions = Table(
    "promotions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("labelling_id", Integer, ForeignKey("labellings.id"), nullable=False),
    Column("from_labelling_id", Integer, ForeignKey("labellings.id"), comment="shown before"),
    Column("happened_at", UtcTime, nullable=False),
    Column("done_by", Text, nullable=False, comment="user and machine"),
    Column("forced_reason", Text, comment="why it was promoted though the gate refused"),
    Column("tracks_added", BigInteger, comment="get a name"),
    Column("tracks_dropped", BigInteger, comment="lose theirs"),
    Column("tracks_flipped", BigInteger, comment="get another one"),
    Column("report", Json, comment="of the gate"),
    CheckConstraint("kind IN ('promotion', 'rollback', 'update', 'refusal')", name="kind"),
)

retrainings = Table(
    "retrainings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("experiment", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("step", Text, comment="in hand, or the last one"),
    Column("tries", SmallInteger, nullable=False, comment="how often the step in hand was begun"),
    Column("done", Json, nullable=False, comment="steps that have ended, with their seconds"),
    Column("news", Json, nullable=False, comment="digests of what it is made from"),
    Column("model", Text, nullable=False, comment="NAME@VERSION that it makes"),
    Column("outcome", Text, comment="promoted, held, failed, nothing new"),
    Column("reason", Text),
    Column("is_open", SmallInteger, unique=True, comment="1 until it ends, NULL then: one at a time"),
    CheckConstraint("cause IN ('schedule', 'command')", name="cause"),
    CheckConstraint("outcome IN ('promoted', 'held', 'failed', 'nothing new')", name="outcome"),
    CheckConstraint("(finished_at IS NULL) = (is_open IS NOT NULL)", name="open"),
)

# ------------------------------------------------------------------------------------------------------------ people

identities = Table(
    "identities",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("name_key", Text, nullable=False, comment="the name without case and accents, for searching"),
    Column("kg_mid", Text),
    Column("merged_into", Integer, ForeignKey("identities.id"), comment="the identity that took over, never a chain"),
    Column("survivor_id", Integer, Computed("coalesce(merged_into, id)", persisted=True)),
    Column("created_at", UtcTime, nullable=False),
    Index(None, "name_key"),
    Index(None, "survivor_id"),
    Index(None, "kg_mid"),
)

identity_aliases = Table(
    "identity_aliases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("name_key", Text, nullable=False),
    Column("identity_id", Integer, ForeignKey("identities.id"), nullable=False),
    Index(None, "name_key"),
    Index(None, "identity_id"),
)

# Who was merged into whom, at that time: what taking it back needs (annotator.store.merging). Else nothing is rewritten
# but sums: labels, photographs, aliases and corrections keep the identity that they were of.
merges = Table(
    "merges",
    metadata,
    Column("identity_id", Integer, ForeignKey("identities.id"), primary_key=True, comment="who was given up"),
    Column("into_id", Integer, ForeignKey("identities.id"), nullable=False, comment="who remained"),
    Column("gave_kg_mid", Boolean, nullable=False, comment="who remained had no Knowledge Graph id and got this one"),
    Column("merged_at", UtcTime, comment="NULL: before this was kept"),
    Column("merged_by", Text, comment="user and machine, or an account of the web application"),
)

labelling_identities = Table(
    "labelling_identities",
    metadata,
    Column("labelling_id", Integer, ForeignKey("labellings.id"), primary_key=True),
    Column("identity_id", Integer, ForeignKey("identities.id"), primary_key=True),
    Column("photographs", Integer, nullable=False),
    Index(None, "identity_id"),
)

enrolled_faces = Table(
    "enrolled_faces",
    metadata,
    Column("identity_id", Integer, ForeignKey("identities.id"), primary_key=True),
    Column("embedder", Text, primary_key=True),
    Column("photo_sha256", LargeBinary, primary_key=True),
    Column("embedding", LargeBinary, nullable=False, comment="float32, little-endian, unit norm"),
    Column("added_at", UtcTime, nullable=False),
)

# -------------------------------------------------------------------------------------- what a network found (big)

_BY_NETWORK: Final[dict[str, Any]] = {"postgresql_partition_by": "LIST (network_id)"}
_BY_LABELLING: Final[dict[str, Any]] = {"postgresql_partition_by": "LIST (labelling_id)", "sqlite_with_rowid": False}

annotations = Table(
    "annotations",
    metadata,
    Column("network_id", Integer, primary_key=True),
    Column("content_id", BigInteger, primary_key=True),
    Column("width_px", Integer, nullable=False),
    Column("height_px", Integer, nullable=False),
    Column("duration_ms", BigInteger),
    Column("frames_decoded", Integer, nullable=False),
    Column("frames_distinct", Integer, nullable=False),
    Column("frames_sampled", Integer, nullable=False),
    Column("faces", Integer, nullable=False),
    Column("damage", Text),
    Column("annotated_at", UtcTime, nullable=False),
    sqlite_with_rowid=False,
    **_BY_NETWORK,
)

tracks = Table(
    "tracks",
    metadata,
    Column("network_id", Integer, primary_key=True),
    Column("content_id", BigInteger, primary_key=True),
    Column("track_no", SmallInteger, primary_key=True),
    Column("shot_no", Integer, nullable=False),
    Column("first_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    Column("screen_ms", BigInteger, nullable=False),
    Column("faces", Integer, nullable=False, comment="detections in the track"),
    Column("face_px", Double, comment="of its best face, the side of the aligned square in source pixels"),
    Column("quality", Double, comment="of its best face, in [0, 1]"),
    Column("boxes", LargeBinary, nullable=False, comment="annotator.store.codec"),
    Column("is_picture", Boolean, comment="it shows a picture of somebody in the clip; NULL: not measured"),
    **_BY_NETWORK,
)

track_embeddings = Table(
    "track_embeddings",
    metadata,
    Column("network_id", Integer, primary_key=True),
    Column("content_id", BigInteger, primary_key=True),
    Column("track_no", SmallInteger, primary_key=True),
    Column("embeddings", LargeBinary, nullable=False, comment="float16, little-endian, K x D, best face first"),
    Column("face_px", LargeBinary, nullable=False, comment="float16, K"),
    Column("quality", LargeBinary, nullable=False, comment="float16, K"),
    **_BY_NETWORK,
)

# ------------------------------------------------------------------------------------- what a labelling says (big)

labelled_contents = Table(
    "labelled_contents",
    metadata,
    Column("labelling_id", Integer, primary_key=True),
    Column("content_id", BigInteger, primary_key=True),
    Column("labelled_at", UtcTime, nullable=False),
    **_BY_LABELLING,
)

track_labels = Table(
    "track_labels",
    metadata,
    Column("labelling_id", Integer, primary_key=True),
    Column("content_id", BigInteger, primary_key=True),
    Column("track_no", SmallInteger, primary_key=True),
    Column("identity_id", Integer, nullable=False, comment="known people only: unknown is absence"),
    Column("confidence", Double, nullable=False),
    Column("score", Double, nullable=False),
    Column("runner_up_id", Integer),
    Column("runner_up_score", Double),
    Column("runner_up_confidence", Double),
    Column("candidates", Json, comment="further ones, best first: [[identity_id, score, confidence], …]"),
    **_BY_LABELLING,
)

content_labels_by = Table(
    "content_labels_by",
    metadata,
    Column("labelling_id", Integer, primary_key=True),
    Column("content_id", BigInteger, primary_key=True),
    Column("identity_id", Integer, primary_key=True),
    Column("confidence", Double, nullable=False),
    Column("first_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    Column("screen_ms", BigInteger, nullable=False),
    Column("labelled_at", UtcTime, nullable=False),
    **_BY_LABELLING,
)
Index("ix_content_labels_by_time", content_labels_by.c.labelling_id, content_labels_by.c.labelled_at)
Index(
    "ix_content_labels_by_identity",
    content_labels_by.c.labelling_id,
    content_labels_by.c.identity_id,
    content_labels_by.c.confidence.desc(),
    content_labels_by.c.content_id,
)

# -------------------------------------------------------------------------------------------------------------- work

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
    **_BY_NETWORK,
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

media_views = Table(
    "media_views",
    metadata,
    Column("media_id", BigInteger, primary_key=True, autoincrement=False),
    Column("views", Double, nullable=False, comment="how often it is viewed, as somebody has told"),
)

# People who must not be known any more (annotator.takedown). What a row says of a person goes when it is finished.
takedowns = Table(
    "takedowns",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("done_by", Text, nullable=False, comment="user and machine"),
    Column("identity_ids", IdList, nullable=False, comment="who it is, until it is finished; empty then"),
    Column("embedder", Text, comment="of the faces"),
    Column("faces", LargeBinary, comment="n as int32, then float32 n x D: what tracks are compared with, NULL then"),
    Column("after_content_id", BigInteger, nullable=False, server_default=text("0"), comment="tracks done up to here"),
    Column("done", Json, nullable=False, comment="steps, with how much went in each, and whether it has ended"),
    Column("tombstones", Json, comment="of the person, hexadecimal; NULL: a former program has begun it"),
    Column("is_resumed", Boolean, comment="it was killed and went on"),
    Column("left_to_do", Json, comment="sentences for a person, which name nobody; NULL until it is finished"),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="scrypt of a name, salted; it says no name"),
    Column("takedown_id", Integer, ForeignKey("takedowns.id"), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    CheckConstraint("length(digest) = 32", name="digest"),
)

# Tracks of one person, whoever that is (annotator.grouping). A group that has become part of another one stays as a row
# that points to it, so that joining two rewrites no track.
groupings = Table(
    "groupings",
    metadata,
    Column("network_id", Integer, ForeignKey("networks.id"), primary_key=True, autoincrement=False),
    Column("rule", Text, nullable=False, comment="digest of all that decides about groups but the tracks"),
    Column("founded", Integer, nullable=False, comment="groups that were ever founded under the rule"),
    Column("next_no", Integer, nullable=False, comment="of the next group"),
    Column(
        "changes", BigInteger, nullable=False, comment="counts transactions: who has not seen the last one begins anew"
    ),
    Column("grouped_at", UtcTime, comment="when a run has last come to its end"),
)

track_groups = Table(
    "track_groups",
    metadata,
    Column("network_id", Integer, ForeignKey("networks.id"), primary_key=True, autoincrement=False),
    Column("group_no", Integer, primary_key=True, autoincrement=False),
    Column("tracks", Integer, nullable=False, comment="that its centre is made of"),
    Column("total", LargeBinary, nullable=False, comment="int32, little-endian: the sum of their points"),
    Column("merged_into", Integer, comment="the group that took over, never a chain"),
    Column("survivor_no", Integer, Computed("coalesce(merged_into, group_no)", persisted=True)),
    Column("is_kept", Boolean, nullable=False, server_default=text("false"), comment="a person has decided what it is"),
    Column("identity_id", Integer, ForeignKey("identities.id"), comment="who it was named as"),
    Index(None, "network_id", "survivor_no"),
)

grouped_tracks = Table(
    "grouped_tracks",
    metadata,
    Column("network_id", Integer, primary_key=True, autoincrement=False),
    Column("content_id", BigInteger, primary_key=True, autoincrement=False),
    Column("track_no", SmallInteger, primary_key=True, autoincrement=False),
    Column(
        "group_no", Integer, nullable=False, comment="that it has joined: track_groups.survivor_no is where it is now"
    ),
    Column("is_fixed", Boolean, nullable=False, server_default=text("false"), comment="a person has decided so"),
    Index(None, "network_id", "group_no"),
)

grouped_contents = Table(
    "grouped_contents",
    metadata,
    Column("network_id", Integer, primary_key=True, autoincrement=False),
    Column("content_id", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

# Known media that a listing under way has not found. When it has come to its end they are marked as gone, unless they
# are so many that the listing itself is in doubt.
fingerprints = Table(
    "fingerprints",
    metadata,
    Column("content_id", BigInteger, primary_key=True, autoincrement=False),
    Column("pictures", LargeBinary, nullable=False, comment="32 x 18 greys each, two in a byte"),
    Column("pts_ms", LargeBinary, nullable=False, comment="when each appears: int32, little-endian"),
    Column("codes", LargeBinary, nullable=False, comment="what it is looked for by: uint64, little-endian"),
    Column("compared_at", UtcTime, comment="when its family was looked for"),
    Index(
        "ix_fingerprints_new",
        "content_id",
        postgresql_where=text("compared_at IS NULL"),
        sqlite_where=text("compared_at IS NULL"),
    ),
)

content_families = Table(
    "content_families",
    metadata,
    Column("content_id", BigInteger, primary_key=True, autoincrement=False),
    Column("family_id", BigInteger, nullable=False, comment="the smallest content id of the family"),
    Column("like_content_id", BigInteger, comment="which it was found to be one clip with"),
    Column("likeness", Double, comment="correlation of the two most alike pictures"),
    Column("changes", Text, nullable=False, comment="mirrored, cropped, trimmed; empty for none that pictures tell"),
    Index(None, "family_id"),
    sqlite_with_rowid=False,
)

missing_media = Table(
    "missing_media",
    metadata,
    Column("media_id", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", Integer, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
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

# ---------------------------------------------------------------------------------------------- rolled up, as of a time

roll_ups = Table(
    "roll_ups",
    metadata,
    Column("labelling_id", Integer, primary_key=True, autoincrement=False),
    Column("as_of", UtcTime, nullable=False),
    Column("took_ms", Integer, nullable=False),
)

identity_counts_by = Table(
    "identity_counts_by",
    metadata,
    Column("labelling_id", Integer, primary_key=True),
    Column("identity_id", Integer, primary_key=True),
    Column("media", BigInteger, nullable=False),
    Column("contents", BigInteger, nullable=False),
    Column("screen_ms", BigInteger, nullable=False),
    Column("best_confidence", Double, nullable=False),
)

co_appearances_by = Table(
    "co_appearances_by",
    metadata,
    Column("labelling_id", Integer, primary_key=True),
    Column("identity_id", Integer, primary_key=True),
    Column("other_identity_id", Integer, primary_key=True),
    Column("media", BigInteger, nullable=False),
    Column("contents", BigInteger, nullable=False),
)

# Groups of strangers, counted under the names of a labelling (annotator.store.strangers.counting).
stranger_roll_ups = Table(
    "stranger_roll_ups",
    metadata,
    Column("labelling_id", Integer, primary_key=True, autoincrement=False),
    Column("as_of", UtcTime, nullable=False),
    Column("took_ms", Integer, nullable=False),
)

stranger_counts_by = Table(
    "stranger_counts_by",
    metadata,
    Column("labelling_id", Integer, primary_key=True, autoincrement=False),
    Column("group_no", Integer, primary_key=True, autoincrement=False, comment="of a group that is part of no other"),
    Column("changes", BigInteger, nullable=False, comment="as of which change of the groups: groupings.changes"),
    Column("contents", BigInteger, nullable=False),
    Column("media", BigInteger, nullable=False),
    Column("tracks", BigInteger, nullable=False, comment="that have no name"),
    Column("named_tracks", BigInteger, nullable=False),
    Column("screen_ms", BigInteger, nullable=False),
    Column("face_px", Double),
    Column("first_annotated_at", UtcTime, nullable=False),
    Column("last_annotated_at", UtcTime, nullable=False),
    Column("best_content_id", BigInteger, nullable=False, comment="whose track is the sharpest of the group"),
    Column("best_track_no", SmallInteger, nullable=False),
    Column("resembles_id", Integer, comment="whose name most of the named tracks have"),
)
Index(
    "ix_stranger_counts_by_most_seen",
    stranger_counts_by.c.labelling_id,
    stranger_counts_by.c.media.desc(),
    stranger_counts_by.c.screen_ms.desc(),
    stranger_counts_by.c.group_no,
)

scaling = Table(
    "scaling",
    metadata,
    Column("queue", Text, primary_key=True),
    Column("desired_workers", Integer, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)

store_settings = Table(
    "store_settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

# ------------------------------------------------------------------------------------------------- the web application

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
