"""SQL users see what people have said of tracks.

Revision ID: 0016
Revises: 0015

It only adds, so programs of 0015 go on.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

VIEW = """
SELECT s.uri || m.key AS media_uri,
       CASE WHEN c.network_id = (SELECT network_id FROM active) THEN c.track_no END AS track,
       c.verdict AS verdict,
       i.name AS identity,
       i.kg_mid AS kg_mid,
       c.said_by AS said_by,
       c.said_at AS said_at,
       c.withdrawn_by AS withdrawn_by,
       c.withdrawn_at AS withdrawn_at,
       s.uri AS source_uri,
       m.key AS media_key,
       m.id AS media_id,
       c.content_id AS content_id,
       c.id AS correction
FROM corrections c
JOIN identities a ON a.id = c.identity_id
JOIN identities i ON i.id = a.survivor_id
JOIN media m ON m.content_id = c.content_id AND m.deleted_at IS NULL
JOIN sources s ON s.id = m.source_id
"""


def upgrade() -> None:
    """Apply."""
    op.execute(f"CREATE VIEW track_corrections AS {VIEW}")


def downgrade() -> None:
    """Take back."""
    op.execute("DROP VIEW track_corrections")
