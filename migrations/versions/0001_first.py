"""The first schema: media, contents, networks, labellings, people, results, work; and the views.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
ID_LIST = sa.JSON().with_variant(postgresql.ARRAY(sa.BigInteger()), "postgresql")
UTC_TIME = sa.DateTime(timezone=True)

VIEWS = {
    "content_labels": """
SELECT s.uri || m.key AS media_uri,
       i.name AS identity,
       i.kg_mid AS kg_mid,
       l.confidence AS confidence,
       l.first_ms AS first_seen_ms,
       l.last_ms AS last_seen_ms,
       l.screen_ms AS screen_time_ms,
       (SELECT b.model FROM labellings b WHERE b.id = l.labelling_id) AS model,
       l.labelled_at AS annotated_at
FROM content_labels_by l
JOIN identities a ON a.id = l.identity_id
JOIN identities i ON i.id = a.survivor_id
JOIN media m ON m.content_id = l.content_id AND m.deleted_at IS NULL
JOIN sources s ON s.id = m.source_id
WHERE l.labelling_id = (SELECT labelling_id FROM active)
""",
    "identity_counts": """
SELECT i.name AS identity,
       i.kg_mid AS kg_mid,
       count(*) AS media,
       count(DISTINCT l.content_id) AS contents,
       sum(l.screen_ms) AS screen_time_ms,
       max(l.confidence) AS best_confidence
FROM content_labels_by l
JOIN identities a ON a.id = l.identity_id
JOIN identities i ON i.id = a.survivor_id
JOIN media m ON m.content_id = l.content_id AND m.deleted_at IS NULL
WHERE l.labelling_id = (SELECT labelling_id FROM active)
GROUP BY i.id, i.name, i.kg_mid
""",
    "co_appearances": """
SELECT i.name AS identity,
       j.name AS other_identity,
       count(*) AS media,
       count(DISTINCT l.content_id) AS contents
FROM content_labels_by l
JOIN content_labels_by r ON r.content_id = l.content_id AND r.labelling_id = (SELECT labelling_id FROM active)
JOIN identities a ON a.id = l.identity_id
JOIN identities i ON i.id = a.survivor_id
JOIN identities b ON b.id = r.identity_id
JOIN identities j ON j.id = b.survivor_id
JOIN media m ON m.content_id = l.content_id AND m.deleted_at IS NULL
WHERE l.labelling_id = (SELECT labelling_id FROM active) AND i.id <> j.id
GROUP BY i.id, i.name, j.id, j.name
""",
    "unknown_tracks": """
SELECT s.uri || m.key AS media_uri,
       t.track_no AS track,
       t.first_ms AS first_seen_ms,
       t.last_ms AS last_seen_ms,
       t.screen_ms AS screen_time_ms,
       t.faces AS faces,
       t.face_px AS face_px,
       t.quality AS quality,
       (SELECT b.model FROM labellings b WHERE b.id = c.labelling_id) AS model,
       c.labelled_at AS annotated_at
FROM tracks t
JOIN labelled_contents c ON c.content_id = t.content_id AND c.labelling_id = (SELECT labelling_id FROM active)
JOIN media m ON m.content_id = t.content_id AND m.deleted_at IS NULL
JOIN sources s ON s.id = m.source_id
WHERE t.network_id = (SELECT network_id FROM active)
  AND NOT EXISTS (SELECT 1 FROM track_labels k
                  WHERE k.labelling_id = (SELECT labelling_id FROM active)
                    AND k.content_id = t.content_id AND k.track_no = t.track_no)
""",
    "failures": """
SELECT s.uri || m.key AS media_uri,
       CASE w.state WHEN 4 THEN 'quarantined' ELSE 'failed' END AS status,
       w.reason AS reason,
       w.message AS message,
       w.attempts AS attempts,
       w.finished_at AS failed_at
