"""docs/cli.md and the programs name the same commands; what the pages of the data side show can be typed."""

import re
from pathlib import Path

import pytest
import typer

from annotator.cli.app import app as annotator_app
from tests.deploy.command_lines import complaints_of_line
from trainer.cli import app as trainer_app

DOCS = Path(__file__).resolve().parents[2] / "docs"
ROWS = re.findall(r"^\| (`.*?) \|", (DOCS / "cli.md").read_text(encoding="utf-8"), re.MULTILINE)
SHOWN = re.compile(r"^    (trainer .*?)(?:   .*)?$", re.MULTILINE)


def commands_of(app: typer.Typer) -> set[str]:
    tree = typer.main.get_command(app)
    return set(tree.list_commands(tree.make_context("program", [], resilient_parsing=True)))  # type: ignore[attr-defined]


@pytest.mark.parametrize(("program", "app"), [("annotator", annotator_app), ("trainer", trainer_app)])
def test_every_command_is_in_the_document_and_no_other(program: str, app: typer.Typer) -> None:
    told = {name for row in ROWS for name in re.findall(rf"`{program} ([a-z-]+)", row)}
    assert told == commands_of(app)


def test_every_option_for_strangers_is_told_of() -> None:
    tree = typer.main.get_command(annotator_app)
    context = tree.make_context("annotator", [], resilient_parsing=True)
    strangers = tree.get_command(context, "strangers")  # type: ignore[attr-defined]
    options = {
        name
        for command in strangers.commands.values()
        for option in command.params
        for name in option.opts
        if name.startswith("--")
    }
    assert len(options) > 5
    usual = {"--model", "--database", "--device", "--help"}  # docs/cli.md tells of these for all commands
    text = (DOCS / "strangers.md").read_text(encoding="utf-8")
    assert {name for name in options - usual if name not in text} == set()


@pytest.mark.parametrize("page", ["trainer.md", "collecting.md"])
def test_what_is_shown_can_be_typed(page: str) -> None:
    lines = SHOWN.findall((DOCS / page).read_text(encoding="utf-8"))
    assert len(lines) >= 2
    assert [complaint for line in lines for complaint in complaints_of_line(line)] == []
