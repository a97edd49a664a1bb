"""Functions of Postgres that make and remove partitions, so that a worker needs no right to change the schema.

They run with the rights of their owner, who made the tables, in a fixed search path; they take numbers only, and make
partitions only for networks and labellings that are registered. The text is a template: ``{schema}`` is where the
tables are.

Partitions are made beside their table and attached: ATTACH takes a lock that stops neither readers nor writers, where
``CREATE TABLE … PARTITION OF`` would wait for every query on the table and hold up all that come after it. The advisory
lock (0x70617274, "part") comes before the first of them: one transaction at a time. What is there costs a look and no
lock. They return the number of the newest partition, NULL where any was made: it may yet be rolled back.

A labelling is retired in two transactions: its partitions are detached, which takes the tables above them for a moment,
and dropped, when nobody has to do with them any more. Both hold the labelling's row, and so does whoever uses it again:
what is left of it is dropped first, then it gets new partitions.
"""

from typing import Final

# In the order in which they are made, by signature. Rows of `work` change state a few times: room in their pages keeps
# the changes there, and vacuum comes early.
FUNCTIONS: Final[dict[str, str]] = {
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