FROM work w
JOIN media m ON m.id = w.media_id AND m.deleted_at IS NULL
JOIN sources s ON s.id = m.source_id
WHERE w.network_id = (SELECT network_id FROM active) AND w.state >= 3
""",
}


def _media() -> None:
    op.create_table(
        "sources",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False, comment="file:///, s3://bucket/, https://host/"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sources")),
        sa.UniqueConstraint("uri", name=op.f("uq_sources_uri")),
    )
    op.create_table(
        "contents",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("length(sha256) = 32", name=op.f("ck_contents_sha256")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contents")),
        sa.UniqueConstraint("sha256", name=op.f("uq_contents_sha256")),
    )
    op.create_table(
        "media",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("key", KEY, nullable=False, comment="its URI is sources.uri || key"),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("content_id", sa.BigInteger(), nullable=True, comment="what its bytes are, once read"),
        sa.Column("deleted_at", UTC_TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media")),
        sa.UniqueConstraint("source_id", "key", name=op.f("uq_media_source_id_key")),
    )
    op.create_index("ix_media_content_id", "media", ["content_id"], postgresql_where=sa.text("content_id IS NOT NULL"))


def _versions() -> None:
    op.create_table(
        "networks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False, comment="sha256 of the canonical JSON of spec"),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_networks")),
        sa.UniqueConstraint("digest", name=op.f("uq_networks_digest")),
    )
    op.create_table(
        "models",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("manifest", JSON, nullable=False),
        sa.Column("installed_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_models_name_version")),
    )
    op.create_table(
        "labellings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False, comment="as users see it: starter@1"),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("retired_at", UTC_TIME, nullable=True),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name=op.f("fk_labellings_network_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_labellings")),
        sa.UniqueConstraint("network_id", "digest", name=op.f("uq_labellings_network_id_digest")),
    )
    op.create_table(
        "active",
        sa.Column("only_row", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("labelling_id", sa.Integer(), nullable=False),
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("switched_at", UTC_TIME, nullable=False),
        sa.CheckConstraint("only_row = 1", name=op.f("ck_active_only_row")),
        sa.ForeignKeyConstraint(["labelling_id"], ["labellings.id"], name=op.f("fk_active_labelling_id")),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name=op.f("fk_active_network_id")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_active")),
    )


def _people() -> None:
    op.create_table(
        "identities",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False, comment="the name without case and accents, for searching"),
        sa.Column("kg_mid", sa.Text(), nullable=True),
        sa.Column("merged_into", sa.Integer(), nullable=True, comment="the identity that took over, never a chain"),
        sa.Column("survivor_id", sa.Integer(), sa.Computed("coalesce(merged_into, id)", persisted=True), nullable=True),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.ForeignKeyConstraint(["merged_into"], ["identities.id"], name=op.f("fk_identities_merged_into")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identities")),
        sa.UniqueConstraint("name", name=op.f("uq_identities_name")),
    )
    op.create_index("ix_identities_name_key", "identities", ["name_key"])
    op.create_index("ix_identities_survivor_id", "identities", ["survivor_id"])
    op.create_table(
        "identity_aliases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("identity_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["identity_id"], ["identities.id"], name=op.f("fk_identity_aliases_identity_id")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_identity_aliases")),
    )
    op.create_index("ix_identity_aliases_identity_id", "identity_aliases", ["identity_id"])
    op.create_index("ix_identity_aliases_name_key", "identity_aliases", ["name_key"])
    op.create_table(
        "labelling_identities",
        sa.Column("labelling_id", sa.Integer(), nullable=False),
        sa.Column("identity_id", sa.Integer(), nullable=False),
        sa.Column("photographs", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["identity_id"], ["identities.id"], name=op.f("fk_labelling_identities_identity_id")),
        sa.ForeignKeyConstraint(["labelling_id"], ["labellings.id"], name=op.f("fk_labelling_identities_labelling_id")),
        sa.PrimaryKeyConstraint("labelling_id", "identity_id", name=op.f("pk_labelling_identities")),
    )
    op.create_index("ix_labelling_identities_identity_id", "labelling_identities", ["identity_id"])
    op.create_table(
        "enrolled_faces",
        sa.Column("identity_id", sa.Integer(), nullable=False),
        sa.Column("embedder", sa.Text(), nullable=False),
        sa.Column("photo_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=False, comment="float32, little-endian, unit norm"),
        sa.Column("added_at", UTC_TIME, nullable=False),
        sa.ForeignKeyConstraint(["identity_id"], ["identities.id"], name=op.f("fk_enrolled_faces_identity_id")),
        sa.PrimaryKeyConstraint("identity_id", "embedder", "photo_sha256", name=op.f("pk_enrolled_faces")),
    )


def _found() -> None:
    op.create_table(
        "annotations",
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("content_id", sa.BigInteger(), nullable=False),
        sa.Column("width_px", sa.Integer(), nullable=False),
        sa.Column("height_px", sa.Integer(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        sa.Column("frames_decoded", sa.Integer(), nullable=False),
        sa.Column("frames_distinct", sa.Integer(), nullable=False),
        sa.Column("frames_sampled", sa.Integer(), nullable=False),
        sa.Column("faces", sa.Integer(), nullable=False),
        sa.Column("damage", sa.Text(), nullable=True),
        sa.Column("annotated_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("network_id", "content_id", name=op.f("pk_annotations")),
        postgresql_partition_by="LIST (network_id)",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tracks",
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("content_id", sa.BigInteger(), nullable=False),
        sa.Column("track_no", sa.SmallInteger(), nullable=False),
        sa.Column("shot_no", sa.Integer(), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("screen_ms", sa.BigInteger(), nullable=False),
        sa.Column("faces", sa.Integer(), nullable=False, comment="detections in the track"),
        sa.Column(
            "face_px",
            sa.Double(),
            nullable=True,
            comment="of its best face, the side of the aligned square in source pixels",
        ),
        sa.Column("quality", sa.Double(), nullable=True, comment="of its best face, in [0, 1]"),
        sa.Column("boxes", sa.LargeBinary(), nullable=False, comment="annotator.store.codec"),
        sa.PrimaryKeyConstraint("network_id", "content_id", "track_no", name=op.f("pk_tracks")),
        postgresql_partition_by="LIST (network_id)",
    )
    op.create_table(
        "track_embeddings",
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("content_id", sa.BigInteger(), nullable=False),
        sa.Column("track_no", sa.SmallInteger(), nullable=False),
        sa.Column(
            "embeddings", sa.LargeBinary(), nullable=False, comment="float16, little-endian, K x D, best face first"
        ),
        sa.Column("face_px", sa.LargeBinary(), nullable=False, comment="float16, K"),
        sa.Column("quality", sa.LargeBinary(), nullable=False, comment="float16, K"),
        sa.PrimaryKeyConstraint("network_id", "content_id", "track_no", name=op.f("pk_track_embeddings")),
        postgresql_partition_by="LIST (network_id)",
    )


def _said() -> None:
    op.create_table(
        "labelled_contents",
        sa.Column("labelling_id", sa.Integer(), nullable=False),
        sa.Column("content_id", sa.BigInteger(), nullable=False),
        sa.Column("labelled_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("labelling_id", "content_id", name=op.f("pk_labelled_contents")),
        postgresql_partition_by="LIST (labelling_id)",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "track_labels",
        sa.Column("labelling_id", sa.Integer(), nullable=False),
        sa.Column("content_id", sa.BigInteger(), nullable=False),
        sa.Column("track_no", sa.SmallInteger(), nullable=False),
        sa.Column("identity_id", sa.Integer(), nullable=False, comment="known people only: unknown is absence"),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("runner_up_id", sa.Integer(), nullable=True),
        sa.Column("runner_up_score", sa.Double(), nullable=True),
        sa.Column("runner_up_confidence", sa.Double(), nullable=True),
        sa.Column(
            "candidates", JSON, nullable=True, comment="further ones, best first: [[identity_id, score, confidence], …]"
        ),
        sa.PrimaryKeyConstraint("labelling_id", "content_id", "track_no", name=op.f("pk_track_labels")),
        postgresql_partition_by="LIST (labelling_id)",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "content_labels_by",
        sa.Column("labelling_id", sa.Integer(), nullable=False),
        sa.Column("content_id", sa.BigInteger(), nullable=False),
        sa.Column("identity_id", sa.Integer(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("screen_ms", sa.BigInteger(), nullable=False),
        sa.Column("labelled_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("labelling_id", "content_id", "identity_id", name=op.f("pk_content_labels_by")),
        postgresql_partition_by="LIST (labelling_id)",
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_content_labels_by_identity",
        "content_labels_by",
        ["labelling_id", "identity_id", sa.text("confidence DESC"), "content_id"],
    )


def _work() -> None:
    op.create_table(
        "work",
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("media_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), server_default=sa.text("0"), nullable=False, comment="WorkState"),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("losses", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "deaths",
            sa.SmallInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="of its process, while alone",
        ),
        sa.Column(
            "suspect", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="runs alone next time"
        ),
        sa.Column("session_id", sa.BigInteger(), nullable=True),
        sa.Column("deadline_at", UTC_TIME, nullable=True),
        sa.Column("not_before", UTC_TIME, nullable=True),
        sa.Column("finished_at", UTC_TIME, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("network_id", "media_id", name=op.f("pk_work")),
        postgresql_partition_by="LIST (network_id)",
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_work_deadline",
        "work",
        ["deadline_at"],
        postgresql_where=sa.text("state = 1"),
        sqlite_where=sa.text("state = 1"),
    )
    op.create_index(
        "ix_work_failed",
        "work",
        ["network_id", "reason"],
        postgresql_where=sa.text("state >= 3"),
        sqlite_where=sa.text("state >= 3"),
    )
    op.create_table(
        "chunks",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column(
            "priority", sa.SmallInteger(), server_default=sa.text("0"), nullable=False, comment="higher goes first"
        ),
        sa.Column("state", sa.SmallInteger(), server_default=sa.text("0"), nullable=False, comment="ChunkState"),
        sa.Column("media_ids", ID_LIST, nullable=False),
        sa.Column("cost_ms", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="estimated"),
        sa.Column("not_before", UTC_TIME, nullable=True),
        sa.Column("published_at", UTC_TIME, nullable=True),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chunks")),
    )
    op.create_index(
        "ix_chunks_published",
        "chunks",
        ["published_at"],
        postgresql_where=sa.text("state = 1"),
        sqlite_where=sa.text("state = 1"),
    )
    op.create_index(
        "ix_chunks_due",
        "chunks",
        ["lane", sa.text("priority DESC"), "id"],
        postgresql_where=sa.text("state = 0"),
        sqlite_where=sa.text("state = 0"),
    )
    op.create_table(
        "worker_sessions",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("worker", sa.Text(), nullable=False, comment="host and process"),
        sa.Column("lanes", JSON, nullable=False),
        sa.Column("in_hand", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("started_at", UTC_TIME, nullable=False),
        sa.Column("seen_at", UTC_TIME, nullable=False),
        sa.Column("ended_at", UTC_TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker_sessions")),
    )
    op.create_index(
        "ix_worker_sessions_open",
        "worker_sessions",
        ["seen_at"],
        postgresql_where=sa.text("ended_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("prefix", KEY, nullable=False),
        sa.Column("options", JSON, nullable=False),
        sa.Column("started_at", UTC_TIME, nullable=False),
        sa.Column("listed_at", UTC_TIME, nullable=True),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name=op.f("fk_runs_network_id")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_runs_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_table(
        "listing_shards",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("prefix", KEY, nullable=False),
        sa.Column("after_key", KEY, server_default=sa.text("''"), nullable=False),
        sa.Column("end_key", KEY, nullable=True),
        sa.Column("pages", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("listed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("done", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_listing_shards_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listing_shards")),
        sa.UniqueConstraint("run_id", "prefix", "after_key", name=op.f("uq_listing_shards_run_id_prefix_after_key")),
    )
    op.create_table(
        "scaling",
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("desired_workers", sa.Integer(), nullable=False),
        sa.Column("updated_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("lane", name=op.f("pk_scaling")),
    )
    op.create_table(
        "store_settings",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_store_settings")),
    )


def upgrade() -> None:
    """Apply."""
    _media()
    _versions()
    _people()
    _found()
    _said()
    _work()
    for name, body in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {body}")


def downgrade() -> None:
    """Take back. All rows are lost; partitions go with their tables."""
    for name in VIEWS:
        op.execute(f"DROP VIEW {name}")
    for name in (
        "store_settings",
        "scaling",
        "listing_shards",
        "runs",
        "worker_sessions",
        "chunks",
        "work",
        "content_labels_by",
        "track_labels",
        "labelled_contents",
        "track_embeddings",
        "tracks",
        "annotations",
        "enrolled_faces",
        "labelling_identities",
        "identity_aliases",
        "identities",
        "active",
        "labellings",
        "models",
        "networks",
        "media",
        "contents",
        "sources",
    ):
        op.drop_table(name)
