"""``annotator web``, its arguments and its help."""

# ruff: noqa: PLC0415 - each command imports what it needs when it runs: ``--help`` is quick

from pathlib import Path
from typing import Annotated, Any

import typer

from annotator.cli.options import AsJson, Database

web_app = typer.Typer(invoke_without_command=True, no_args_is_help=False)
users_app = typer.Typer(help="Accounts of the web application.", no_args_is_help=True)
tokens_app = typer.Typer(help="What programs send to the API instead of logging in.", no_args_is_help=True)
web_app.add_typer(users_app, name="users")
web_app.add_typer(tokens_app, name="tokens")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the account; capitals do not matter.")]
RoleName = Annotated[
    str,
    typer.Option(
        "--role", metavar="ROLE", help="reader, reviewer, operator, or admin; docs/web.md says what each may."
    ),
]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking for it.")
]


@web_app.callback()
def web(
    context: typer.Context,
    *,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address to listen at. [default: ANNOTATOR_WEB__HOST]")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, metavar="PORT", help="0 takes any free one. [default: ANNOTATOR_WEB__PORT]"),
    ] = None,
    address_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the address there, for your eyes only, instead of printing it."),
    ] = None,
    database: Database = None,
) -> None:
    """Search and look in a browser, until Ctrl-C.

    Without accounts it is for whoever sits at this machine: it listens at 127.0.0.1 alone, and the address that it
    prints holds a key which opens it once. As soon as there is an account, people log in. An address that others reach
    is refused as long as there is none.

    Examples:
    - `annotator web` and open the address that it prints
    - `annotator web users add eve --role admin` and then `annotator web --host 0.0.0.0`
    - `ANNOTATOR_WEB__PUBLIC_URL=https://faces.example.org annotator web` behind a proxy that speaks https

    Needs the extra: `pip install 'celebrity-annotator[web]'`.

    """
    if context.invoked_subcommand is not None:
        return
    from annotator.cli.web import run_web

    settings: dict[str, Any] = {"database_url": database, "web": {"host": host, "port": port}}
    run_web(settings=settings, address_file=address_file)


@users_app.command("add")
def add(
    name: Name, *, role: RoleName = "reader", password_stdin: PasswordStdin = False, database: Database = None
) -> None:
    """Let somebody log in.

    Example: `annotator web users add eve --role reviewer`

    """
    from annotator.cli.web import add_user

    add_user(name, role=role, is_from_stdin=password_stdin, settings={"database_url": database})


@users_app.command("list")
def list_(*, as_json: AsJson = False, database: Database = None) -> None:
    """Say who may log in, and as what."""
    from annotator.cli.web import list_users

    list_users(as_json=as_json, settings={"database_url": database})


@users_app.command("role")
def role(
    name: Name,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="reader, reviewer, operator or admin.")],
    *,
    database: Database = None,
) -> None:
    """Let somebody do more, or less, from the next request on."""
    from annotator.cli.web import change_user_role

    change_user_role(name, role, settings={"database_url": database})


@users_app.command("password")
def password(name: Name, *, password_stdin: PasswordStdin = False, database: Database = None) -> None:
    """Give somebody another password; who is logged in with the old one is logged out."""
    from annotator.cli.web import change_user_password

    change_user_password(name, is_from_stdin=password_stdin, settings={"database_url": database})


@users_app.command("disable")
def disable(name: Name, *, database: Database = None) -> None:
    """Let somebody log in no more, at once: sessions end and tokens no longer work. What they did stays on record."""
    from annotator.cli.web import disable_user

    disable_user(name, settings={"database_url": database})


@tokens_app.command("add")
def add_token(
    name: Name,
    *,
    purpose: Annotated[str, typer.Option("--for", metavar="PURPOSE", help="What it is for, to know it again.")],
    role: RoleName = "reader",
    days: Annotated[int, typer.Option(min=1, max=3660, help="How long it works.")] = 90,
    database: Database = None,
) -> None:
    """Make a token for an account, and print it: it cannot be looked up later.

    Example: `annotator web tokens add eve --for dashboard`

    """
    from annotator.cli.web import add_user_token

    add_user_token(name, role=role, purpose=purpose, days=days, settings={"database_url": database})


@tokens_app.command("list")
def list_tokens(*, as_json: AsJson = False, database: Database = None) -> None:
    """Say which tokens there are, for what, and when each was last used."""
    from annotator.cli.web import list_user_tokens

    list_user_tokens(as_json=as_json, settings={"database_url": database})


@tokens_app.command("remove")
def remove_token(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="As `list` shows it.")], *, database: Database = None
) -> None:
    """Let a token work no more, at once."""
    from annotator.cli.web import remove_user_token

    remove_user_token(number, settings={"database_url": database})
