"""Roles on Postgres: each program may do what it needs, and nobody else anything.

Four roles that cannot log in, given to login users by whoever runs the server: the migrator owns the tables; the worker
(beat too) writes results; the producer registers media and queues them; the reader reads the views. Embeddings are
biometric data: a reader sees none.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from sqlalchemy import Connection, Engine, text

from annotator.errors import ConfigError
from annotator.store.connection import writing
from annotator.store.functions import FUNCTIONS
from annotator.store.tables import metadata
from annotator.store.views import VIEWS

MIGRATOR: Final = "annotator_migrator"
WORKER: Final = "annotator_worker"
PRODUCER: Final = "annotator_producer"
READER: Final = "annotator_reader"
ROLES: Final = (MIGRATOR, WORKER, PRODUCER, READER)

_READ: Final = "SELECT"
_ADD: Final = "SELECT, INSERT"
_CHANGE: Final = "SELECT, INSERT, UPDATE"
_ALL: Final = "SELECT, INSERT, UPDATE, DELETE"
# What every program looks at when it opens the database.
_OPENING: Final = {"alembic_version": _READ, "store_settings": _READ}
# A program registers what it works with, its network and its people, when it starts.
_REGISTERING: Final = {
    **dict.fromkeys(("networks", "labellings", "active"), _ADD),
    **dict.fromkeys(("models", "promotions", "retrainings", "enrolled_faces"), _READ),
    **dict.fromkeys(("sources", "identities", "labelling_identities"), _CHANGE),
    "identity_aliases": _ALL,
    **dict.fromkeys(("takedowns", "tombstones"), _READ),
}
_RESULTS: Final = (
    "annotations",
    "tracks",
    "track_embeddings",
    "labelled_contents",
    "track_labels",
    "content_labels_by",
    "overruled_labels",
)
_COUNTS: Final = (
    *("work_deltas", "work_counts", "progress", "scaling", "outbox"),
    *("identity_counts_by", "co_appearances_by", "stranger_counts_by", "stranger_roll_ups"),
)
# Tables by role, and what the role may do with them. The owner may do everything.
GRANTS: Final[Mapping[str, Mapping[str, str]]] = {
    WORKER: {
        **_OPENING,
        **_REGISTERING,
        **dict.fromkeys(_RESULTS, _ALL),
        **dict.fromkeys(_COUNTS, _ALL),
        **dict.fromkeys(("work", "chunks", "stale_contents", "worker_sessions", "roll_ups"), _ALL),
        **dict.fromkeys(("media", "runs", "store_settings"), _CHANGE),
        **dict.fromkeys(("contents", "fingerprints"), _ADD),
        **dict.fromkeys(("review_items", "review_scans"), _CHANGE),
        **dict.fromkeys(("missing_media", "grouped_tracks", "grouped_contents"), "SELECT, DELETE"),
        "awaited_tracks": "INSERT",
        **dict.fromkeys(
            ("listing_shards", "relabellings", "corrections", "groupings", "track_groups", "media_views", *VIEWS), _READ
        ),
        "web_jobs": "SELECT (id, media_id, name)",  # what uploads are called, in exports
    },
    PRODUCER: {
        **_OPENING,
        **_REGISTERING,
        **dict.fromkeys(("work", "chunks", "missing_media"), _ALL),
        **dict.fromkeys(("media", "runs", "listing_shards", "store_settings"), _CHANGE),
        **dict.fromkeys(("work_deltas", "outbox", "stale_contents"), _ADD),
        **dict.fromkeys(("contents", "annotations", "labelled_contents", "worker_sessions"), _READ),
        **dict.fromkeys(("work_counts", "progress", "scaling"), _READ),
    },
    READER: {
        "alembic_version": _READ,
        **dict.fromkeys(VIEWS, _READ),
        **dict.fromkeys(("identities", "identity_aliases", "scaling"), _READ),
    },
}
_THERE: Final = (
    "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(:schema)"
    " UNION SELECT proname FROM pg_proc WHERE pronamespace = to_regnamespace(:schema)"
)
# Functions that programs may call, and which.
_REGISTERED: Final = (
    "make_network_partitions(integer)",
    "make_labelling_partitions(integer)",
    "use_labelling(integer)",
)
_CALLED: Final[Mapping[str, tuple[str, ...]]] = {
    WORKER: (*_REGISTERED, "retire_labelling(integer)", "drop_labelling_partitions(integer)"),
    PRODUCER: _REGISTERED,
}


def set_up_roles(engine: Engine) -> None:
    """Make the roles and give them their rights; doing it again changes nothing.

    Args:
        engine: as somebody who may make roles and owns the tables: a superuser, or who has CREATEROLE.

    Raises:
        ConfigError: the database is no Postgres.
        sqlalchemy.exc.DBAPIError: the user has no right to do so; the message says which.

    """
    _insist_on_postgres(engine)
    with writing(engine) as connection:
        for statement in _statements(connection):
            connection.exec_driver_sql(statement.replace("%", "%%"))


def role_statements(engine: Engine) -> list[str]:
    """Return what ``set_up_roles`` runs, to be read, or to be run by somebody else.

    Raises:
        ConfigError: the database is no Postgres.

    """
    _insist_on_postgres(engine)
    with writing(engine) as connection:
        return list(_statements(connection))


def renew_grants(connection: Connection) -> None:
    """Give the roles their rights on what a migration has made; nothing happens where there are no roles.

    Args:
        connection: of the owner of the tables, in a transaction.

    """
    if owner_role(connection) is not None:
        for statement in _grants(connection, _schema(connection)):
            connection.exec_driver_sql(statement)


def owner_role(connection: Connection) -> str | None:
    """Return the migrator's role where it owns the tables and this user may act as it, else None."""
    found = connection.execute(
        text(
            "SELECT r.rolname FROM pg_roles r JOIN pg_class c ON c.relowner = r.oid"
            " WHERE r.rolname = :role AND c.oid = to_regclass('alembic_version')"
            " AND pg_has_role(session_user, r.oid, 'SET')"
        ),
        {"role": MIGRATOR},
    )
    return found.scalar_one_or_none()


