"""``trainer export``: arguments and help."""

# ruff: noqa: PLC0415 - `--help` is quick

from pathlib import Path
from typing import Annotated

import typer

from trainer.options import ExperimentName, Workdir, open_named


def export(  # noqa: PLR0913 - options of a command
    experiment: ExperimentName = None,
    *,
    out: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write; must be new or empty.")
    ],
    workdir: Workdir = None,
    name: Annotated[
        str | None, typer.Option(help="What the model is called.  \\[default: the experiment]", show_default=False)
    ] = None,
    version: Annotated[int, typer.Option(min=1, help="Its version; counts up.")] = 1,
    strangers: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Pictures of people who are nobody of the labels, one of each; a thousand."),
    ] = None,
    licence: Annotated[str, typer.Option(metavar="TEXT", help="Its licence, in a line.")] = "all rights reserved",
) -> None:
    """Make a model bundle of the fitted network, for `annotator annotate --model FOLDER` and the workers.

    A head over SFace labels an archive anew from its stored embeddings; another network embeds faces in its own way,
    and an archive must be annotated again. Thresholds come from the validation photographs and from strangers; without
    strangers they are a wide guess, and the model card says so.

    Examples:
    - `trainer export example_experiment --workdir workdir -o models/mine --strangers strangers`
    - `trainer export example_experiment --name mine --version 2 -o models/mine-2`

    """
    from trainer.export.running import run_export

    opened, _ = open_named(experiment, workdir)
    run_export(opened, out=out, name=name, version=version, strangers=strangers, licence=licence)
