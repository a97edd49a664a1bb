"""Counts that are rolled up, as of a time."""

from sqlalchemy import BigInteger, Column, Double, Index, Integer, SmallInteger, Table

from annotator.store.columns import UtcTime
from annotator.store.tables.base import metadata

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
