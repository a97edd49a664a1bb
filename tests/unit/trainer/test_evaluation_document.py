"""docs/evaluation.md names the options that there are, and the examples of the help are read by the parser."""

import re
from pathlib import Path

import pytest
import typer

from annotator.cli.app import app as annotator
from trainer.cli import app

PAGE = Path(__file__).resolve().parents[3] / "docs" / "evaluation.md"
UNIVERSAL = {"--help", "-h", "--workdir"}


def options(command: str, program: typer.Typer = app) -> set[str]:
    parsed = typer.main.get_command(program).commands[command]  # type: ignore[attr-defined]
    return {name for parameter in parsed.params for name in parameter.opts if name.startswith("--")}


def test_the_page_names_every_option_and_no_other() -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)) - {"--crop", "--val-share"}
    known = options("evaluate") | options("compare") | options("evaluate", annotator)
    assert named | UNIVERSAL == known | UNIVERSAL


@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_the_examples_of_the_help_are_read_by_the_parser(command: str) -> None:
    parsed = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    examples = re.findall(rf"`trainer {command} ([^`]+)`", parsed.help)
    assert len(examples) >= 3
    for example in examples:
        parsed.make_context(command, example.split(), resilient_parsing=False)


def test_the_commands_of_the_page_are_read_by_the_parser() -> None:
    lines = re.findall(
        r"^    trainer (evaluate|compare) (.*?)(?: {3,}.*)?$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(lines) >= 2
    for command, arguments in lines:
        typer.main.get_command(app).commands[command].make_context(command, arguments.split())  # type: ignore[attr-defined]
