"""Who was merged into whom is kept, so that a merge can be taken back.

Revision ID: 0022
Revises: 0021

It only adds, and programs of 0021 go on; but merge nobody until all programs are new: former ones take photographs and
labels of somebody who was merged for those of somebody else. Merges of before can be taken back, too; of these the
photographs, and labels in contents that showed both, were rewritten, and stay with who remained.
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
        # A takedown by a program of 0021 deletes identities, and knows no merges.
        sa.ForeignKeyConstraint(
            ["identity_id"], ["identities.id"], name=op.f("fk_merges_identity_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["into_id"], ["identities.id"], name=op.f("fk_merges_into_id"), ondelete="CASCADE"),
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
    _give_photographs_to_who_remained()
    _give_labels_to_who_remained()
    op.drop_table("merges")


def _give_photographs_to_who_remained() -> None:
    """Let who remained have all photographs, each once, as programs of 0021 left them."""
    op.execute(
        "DELETE FROM enrolled_faces WHERE EXISTS ("
        "SELECT 1 FROM identities mine"
        " JOIN identities other ON other.survivor_id = mine.survivor_id AND other.id <> mine.id"
        " JOIN enrolled_faces kept ON kept.identity_id = other.id"
        " WHERE mine.id = enrolled_faces.identity_id AND mine.merged_into IS NOT NULL"
        " AND kept.embedder = enrolled_faces.embedder AND kept.photo_sha256 = enrolled_faces.photo_sha256"
        " AND (other.merged_into IS NULL OR other.id < mine.id))"
    )
    op.execute(
        "UPDATE enrolled_faces SET identity_id ="
        " (SELECT i.survivor_id FROM identities i WHERE i.id = enrolled_faces.identity_id)"
        " WHERE identity_id IN (SELECT id FROM identities WHERE merged_into IS NOT NULL)"
    )


def _give_labels_to_who_remained() -> None:
    """Let who remained have the tracks of contents whose sum is of that one; found by the index of the sums."""
    connection = op.get_bind()
    rows = sa.text(
        "SELECT k.labelling_id AS labelling, k.content_id AS content, k.track_no AS track, i.survivor_id AS survivor"
        " FROM content_labels_by s"
        " JOIN identities i ON i.survivor_id = s.identity_id AND i.merged_into IS NOT NULL"
        " JOIN track_labels k ON k.labelling_id = s.labelling_id AND k.content_id = s.content_id"
        " AND k.identity_id = i.id"
        " WHERE s.labelling_id = :labelling AND s.identity_id IN (SELECT DISTINCT merged_into FROM identities)"
    )
    to_survivor = sa.text(
        "UPDATE track_labels SET identity_id = :survivor"
        " WHERE labelling_id = :labelling AND content_id = :content AND track_no = :track"
    )
    for labelling_id in connection.execute(sa.text("SELECT id FROM labellings")).scalars().all():
        found = [dict(row) for row in connection.execute(rows, {"labelling": labelling_id}).mappings()]
        if found:
            connection.execute(to_survivor, found)


def _show_people_by(body: str) -> None:
    if op.get_bind().dialect.name == "postgresql":  # the same columns: views that others made on it stay
        op.execute(f"CREATE OR REPLACE VIEW content_labels AS {body}")
    else:
        op.execute("DROP VIEW content_labels")
        op.execute(f"CREATE VIEW content_labels AS {body}")
