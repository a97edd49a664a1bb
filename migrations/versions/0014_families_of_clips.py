"""Families of clips: what contents are known by when they come again, and which are one clip.

Revision ID: 0014
Revises: 0013

It only adds, so programs of 0013 go on; what they annotate meanwhile has no fingerprint, and no family before it is
annotated anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

UTC_TIME = sa.DateTime(timezone=True)
VIEWS = {
    "duplicate_media": """
SELECT f.family_id AS family,
       s.uri || m.key AS media_uri,
       f.changes AS changes,
       f.likeness AS likeness,
       (SELECT o.uri || n.key FROM media n JOIN sources o ON o.id = n.source_id
        WHERE n.id = (SELECT min(p.id) FROM media p WHERE p.content_id = f.like_content_id AND p.deleted_at IS NULL)
       ) AS like_uri,
       s.uri AS source_uri,
       m.key AS media_key,
       m.id AS media_id,
       f.content_id AS content_id
FROM content_families f
JOIN media m ON m.content_id = f.content_id AND m.deleted_at IS NULL
JOIN sources s ON s.id = m.source_id
""",
    "family_labels": """
SELECT f.family_id AS family,
       i.name AS identity,
       i.kg_mid AS kg_mid,
       max(l.confidence) AS confidence,
       count(DISTINCT l.content_id) AS contents,
       (SELECT count(*) FROM content_families g WHERE g.family_id = f.family_id) AS family_contents
FROM content_families f
JOIN content_labels_by l ON l.content_id = f.content_id AND l.labelling_id = (SELECT labelling_id FROM active)
JOIN identities a ON a.id = l.identity_id
JOIN identities i ON i.id = a.survivor_id
GROUP BY f.family_id, i.id, i.name, i.kg_mid
""",
}


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "fingerprints",
        sa.Column("content_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pictures", sa.LargeBinary(), nullable=False, comment="32 x 18 greys each, two in a byte"),
        sa.Column("pts_ms", sa.LargeBinary(), nullable=False, comment="when each appears: int32, little-endian"),
        sa.Column("codes", sa.LargeBinary(), nullable=False, comment="what it is looked for by: uint64, little-endian"),
        sa.Column("compared_at", UTC_TIME, nullable=True, comment="when its family was looked for"),
        sa.PrimaryKeyConstraint("content_id", name=op.f("pk_fingerprints")),
    )
    is_new = sa.text("compared_at IS NULL")
    op.create_index("ix_fingerprints_new", "fingerprints", ["content_id"], postgresql_where=is_new, sqlite_where=is_new)
    op.create_table(
        "content_families",
        sa.Column("content_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("family_id", sa.BigInteger(), nullable=False, comment="the smallest content id of the family"),
        sa.Column("like_content_id", sa.BigInteger(), nullable=True, comment="which it was found to be one clip with"),
        sa.Column("likeness", sa.Double(), nullable=True, comment="correlation of the two most alike pictures"),
        sa.Column(
            "changes",
            sa.Text(),
            nullable=False,
            comment="mirrored, cropped, trimmed; empty for none that pictures tell",
        ),
        sa.PrimaryKeyConstraint("content_id", name=op.f("pk_content_families")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_content_families_family_id"), "content_families", ["family_id"])
    for name, body in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {body}")


def downgrade() -> None:
    """Take back."""
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
    op.drop_table("content_families")
    op.drop_table("fingerprints")
