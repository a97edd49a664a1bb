"""What the programs' command lines have in common: help, ``--version``, ``--debug``."""

from typing import Annotated

import typer

from annotator import __version__
from annotator.cli.entry import DEBUG_OPTION


def make_application(name: str, *, about: str, epilog: str) -> typer.Typer:
    """Return a command line without commands.

    Args:
        name: of the program.
        about: what it is for, in a sentence: the head of its help.
        epilog: how to begin: the foot of its help.

    """
    app = typer.Typer(
        name=name,
        help=about,
        epilog=epilog,
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    def print_version(is_wanted: bool) -> None:  # noqa: FBT001 - called by the parser
        if is_wanted:
            typer.echo(f"{name} {__version__}")
            raise typer.Exit

    @app.callback()
    def everywhere(
        *,
        _version: Annotated[
            bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=print_version)
        ] = False,
        _debug: Annotated[bool, typer.Option(DEBUG_OPTION, help="Show where an error comes from.")] = False,
    ) -> None:
        pass

    return app
