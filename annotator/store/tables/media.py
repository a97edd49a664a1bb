"""Media, their contents, what is known of both before anybody looks for faces."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from annotator.store.columns import BigId, Key, UtcTime
from annotator.store.tables.base import metadata

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

media_views = Table(
    "media_views",
    metadata,
    Column("media_id", BigInteger, primary_key=True, autoincrement=False),
    Column("views", Double, nullable=False, comment="how often it is viewed, as somebody has told"),
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
