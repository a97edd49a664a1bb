"""Who was merged into whom is kept, so that a merge can be taken back.

Revision ID: 0022
Revises: 0021

It only adds, so programs of 0021 go on. What they merge meanwhile cannot be taken back. Merges of before can; of these
the photographs, and labels in contents that showed both, were rewritten, and stay with who remained.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

VIEW = """
SELECT s.uri || m.key AS media_uri,
       i.name AS identity,
       i.kg_mid AS kg_mid,
       l.confidence AS confidence,
       l.first_ms AS first_seen_ms,
       l.last_ms AS last_seen_ms,
       l.screen_ms AS screen_time_ms,
       (SELECT b.model FROM labellings b WHERE b.id = l.labelling_id) AS model,
       l.labelled_at AS annotated_at,
       s.uri AS source_uri,
       m.key AS media_key,
       m.id AS media_id,
       l.identity_id AS identity_id,
       l.content_id AS content_id,
       coalesce((SELECT min(CASE WHEN t.is_picture THEN 1 ELSE 0 END)
                 FROM track_labels k
                 JOIN identities o ON o.id = k.identity_id AND o.survivor_id = a.survivor_id
                 JOIN tracks t ON t.content_id = k.content_id AND t.track_no = k.track_no
                              AND t.network_id = (SELECT network_id FROM active)
                 WHERE k.labelling_id = (SELECT labelling_id FROM active)
                   AND k.content_id = l.content_id), 0) = 1 AS is_picture
FROM content_labels_by l
JOIN identities a ON a.id = l.identity_id
JOIN identities i ON i.id = a.survivor_id
JOIN media m ON m.content_id = l.content_id AND m.deleted_at IS NULL
JOIN sources s ON s.id = m.source_id
WHERE l.labelling_id = (SELECT labelling_id FROM active)
"""
FORMER_VIEW = """
SELECT s.uri || m.key AS media_uri,
       i.name AS identity,
       i.kg_mid AS kg_mid,
       l.confidence AS confidence,
       l.first_ms AS first_seen_ms,
       l.last_ms AS last_seen_ms,
       l.screen_ms AS screen_time_ms,
       (SELECT b.model FROM labellings b WHERE b.id = l.labelling_id) AS model,
       l.labelled_at AS annotated_at,
       s.uri AS source_uri,
       m.key AS media_key,
       m.id AS media_id,
       l.identity_id AS identity_id,
       l.content_id AS content_id,
       coalesce((SELECT min(CASE WHEN t.is_picture THEN 1 ELSE 0 END)
                 FROM track_labels k
                 JOIN tracks t ON t.content_id = k.content_id AND t.track_no = k.track_no
                              AND t.network_id = (SELECT network_id FROM active)
                 WHERE k.labelling_id = (SELECT labelling_id FROM active)
                   AND k.content_id = l.content_id AND k.identity_id = l.identity_id), 0) = 1 AS is_picture
FROM content_labels_by l
JOIN identities a ON a.id = l.identity_id
JOIN identities i ON i.id = a.survivor_id
JOIN media m ON m.content_id = l.content_id AND m.deleted_at IS NULL
JOIN sources s ON s.id = m.source_id
WHERE l.labelling_id = (SELECT labelling_id FROM active)
"""


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "merges",
        sa.Column("identity_id", sa.Integer(), nullable=False, comment="who was given up"),
        sa.Column("into_id", sa.Integer(), nullable=False, comment="who remained"),
        sa.Column(
            "gave_kg_mid",
            sa.Boolean(),
            nullable=False,
            comment="who remained had no Knowledge Graph id and got this one",
        ),
        sa.Column("merged_at", sa.DateTime(timezone=True), nullable=True, comment="NULL: before this was kept"),
        sa.Column(
            "merged_by", sa.Text(), nullable=True, comment="user and machine, or an account of the web application"
        ),
        sa.ForeignKeyConstraint(["identity_id"], ["identities.id"], name=op.f("fk_merges_identity_id")),
        sa.ForeignKeyConstraint(["into_id"], ["identities.id"], name=op.f("fk_merges_into_id")),
        sa.PrimaryKeyConstraint("identity_id", name=op.f("pk_merges")),
    )
    op.execute(
        "INSERT INTO merges (identity_id, into_id, gave_kg_mid)"
        " SELECT id, merged_into, false FROM identities WHERE merged_into IS NOT NULL"
    )
    _show_people_by(VIEW)


def downgrade() -> None:
    """Take back."""
    _show_people_by(FORMER_VIEW)
    op.drop_table("merges")


def _show_people_by(body: str) -> None:
    if op.get_bind().dialect.name == "postgresql":  # the same columns: views that others made on it stay
        op.execute(f"CREATE OR REPLACE VIEW content_labels AS {body}")
    else:
        op.execute("DROP VIEW content_labels")
        op.execute(f"CREATE VIEW content_labels AS {body}")
