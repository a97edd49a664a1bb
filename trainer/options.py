"""What the commands of ``trainer`` have in common: arguments, settings, the experiment that is meant."""

# ruff: noqa: PLC0415 - `--help` is quick

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from trainer.settings import Device
    from trainer.workdir import Experiment

ExperimentName = Annotated[
    str | None,
    typer.Argument(
        metavar="EXPERIMENT", help="Folder in the work directory.  \\[default: EXPERIMENT_FILENAME]", show_default=False
    ),
]
Workdir = Annotated[
    Path | None,
    typer.Option("--workdir", metavar="DIR", help="The work directory. [default: WORKDIR, else workdir]"),
]


def open_named(name: str | None, workdir: Path | None) -> tuple["Experiment", "Device"]:
    """Return the experiment of the arguments, the environment or ``.env``, and the device that USE_GPU decides on.

    Args:
        name: EXPERIMENT of the command line.
        workdir: ``--workdir`` of the command line.

    Raises:
        BadParameter: no experiment is named.
        ConfigError: a setting cannot be, or there is no such experiment.

    """
    from trainer.settings import load_trainer_settings
    from trainer.workdir import open_experiment

    settings = load_trainer_settings(workdir=workdir)
    wanted = name or settings.experiment
    if wanted is None:
        raise typer.BadParameter("give EXPERIMENT, or set EXPERIMENT_FILENAME")
    return open_experiment(wanted, settings.workdir), settings.device
