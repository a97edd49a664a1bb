"""Tracks of one person, whoever that is."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    text,
)

from annotator.store.columns import BigId, UtcTime
from annotator.store.tables.base import metadata

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
    Column(
        "from_network_id",
        Integer,
        comment="where a person has decided what the group is; NULL: under its own network",
    ),
    Column("from_group_no", Integer, comment="what the group is called there"),
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

# Tracks that a person has put into groups, and whose contents were annotated anew since: they are looked for.
awaited_tracks = Table(
    "awaited_tracks",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("network_id", Integer, nullable=False),
    Column("content_id", BigInteger, nullable=False),
    Column("group_no", Integer, nullable=False, comment="of track_groups, that a person has put it into"),
    Column("boxes", LargeBinary, nullable=False, comment="of the track that was looked at: they find it"),
    Index(None, "content_id"),
    Index(None, "network_id", "group_no"),
)

grouped_contents = Table(
    "grouped_contents",
    metadata,
    Column("network_id", Integer, primary_key=True, autoincrement=False),
    Column("content_id", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
