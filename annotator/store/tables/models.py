"""Networks, models, labellings, which of them is shown, and how it came to be."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from annotator.store.columns import Json, UtcTime
from annotator.store.tables.base import metadata

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
