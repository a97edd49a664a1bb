"""``annotator worker``: the commands and their help."""

# ruff: noqa: PLC0415 - each imports what it needs when it runs: --help is quick

import typer

worker_app = typer.Typer(
    help="What a supervisor asks about the worker of this machine. Start one with `celery -A workers worker -Q gpu`;"
    " it tells by the file ANNOTATOR_WORKER__ALIVE_FILE, which must be the same for both.",
    no_args_is_help=True,
)


@worker_app.command("ready")
def worker_ready() -> None:
    """Say whether the worker has warmed up and takes work; exit code 0 if it does, else 1."""
    from annotator.cli.worker import tell_ready

    raise typer.Exit(tell_ready())


@worker_app.command("alive")
def worker_alive() -> None:
    """Say whether the worker lives and gets on with its work; exit code 0 if it does, else 1."""
    from annotator.cli.worker import tell_alive

    raise typer.Exit(tell_alive())