def _statements(connection: Connection) -> Iterator[str]:
    schema = _schema(connection)
    database = connection.execute(text("SELECT quote_ident(current_database())")).scalar_one()
    for role in ROLES:
        yield (f"DO $$ BEGIN IF to_regrole('{role}') IS NULL THEN CREATE ROLE {role} NOLOGIN; END IF; END $$")
    # Who made the role may give it to others, and must have it to hand tables over to it.
    yield (
        f"DO $$ BEGIN IF NOT pg_has_role(current_user, '{MIGRATOR}', 'SET') THEN"
        f" EXECUTE format('GRANT {MIGRATOR} TO %I', current_user); END IF; END $$"
    )
    yield f"REVOKE ALL ON DATABASE {database} FROM PUBLIC"
    yield f"GRANT CONNECT ON DATABASE {database} TO {', '.join(ROLES)}"
    # A listing is sorted in a temporary table.
    yield f"GRANT TEMPORARY ON DATABASE {database} TO {MIGRATOR}, {WORKER}, {PRODUCER}"
    yield f"REVOKE ALL ON SCHEMA {schema} FROM PUBLIC"
    yield f"GRANT USAGE ON SCHEMA {schema} TO {', '.join(ROLES)}"
    yield f"GRANT CREATE ON SCHEMA {schema} TO {MIGRATOR}"
    yield _hand_over(schema)
    yield from _grants(connection, schema)


def _grants(connection: Connection, schema: str) -> Iterator[str]:
    """Yield what the owner of the tables may say, of those tables that are there: a migration may have gone back."""
    there = set(connection.execute(text(_THERE), {"schema": schema}).scalars())
    for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
        yield f"REVOKE ALL ON ALL {kind} IN SCHEMA {schema} FROM PUBLIC, {WORKER}, {PRODUCER}, {READER}"
    for role, tables in GRANTS.items():
        for table, rights in ((table, rights) for table, rights in tables.items() if table in there):
            yield f"GRANT {rights} ON {schema}.{table} TO {role}"
            if "INSERT" in rights and _has_sequence(table):
                yield f"GRANT USAGE ON SEQUENCE {schema}.{table}_id_seq TO {role}"
    for role, signatures in _CALLED.items():
        for signature in (one for one in signatures if one.partition("(")[0] in there):
            yield f"GRANT EXECUTE ON FUNCTION {schema}.{signature} TO {role}"


def _has_sequence(table: str) -> bool:
    found = metadata.tables.get(table)
    return found is not None and found.autoincrement_column is not None


def _hand_over(schema: str) -> str:
    """Return the block that makes the migrator the owner of what it is not yet."""
    functions = ", ".join(f"to_regprocedure('{schema}.{signature}')" for signature in FUNCTIONS)
    return f"""DO $$
DECLARE one record;
BEGIN
  FOR one IN SELECT c.oid::regclass AS name FROM pg_class c
             WHERE c.relnamespace = '{schema}'::regnamespace AND c.relkind IN ('r', 'p', 'v')
               AND c.relowner <> to_regrole('{MIGRATOR}') ORDER BY c.oid LOOP
    EXECUTE format('ALTER TABLE %s OWNER TO {MIGRATOR}', one.name);
  END LOOP;
  FOR one IN SELECT p.oid::regprocedure AS name FROM pg_proc p
             WHERE p.oid IN ({functions}) AND p.proowner <> to_regrole('{MIGRATOR}') LOOP
    EXECUTE format('ALTER FUNCTION %s OWNER TO {MIGRATOR}', one.name);
  END LOOP;
END $$"""  # noqa: S608  (names of our own)


def _schema(connection: Connection) -> str:
    return str(connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one())


def _insist_on_postgres(engine: Engine) -> None:
    if engine.dialect.name != "postgresql":
        raise ConfigError("an SQLite file has no roles: protect it by the rights of the file")
