"""What a network has found, and what a labelling says of it: the big tables."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, LargeBinary, SmallInteger, Table, Text

from annotator.store.columns import Json, UtcTime
from annotator.store.tables.base import BY_LABELLING, BY_NETWORK, metadata

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
    **BY_NETWORK,
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
    **BY_NETWORK,
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
    **BY_NETWORK,
)

labelled_contents = Table(
    "labelled_contents",
    metadata,
    Column("labelling_id", Integer, primary_key=True),
    Column("content_id", BigInteger, primary_key=True),
    Column("labelled_at", UtcTime, nullable=False),
    **BY_LABELLING,
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
    **BY_LABELLING,
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
    **BY_LABELLING,
)

Index("ix_content_labels_by_time", content_labels_by.c.labelling_id, content_labels_by.c.labelled_at)

Index(
    "ix_content_labels_by_identity",
    content_labels_by.c.labelling_id,
    content_labels_by.c.identity_id,
    content_labels_by.c.confidence.desc(),
    content_labels_by.c.content_id,
)
