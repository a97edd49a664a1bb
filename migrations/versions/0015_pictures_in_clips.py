"""Tracks say whether they show a picture of somebody that is in the clip.

Revision ID: 0015
Revises: 0014

It only adds, so programs of 0014 go on: what they annotate meanwhile is not measured (NULL), as all tracks of before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

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
       c.labelled_at AS annotated_at,
       s.uri AS source_uri,
       m.key AS media_key,
       m.id AS media_id,
       coalesce(t.is_picture, false) AS is_picture
FROM tracks t
JOIN labelled_contents c ON c.content_id = t.content_id AND c.labelling_id = (SELECT labelling_id FROM active)
JOIN media m ON m.content_id = t.content_id AND m.deleted_at IS NULL
JOIN sources s ON s.id = m.source_id
WHERE t.network_id = (SELECT network_id FROM active)
  AND NOT EXISTS (SELECT 1 FROM track_labels k
                  WHERE k.labelling_id = (SELECT labelling_id FROM active)
                    AND k.content_id = t.content_id AND k.track_no = t.track_no)
""",
}
FORMER_VIEWS = {
    "content_labels": """
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
       l.content_id AS content_id
FROM content_labels_by l
JOIN identities a ON a.id = l.identity_id
JOIN identities i ON i.id = a.survivor_id
JOIN media m ON m.content_id = l.content_id AND m.deleted_at IS NULL
JOIN sources s ON s.id = m.source_id
WHERE l.labelling_id = (SELECT labelling_id FROM active)
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
       c.labelled_at AS annotated_at,
       s.uri AS source_uri,
       m.key AS media_key,
       m.id AS media_id
FROM tracks t
JOIN labelled_contents c ON c.content_id = t.content_id AND c.labelling_id = (SELECT labelling_id FROM active)
JOIN media m ON m.content_id = t.content_id AND m.deleted_at IS NULL
JOIN sources s ON s.id = m.source_id
WHERE t.network_id = (SELECT network_id FROM active)
  AND NOT EXISTS (SELECT 1 FROM track_labels k
                  WHERE k.labelling_id = (SELECT labelling_id FROM active)
                    AND k.content_id = t.content_id AND k.track_no = t.track_no)
""",
}


def upgrade() -> None:
    """Apply."""
    comment = "it shows a picture of somebody in the clip; NULL: not measured"
    op.add_column("tracks", sa.Column("is_picture", sa.Boolean(), nullable=True, comment=comment))
    if op.get_bind().dialect.name == "postgresql":  # a column more at the end: views that others made on them stay
        for name, body in VIEWS.items():
            op.execute(f"CREATE OR REPLACE VIEW {name} AS {body}")
    else:
        _make_anew(VIEWS)


def downgrade() -> None:
    """Take back."""
    _make_anew(FORMER_VIEWS)
    op.drop_column("tracks", "is_picture")


def _make_anew(views: dict[str, str]) -> None:
    for name, body in views.items():
        op.execute(f"DROP VIEW {name}")
        op.execute(f"CREATE VIEW {name} AS {body}")
