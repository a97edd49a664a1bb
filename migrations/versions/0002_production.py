"""Counters, progress, backlogs with a budget, call-backs, roll-ups, routing by queue.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
UTC_TIME = sa.DateTime(timezone=True)
FUNCTIONS = {
    "make_partition(text, text, text, text)": """
CREATE FUNCTION make_partition(parent text, name text, bounds text, options text) RETURNS void
LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS $$
BEGIN
  IF to_regclass(format('{schema}.%I', name)) IS NULL THEN
    EXECUTE format('CREATE TABLE {schema}.%I (LIKE {schema}.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS) %s',
                   name, parent, options);
    EXECUTE format('ALTER TABLE {schema}.%I ATTACH PARTITION {schema}.%I FOR VALUES %s', parent, name, bounds);
  END IF;
END
$$
""",
    "make_partitions(text, integer, text[])": """
CREATE FUNCTION make_partitions(mark text, owner_id integer, parents text[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS $$
DECLARE
  size constant bigint := 10000000;
  newest bigint;
  missing boolean;
  parent text;
  part text;
BEGIN
  SELECT greatest(last_value, (SELECT max(id) FROM {schema}.contents)) / size + 1 INTO newest
    FROM {schema}.contents_id_seq;
  SELECT bool_or(to_regclass(format('{schema}.%I', p || '__' || mark || owner_id || '__' || n)) IS NULL)
    INTO missing FROM unnest(parents) p, generate_series(0, newest) n;
  IF missing THEN
    PERFORM pg_advisory_xact_lock(1885434484);
    FOREACH parent IN ARRAY parents LOOP
      part := parent || '__' || mark || owner_id;
      PERFORM {schema}.make_partition(parent, part, format('IN (%s)', owner_id), 'PARTITION BY RANGE (content_id)');
      FOR n IN 0..newest LOOP
        PERFORM {schema}.make_partition(
          part, part || '__' || n, format('FROM (%s) TO (%s)', n * size, (n + 1) * size), '');
      END LOOP;
    END LOOP;
  END IF;
  RETURN CASE WHEN missing THEN NULL ELSE newest END;
END
$$
""",
    "make_network_partitions(integer)": """
CREATE FUNCTION make_network_partitions(of_network integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM {schema}.networks WHERE id = of_network) THEN
    RAISE EXCEPTION 'there is no network %', of_network;
  END IF;
  IF to_regclass('{schema}.work__n' || of_network) IS NULL THEN
    PERFORM pg_advisory_xact_lock(1885434484);
    PERFORM {schema}.make_partition('work', 'work__n' || of_network, format('IN (%s)', of_network),
                                    'WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02)');
  END IF;
  RETURN {schema}.make_partitions('n', of_network, '{{annotations,tracks,track_embeddings}}');
END
$$
""",
    "make_labelling_partitions(integer)": """
CREATE FUNCTION make_labelling_partitions(of_labelling integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM {schema}.labellings WHERE id = of_labelling) THEN
    RAISE EXCEPTION 'there is no labelling %', of_labelling;
  END IF;
  RETURN {schema}.make_partitions('l', of_labelling, '{{labelled_contents,track_labels,content_labels_by}}');
END
$$
""",
}

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
       l.content_id AS content_id
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
       CAST(sum(c.media) AS bigint) AS media,
       CAST(sum(c.contents) AS bigint) AS contents,
       CAST(sum(c.screen_ms) AS bigint) AS screen_time_ms,
       max(c.best_confidence) AS best_confidence,
       (SELECT r.as_of FROM roll_ups r WHERE r.labelling_id = (SELECT labelling_id FROM active)) AS as_of
FROM identity_counts_by c
JOIN identities a ON a.id = c.identity_id
JOIN identities i ON i.id = a.survivor_id
WHERE c.labelling_id = (SELECT labelling_id FROM active)
GROUP BY i.id, i.name, i.kg_mid
""",
    "co_appearances": """
SELECT i.name AS identity,
       j.name AS other_identity,
       CAST(sum(c.media) AS bigint) AS media,
       CAST(sum(c.contents) AS bigint) AS contents,
       (SELECT r.as_of FROM roll_ups r WHERE r.labelling_id = (SELECT labelling_id FROM active)) AS as_of
FROM co_appearances_by c
JOIN identities a ON a.id = c.identity_id
JOIN identities i ON i.id = a.survivor_id
JOIN identities b ON b.id = c.other_identity_id
JOIN identities j ON j.id = b.survivor_id
WHERE c.labelling_id = (SELECT labelling_id FROM active) AND i.id <> j.id
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
    "failures": """
SELECT s.uri || m.key AS media_uri,
       CASE w.state WHEN 4 THEN 'quarantined' ELSE 'failed' END AS status,
       w.reason AS reason,
       w.message AS message,
       w.attempts AS attempts,
       w.finished_at AS failed_at,
       s.uri AS source_uri,
       m.key AS media_key,
       m.id AS media_id
FROM work w
JOIN media m ON m.id = w.media_id AND m.deleted_at IS NULL
JOIN sources s ON s.id = m.source_id
WHERE w.network_id = (SELECT network_id FROM active) AND w.state >= 3
""",
    "media_states": """
SELECT CASE n.state WHEN 0 THEN 'pending' WHEN 1 THEN 'claimed' WHEN 2 THEN 'done' WHEN 3 THEN 'failed'
       ELSE 'quarantined' END AS status,
       CASE n.reason WHEN '' THEN NULL ELSE n.reason END AS reason,
       n.lane AS lane,
       CAST(sum(n.media) AS bigint) AS media
FROM (SELECT state, reason, lane, media FROM work_counts WHERE network_id = (SELECT network_id FROM active)
      UNION ALL
      SELECT state, reason, lane, media FROM work_deltas WHERE network_id = (SELECT network_id FROM active)) n
GROUP BY n.state, n.reason, n.lane
HAVING sum(n.media) <> 0
""",
}

VIEWS_BEFORE = {
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

_DUE = "delivered_at IS NULL AND given_up_at IS NULL"


def _new_columns() -> dict[str, list[sa.Column]]:
    return {
        "work": [
            sa.Column("run_id", sa.Integer(), nullable=True, comment="the backlog that asked for it last"),
            sa.Column("lane", sa.Text(), server_default=sa.text("'gif'"), nullable=False),
            sa.Column("cost_ms", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="estimated"),
        ],
        "chunks": [
            sa.Column("queue", sa.Text(), nullable=True, comment="where it was published"),
            sa.Column("session_id", sa.BigInteger(), nullable=True, comment="who has taken its message"),
        ],
        "worker_sessions": [
            sa.Column("queues", JSON, nullable=True, comment="what it consumes"),
            sa.Column("device", sa.Text(), nullable=True, comment="what its networks run on"),
            sa.Column(
                "busy", JSON, nullable=True, comment="of the last window: share of time that each stage was busy"
            ),
            sa.Column(
                "media_done",
                sa.Integer(),
                server_default=sa.text("0"),
                nullable=False,
                comment="settled in this session",
            ),
            sa.Column("network_id", sa.Integer(), nullable=True, comment="which network it runs"),
        ],
        "runs": [
            sa.Column(
                "priority", sa.SmallInteger(), server_default=sa.text("0"), nullable=False, comment="higher goes first"
            ),
            sa.Column("callback_url", sa.Text(), nullable=True, comment="who is told of each media and of the end"),
            sa.Column("deadline_at", UTC_TIME, nullable=True, comment="when what is pending is no longer wanted"),
            sa.Column("max_worker_s", sa.Double(), nullable=True, comment="budget: worker time that may be spent"),
            sa.Column("stopped_at", UTC_TIME, nullable=True, comment="what was pending then is no longer queued"),
            sa.Column("stop_reason", sa.Text(), nullable=True),
            sa.Column("finished_at", UTC_TIME, nullable=True, comment="listed, and nothing pending or claimed"),
            sa.Column(
                "worker_s", sa.Double(), server_default=sa.text("0"), nullable=False, comment="worker time spent"
            ),
            sa.Column("worker_s_at", UTC_TIME, nullable=True, comment="up to when worker_s is summed up"),
            sa.Column(
                "callback_failures",
                sa.SmallInteger(),
                server_default=sa.text("0"),
                nullable=False,
                comment="of its receiver, in a row",
            ),
            sa.Column("callback_not_before", UTC_TIME, nullable=True, comment="when its receiver is tried again"),
        ],
    }


def _columns() -> None:
    for table, columns in _new_columns().items():
        for column in columns:
            op.add_column(table, column)


def _listing() -> None:
    start = sa.Column(
        "start_key", KEY, server_default=sa.text("''"), nullable=False, comment="where the shard begins, exclusive"
    )
    with op.batch_alter_table("listing_shards") as table:
        table.add_column(start)
        table.drop_constraint("uq_listing_shards_run_id_prefix_after_key", type_="unique")
        table.create_unique_constraint("uq_listing_shards_run_id_prefix_start_key", ["run_id", "prefix", "start_key"])
    op.create_table(
        "stale_contents",
        sa.Column("network_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("network_id", "content_id", name=op.f("pk_stale_contents")),
    )


def _counters() -> None:
    op.create_table(
        "work_deltas",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False, comment="WorkState"),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("media", sa.BigInteger(), nullable=False),
        sa.Column("cost_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_deltas")),
    )
    op.create_table(
        "work_counts",
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("media", sa.BigInteger(), nullable=False),
        sa.Column("cost_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("network_id", "run_id", "lane", "state", "reason", name=op.f("pk_work_counts")),
    )
    op.create_table(
        "progress",
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("at", UTC_TIME, nullable=False),
        sa.Column("pending", sa.BigInteger(), nullable=False),
        sa.Column("claimed", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False, comment="quarantined included"),
        sa.Column("pending_cost_ms", sa.BigInteger(), nullable=False),
        sa.Column("done_cost_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("network_id", "lane", "at", name=op.f("pk_progress")),
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("media_id", sa.BigInteger(), nullable=True, comment="NULL: the backlog itself"),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("not_before", UTC_TIME, nullable=True),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("delivered_at", UTC_TIME, nullable=True),
        sa.Column("given_up_at", UTC_TIME, nullable=True),
        sa.Column("message", sa.Text(), nullable=True, comment="what the last try came to"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_outbox_idempotency_key")),
    )
    op.create_index(
        "ix_outbox_due", "outbox", ["run_id", "id"], postgresql_where=sa.text(_DUE), sqlite_where=sa.text(_DUE)
    )
    for name, column in (("ix_outbox_delivered", "delivered_at"), ("ix_outbox_given_up", "given_up_at")):
        is_set = sa.text(f"{column} IS NOT NULL")
        op.create_index(name, "outbox", [column], postgresql_where=is_set, sqlite_where=is_set)


def _roll_ups() -> None:
    op.create_table(
        "roll_ups",
        sa.Column("labelling_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("as_of", UTC_TIME, nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("labelling_id", name=op.f("pk_roll_ups")),
    )
    op.create_table(
        "identity_counts_by",
        sa.Column("labelling_id", sa.Integer(), nullable=False),
        sa.Column("identity_id", sa.Integer(), nullable=False),
        sa.Column("media", sa.BigInteger(), nullable=False),
        sa.Column("contents", sa.BigInteger(), nullable=False),
        sa.Column("screen_ms", sa.BigInteger(), nullable=False),
        sa.Column("best_confidence", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("labelling_id", "identity_id", name=op.f("pk_identity_counts_by")),
    )
    op.create_table(
        "co_appearances_by",
        sa.Column("labelling_id", sa.Integer(), nullable=False),
        sa.Column("identity_id", sa.Integer(), nullable=False),
        sa.Column("other_identity_id", sa.Integer(), nullable=False),
        sa.Column("media", sa.BigInteger(), nullable=False),
        sa.Column("contents", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("labelling_id", "identity_id", "other_identity_id", name=op.f("pk_co_appearances_by")),
    )


def _scaling(key: str) -> None:
    """Make it anew: no program has ever written a row of it."""
    op.drop_table("scaling")
    op.create_table(
        "scaling",
        sa.Column(key, sa.Text(), nullable=False),
        sa.Column("desired_workers", sa.Integer(), nullable=False),
        sa.Column("updated_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint(key, name=op.f("pk_scaling")),
    )


def _views(drop: dict[str, str], make: dict[str, str]) -> None:
    for name in drop:
        op.execute(f"DROP VIEW {name}")
    for name, body in make.items():
        op.execute(f"CREATE VIEW {name} AS {body}")


def _functions() -> None:
    """Make what makes partitions: nobody may call it but its owner and those whom `annotator db roles` allows to."""
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    for signature, body in FUNCTIONS.items():
        op.get_bind().exec_driver_sql(body.format(schema=schema).replace("%", "%%"))
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")


def upgrade() -> None:
    """Apply."""
    _columns()
    _listing()
    _counters()
    _outbox()
    _roll_ups()
    _scaling("queue")
    op.create_index("ix_identities_kg_mid", "identities", ["kg_mid"])
    _views(VIEWS_BEFORE, VIEWS)
    if op.get_bind().dialect.name == "postgresql":
        _functions()
    # Programs of 0001 do not count what they do: those that run on go on, none starts.
    op.execute("INSERT INTO store_settings (name, value) VALUES ('min_program_revision', '0002')")


def downgrade() -> None:
    """Take back. Counts and call-backs are lost; what was annotated stays."""
    op.execute("DELETE FROM store_settings WHERE name IN ('min_program_revision', 'work_is_counted')")
    if op.get_bind().dialect.name == "postgresql":
        for signature in reversed(FUNCTIONS):
            op.execute(f"DROP FUNCTION {signature}")
    _views(VIEWS, VIEWS_BEFORE)
    op.drop_index("ix_identities_kg_mid", "identities")
    _scaling("lane")
    for name in (
        "co_appearances_by",
        "identity_counts_by",
        "roll_ups",
        "outbox",
        "progress",
        "work_counts",
        "work_deltas",
        "stale_contents",
    ):
        op.drop_table(name)
    with op.batch_alter_table("listing_shards") as table:
        table.drop_constraint("uq_listing_shards_run_id_prefix_start_key", type_="unique")
        table.drop_column("start_key")
        table.create_unique_constraint("uq_listing_shards_run_id_prefix_after_key", ["run_id", "prefix", "after_key"])
    for table, columns in _new_columns().items():
        for column in reversed(columns):
            op.drop_column(table, column.name)
