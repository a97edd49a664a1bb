"""Would this command line be understood? It is parsed by the programs' own parsers, and nothing is run."""

import shlex
from types import SimpleNamespace
from typing import Any

import typer
from celery.bin.celery import celery
from pydantic import SecretStr

from annotator.cli.app import app as annotator_app
from annotator.settings import SecretUrl, Settings
from trainer.cli import app as trainer_app
from workers.app import create_app
from workers.backlog.command import app as backlog_app

OWN = ("annotator", "annotate-backlog", "celery", "trainer")
_OPERATORS = ("&&", "||", ";", "|", "&")


def complaints_of_line(line: str) -> list[str]:
    """Say what is wrong with the commands of the project within a line of a shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    command: list[str] = []
    complaints = []
    for word in [*lexer, ";"]:
        if word in _OPERATORS:
            complaints += complaints_of(command)
            command = []
        else:
            command.append(word)
    return complaints


def complaints_of(command: list[str]) -> list[str]:
    """Say why a command would be refused; nothing where it is understood or is no command of the project.

    Args:
        command: the program and its arguments; a shell's ``-c`` is looked into.

    """
    if command[:1] == ["sh"] and len(command) == 3:
        return [complaint for line in command[2].splitlines() for complaint in complaints_of_line(line)]
    if not command or command[0] not in OWN:
        return []
    program, *arguments = command
    trees = {
        "annotator": typer.main.get_command(annotator_app),
        "annotate-backlog": typer.main.get_command(backlog_app),
        "celery": celery,
        "trainer": typer.main.get_command(trainer_app),
    }
    # Celery's options ask the application for their defaults.
    settings = Settings(broker_url=SecretUrl("redis://broker:6379/0"), s3_secret_access_key=SecretStr("none"))
    try:
        _parse(trees[program], program, arguments, SimpleNamespace(app=create_app(settings)))
    except Exception as refused:  # noqa: BLE001 - each program has exceptions of its own
        return [f"{shlex.join(command)}: {getattr(refused, 'message', refused)}"]
    return []


def _parse(command: Any, name: str, arguments: list[str], obj: object) -> None:
    context = command.make_context(name, list(arguments), obj=obj)
    if hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        if not rest and command.invoke_without_command:
            return
        if not rest:
            message = "a command is missing"
            raise ValueError(message)
        found, child, rest = command.resolve_command(context, rest)
        _parse(child, found, rest, obj)
