"""People: their names, merges, photographs, and who must not be known any more."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)

from annotator.store.columns import IdList, Json, UtcTime
from annotator.store.tables.base import metadata

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
    Column(
        "identity_id",
        Integer,
        ForeignKey("identities.id", ondelete="CASCADE"),
        primary_key=True,
        comment="who was given up",
    ),
    Column("into_id", Integer, ForeignKey("identities.id", ondelete="CASCADE"), nullable=False, comment="who remained"),
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
    Column("left_to_do", Json, comment="sentences for a person, which name nobody; NULL until a step leaves some"),
    Column("folders", Json, comment="to be swept, [[path, machine], …], until it is finished; NULL then"),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="scrypt of a name, salted; it says no name"),
    Column("takedown_id", Integer, ForeignKey("takedowns.id"), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    CheckConstraint("length(digest) = 32", name="digest"),
)
