"""Tracks of one person, whoever that is, are in groups.

Revision ID: 0010
Revises: 0009

It only adds tables and views, so programs of 0009 go on. One of these that annotates a content anew leaves what was
there before in its groups; `annotator strangers group --anew` clears that up.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

UTC_TIME = sa.DateTime(timezone=True)
VIEWS = {
    "stranger_groups": """
SELECT s.group_no AS stranger,
       (SELECT i.name FROM identities a JOIN identities i ON i.id = a.survivor_id
        WHERE a.id = g.identity_id) AS identity,
       s.contents AS contents,
       s.media AS media,
       s.tracks AS tracks,
       s.named_tracks AS named_tracks,
       s.screen_ms AS screen_time_ms,
       s.face_px AS face_px,
       s.first_annotated_at AS first_annotated_at,
       s.last_annotated_at AS last_annotated_at
FROM (SELECT c.group_no,
             CAST(sum(CASE WHEN c.tracks > 0 THEN 1 ELSE 0 END) AS bigint) AS contents,
             CAST(sum(CASE WHEN c.tracks > 0 THEN h.media ELSE 0 END) AS bigint) AS media,
             CAST(sum(c.tracks) AS bigint) AS tracks,
             CAST(sum(c.named_tracks) AS bigint) AS named_tracks,
             CAST(sum(c.screen_ms * h.media) AS bigint) AS screen_ms,
             max(c.face_px) AS face_px,
             min(n.annotated_at) AS first_annotated_at,
             max(n.annotated_at) AS last_annotated_at
      FROM (SELECT a.survivor_no AS group_no,
                   b.content_id,
                   count(*) - count(k.track_no) AS tracks,
                   count(k.track_no) AS named_tracks,
                   sum(CASE WHEN k.track_no IS NULL THEN t.screen_ms ELSE 0 END) AS screen_ms,
                   max(CASE WHEN k.track_no IS NULL THEN t.face_px END) AS face_px
            FROM grouped_tracks b
            JOIN track_groups a ON a.network_id = b.network_id AND a.group_no = b.group_no
            JOIN tracks t ON t.network_id = b.network_id AND t.content_id = b.content_id AND t.track_no = b.track_no
            LEFT JOIN track_labels k ON k.labelling_id = (SELECT labelling_id FROM active)
                                    AND k.content_id = b.content_id AND k.track_no = b.track_no
            WHERE b.network_id = (SELECT network_id FROM active)
            GROUP BY a.survivor_no, b.content_id) c
      JOIN (SELECT content_id, count(*) AS media FROM media
            WHERE content_id IS NOT NULL AND deleted_at IS NULL GROUP BY content_id) h ON h.content_id = c.content_id
      JOIN annotations n ON n.network_id = (SELECT network_id FROM active) AND n.content_id = c.content_id
      GROUP BY c.group_no
      HAVING sum(c.tracks) > 0) s
JOIN track_groups g ON g.network_id = (SELECT network_id FROM active) AND g.group_no = s.group_no
""",
    "stranger_tracks": """
SELECT g.survivor_no AS stranger,
       s.uri || m.key AS media_uri,
       b.track_no AS track,
       (SELECT i.name FROM track_labels k JOIN identities a ON a.id = k.identity_id
        JOIN identities i ON i.id = a.survivor_id
        WHERE k.labelling_id = (SELECT labelling_id FROM active)
          AND k.content_id = b.content_id AND k.track_no = b.track_no) AS identity,
       t.first_ms AS first_seen_ms,
       t.last_ms AS last_seen_ms,
       t.screen_ms AS screen_time_ms,
       t.face_px AS face_px,
       t.quality AS quality,
       s.uri AS source_uri,
       m.key AS media_key,
       m.id AS media_id,
       b.content_id AS content_id
FROM grouped_tracks b
JOIN track_groups g ON g.network_id = b.network_id AND g.group_no = b.group_no
JOIN tracks t ON t.network_id = b.network_id AND t.content_id = b.content_id AND t.track_no = b.track_no
JOIN media m ON m.content_id = b.content_id AND m.deleted_at IS NULL
JOIN sources s ON s.id = m.source_id
WHERE b.network_id = (SELECT network_id FROM active)
""",
}


def _network_id() -> sa.Column:
    return sa.Column("network_id", sa.Integer(), autoincrement=False, nullable=False)


def _content_id() -> sa.Column:
    return sa.Column("content_id", sa.BigInteger(), autoincrement=False, nullable=False)


def _make_groups() -> None:
    op.create_table(
        "groupings",
        _network_id(),
        sa.Column("rule", sa.Text(), nullable=False, comment="digest of all that decides about groups but the tracks"),
        sa.Column("founded", sa.Integer(), nullable=False, comment="groups that were ever founded under the rule"),
        sa.Column("next_no", sa.Integer(), nullable=False, comment="of the next group"),
        sa.Column(
            "changes",
            sa.BigInteger(),
            nullable=False,
            comment="counts transactions: who has not seen the last one begins anew",
        ),
        sa.Column("grouped_at", UTC_TIME, nullable=True, comment="when a run has last come to its end"),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name=op.f("fk_groupings_network_id")),
        sa.PrimaryKeyConstraint("network_id", name=op.f("pk_groupings")),
    )
    op.create_table(
        "track_groups",
        _network_id(),
        sa.Column("group_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tracks", sa.Integer(), nullable=False, comment="that its centre is made of"),
        sa.Column("total", sa.LargeBinary(), nullable=False, comment="int32, little-endian: the sum of their points"),
        sa.Column("merged_into", sa.Integer(), nullable=True, comment="the group that took over, never a chain"),
        sa.Column(
            "survivor_no", sa.Integer(), sa.Computed("coalesce(merged_into, group_no)", persisted=True), nullable=True
        ),
        sa.Column(
            "is_kept",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="a person has decided what it is",
        ),
        sa.Column("identity_id", sa.Integer(), nullable=True, comment="who it was named as"),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name=op.f("fk_track_groups_network_id")),
        sa.ForeignKeyConstraint(["identity_id"], ["identities.id"], name=op.f("fk_track_groups_identity_id")),
        sa.PrimaryKeyConstraint("network_id", "group_no", name=op.f("pk_track_groups")),
    )
    op.create_index(op.f("ix_track_groups_network_id_survivor_no"), "track_groups", ["network_id", "survivor_no"])


def _make_memberships() -> None:
    op.create_table(
        "grouped_tracks",
        _network_id(),
        _content_id(),
        sa.Column("track_no", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "group_no",
            sa.Integer(),
            nullable=False,
            comment="that it has joined: track_groups.survivor_no is where it is now",
        ),
        sa.Column(
            "is_fixed",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="a person has decided so",
        ),
        sa.PrimaryKeyConstraint("network_id", "content_id", "track_no", name=op.f("pk_grouped_tracks")),
    )
    op.create_index(op.f("ix_grouped_tracks_network_id_group_no"), "grouped_tracks", ["network_id", "group_no"])
    op.create_table(
        "grouped_contents",
        _network_id(),
        _content_id(),
        sa.PrimaryKeyConstraint("network_id", "content_id", name=op.f("pk_grouped_contents")),
        sqlite_with_rowid=False,
    )


def upgrade() -> None:
    """Apply."""
    _make_groups()
    _make_memberships()
    for name, body in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {body}")


def downgrade() -> None:
    """Take back."""
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
    for table in ("grouped_contents", "grouped_tracks", "track_groups", "groupings"):
        op.drop_table(table)
