"""Of a failure the tries are told that count: those that ended with a verdict, since somebody asked for it.

Revision ID: 0027
Revises: 0026

It changes a view alone, so programs of 0026 go on.
"""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

VIEW = """
SELECT s.uri || m.key AS media_uri,
       CASE w.state WHEN 4 THEN 'quarantined' ELSE 'failed' END AS status,
       w.reason AS reason,
       w.message AS message,
       {attempts} AS attempts,
       w.finished_at AS failed_at,
       s.uri AS source_uri,
       m.key AS media_key,
       m.id AS media_id
FROM work w
JOIN media m ON m.id = w.media_id AND m.deleted_at IS NULL
JOIN sources s ON s.id = m.source_id
WHERE w.network_id = (SELECT network_id FROM active) AND w.state >= 3
"""


def upgrade() -> None:
    """Apply."""
    _show_as_attempts("w.attempts - w.losses")


def downgrade() -> None:
    """Take back."""
    _show_as_attempts("w.attempts")


def _show_as_attempts(expression: str) -> None:
    body = VIEW.format(attempts=expression)
    if op.get_bind().dialect.name == "postgresql":  # the same columns: views that others made on it stay
        op.execute(f"CREATE OR REPLACE VIEW failures AS {body}")
    else:
        op.execute("DROP VIEW failures")
        op.execute(f"CREATE VIEW failures AS {body}")
