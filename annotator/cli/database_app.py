"""``annotator db``: the commands, their arguments and their help."""

# ruff: noqa: PLC0415 - each imports what it needs when it runs: --help is quick

from typing import Annotated

import typer

from annotator.cli.options import Database

db_app = typer.Typer(help="The tables of the database.", no_args_is_help=True)


@db_app.command("upgrade")
def upgrade_database(*, database: Database = None) -> None:
    """Make the tables, or bring them up to date.

    It may run while workers work. On Postgres it needs whoever owns the tables: a member of `annotator_migrator`, once
    `annotator db roles` has made that.

    """
    from annotator.cli.database import upgrade

    upgrade(settings={"database_url": database})


@db_app.command("roll-up")
def roll_up_database(*, database: Database = None) -> None:
    """Count anew who is seen how often, and with whom: what the views `identity_counts` and `co_appearances` show.

    Beat does it all the time, and `annotator annotate` when it ends.

    """
    from annotator.cli.database import roll_up

    roll_up(settings={"database_url": database})


@db_app.command("roles")
def set_up_database_roles(
    *,
    is_printed: Annotated[bool, typer.Option("--print", help="Print the SQL instead of running it.")] = False,
    database: Database = None,
) -> None:
    """Make the roles of Postgres: migrator, worker, producer and reader, each with the rights it needs and no others.

    Run it as somebody who owns the tables and may make roles; doing it again changes nothing. The roles cannot log in:
    `GRANT annotator_worker TO NAME` gives one to a user.

    """
    from annotator.cli.database import set_up_roles

    set_up_roles(is_printed=is_printed, settings={"database_url": database})


@db_app.command("check")
def check_database(*, database: Database = None) -> None:
    """Say which revision the tables have, and whether this program may use them; exit code 2 if not."""
    from annotator.cli.database import check

    check(settings={"database_url": database})
