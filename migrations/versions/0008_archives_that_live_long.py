"""What an archive gathers over years is put away: labellings that nobody uses, counts of former backlogs, lost objects.

Revision ID: 0008
Revises: 0007

It only adds columns, a table and functions, so programs of 0007 go on. What they use of a retired labelling, they have
anew: the function that they call for its partitions brings it back.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

UTC_TIME = sa.DateTime(timezone=True)
FUNCTIONS = {
    "drop_labelling_partitions(integer)": """
CREATE FUNCTION drop_labelling_partitions(of_labelling integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
DECLARE
  part text;
BEGIN
  PERFORM FROM {schema}.labellings WHERE id = of_labelling AND retired_at IS NOT NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  FOREACH part IN ARRAY '{{labelled_contents,track_labels,content_labels_by}}'::text[] LOOP
    EXECUTE format('DROP TABLE IF EXISTS {schema}.%I', part || '__l' || of_labelling);
  END LOOP;
END
$$
""",
    "use_labelling(integer)": """
CREATE FUNCTION use_labelling(of_labelling integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
BEGIN
  PERFORM FROM {schema}.labellings WHERE id = of_labelling FOR NO KEY UPDATE;
  PERFORM {schema}.drop_labelling_partitions(of_labelling);
  UPDATE {schema}.labellings SET used_at = now(), retired_at = NULL WHERE id = of_labelling;
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
  IF EXISTS (SELECT FROM {schema}.labellings WHERE id = of_labelling AND retired_at IS NOT NULL) THEN
    PERFORM {schema}.use_labelling(of_labelling);
  END IF;
  RETURN {schema}.make_partitions('l', of_labelling, '{{labelled_contents,track_labels,content_labels_by}}');
END
$$
""",
    "retire_labelling(integer)": """
CREATE FUNCTION retire_labelling(of_labelling integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
DECLARE
  parent text;
BEGIN
  PERFORM FROM {schema}.labellings WHERE id = of_labelling AND retired_at IS NULL FOR UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF EXISTS (SELECT FROM {schema}.active WHERE labelling_id = of_labelling) THEN
    RAISE EXCEPTION 'labelling % is shown', of_labelling;
  END IF;
  UPDATE {schema}.labellings SET retired_at = now() WHERE id = of_labelling;
  FOREACH parent IN ARRAY '{{labelled_contents,track_labels,content_labels_by}}'::text[] LOOP
    IF to_regclass(format('{schema}.%I', parent || '__l' || of_labelling)) IS NOT NULL THEN
      EXECUTE format('ALTER TABLE {schema}.%I DETACH PARTITION {schema}.%I', parent, parent || '__l' || of_labelling);
    END IF;
  END LOOP;
END
$$
""",
}
MAKE_BEFORE = """
CREATE FUNCTION make_labelling_partitions(of_labelling integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM {schema}.labellings WHERE id = of_labelling) THEN
    RAISE EXCEPTION 'there is no labelling %', of_labelling;
  END IF;
  RETURN {schema}.make_partitions('l', of_labelling, '{{labelled_contents,track_labels,content_labels_by}}');
END
$$
"""


def _new_columns() -> dict[str, list[sa.Column]]:
    return {
        "labellings": [
            sa.Column("used_at", UTC_TIME, nullable=True, comment="when a program has last begun to work with it"),
        ],
        "worker_sessions": [
            sa.Column("labelling_id", sa.Integer(), nullable=True, comment="what labels its results"),
        ],
        "runs": [
            sa.Column(
                "folded_at",
                UTC_TIME,
                nullable=True,
                comment="its counts are summed up with those of other former backlogs",
            ),
            sa.Column(
                "gone_refused",
                sa.BigInteger(),
                nullable=True,
                comment="known media that its listing lacked: too many to be taken for gone",
            ),
        ],
        "listing_shards": [
            sa.Column(
                "missing",
                sa.BigInteger(),
                server_default=sa.text("0"),
                nullable=False,
                comment="known media that were not listed",
            ),
        ],
    }


def _make_functions(functions: dict[str, str]) -> None:
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    for signature, body in functions.items():
        # What is there is replaced: whoever may call it goes on to.
        made = body.format(schema=schema).replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
        op.get_bind().exec_driver_sql(made.replace("%", "%%"))
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")


def upgrade() -> None:
    """Apply."""
    for table, columns in _new_columns().items():
        for column in columns:
            op.add_column(table, column)
    op.create_table(
        "missing_media",
        sa.Column("media_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("media_id", "run_id", name=op.f("pk_missing_media")),
        sqlite_with_rowid=False,
    )
    # Who uses which is not known before: all that there are get their time from now on.
    if op.get_bind().dialect.name == "postgresql":
        op.execute("UPDATE labellings SET used_at = now()")
        _make_functions(FUNCTIONS)
    else:
        op.execute("UPDATE labellings SET used_at = strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'")


def downgrade() -> None:
    """Take back. A labelling that was retired has no labels; who works with it makes them anew."""
    if op.get_bind().dialect.name == "postgresql":
        _make_functions({"make_labelling_partitions(integer)": MAKE_BEFORE})
        for signature in ("retire_labelling(integer)", "use_labelling(integer)", "drop_labelling_partitions(integer)"):
            op.execute(f"DROP FUNCTION {signature}")
    op.drop_table("missing_media")
    for table, columns in _new_columns().items():
        for column in reversed(columns):
            op.drop_column(table, column.name)
