# ruff: noqa: INP001 - Alembic loads this file by its path
"""Alembic's entry: runs the migrations on the connection that ``annotator.store.schema`` hands over.

From the ``alembic`` command the database is named with ``-x url=…``.
"""

from alembic import context
from sqlalchemy import Connection

from annotator.store.connection import open_engine
from annotator.store.schema import belongs_to_models, migrating
from annotator.store.tables import metadata


def run(connection: Connection) -> None:
    """Run the migrations: in the connection's transaction, or each in one of its own where it has none."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_object=belongs_to_models,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    raise SystemExit("Migrations need a database: they look at what is there. Leave --sql out.")
given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    url = context.get_x_argument(as_dictionary=True).get("url")
    if url is None:
        raise SystemExit("Name the database: alembic -x url=DATABASE …, or use `annotator db upgrade`.")
    with migrating(open_engine(url)) as opened:
        run(opened)
