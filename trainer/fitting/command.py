"""The commands ``trainer fit`` and ``trainer board``."""

# ruff: noqa: PLC0415 - `--help` is quick

from pathlib import Path
from typing import Annotated

import typer

from trainer.options import ExperimentName, Workdir, open_named


def fit(
    experiment: ExperimentName = None,
    *,
    workdir: Workdir = None,
    begin_from: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="PATH",
            help="Begin with the weights of a .weights.h5 or .keras file, a folder with one of them, or a bundle.",
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the run that is there, and begin anew.")] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of an operation. [default: all processors]", show_default=False)
    ] = None,
    xla: Annotated[bool, typer.Option("--xla", help="Compile the step: for sface-head only.")] = False,
) -> None:
    """Fit the network of experiments/EXPERIMENT.py to the faces that were cut out.

    USE_GPU decides between CPU and all GPUs that are visible. A run that was interrupted, by Ctrl-C, SIGTERM or a kill,
    goes on where its last checkpoint stands, and gives the same numbers as an unbroken one.

    Examples:
    - `trainer fit example_experiment --workdir workdir`
    - `trainer fit example_experiment --from workdir/before/model` takes the weights that fit, such as all but the head

    Exit code: 130 where it was interrupted.

    """
    from trainer.fitting.program import RunOptions, fit_by_name
    from trainer.settings import load_trainer_settings

    settings = load_trainer_settings(workdir=workdir)
    wanted = experiment or settings.experiment
    if wanted is None:
        raise typer.BadParameter("give EXPERIMENT, or set EXPERIMENT_FILENAME")
    options = RunOptions(begin_from=begin_from, is_fresh=fresh, threads=threads, has_xla=xla)
    if not fit_by_name(wanted, settings, options):
        raise KeyboardInterrupt


def board(
    experiment: ExperimentName = None,
    *,
    workdir: Workdir = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where it listens; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="[default: TENSORBOARD_PORT, else 5055]", show_default=False),
    ] = None,
) -> None:
    """Show the curves and the class centres of a fit in TensorBoard, until Ctrl-C.

    It may be started before, during or after a fit.

    Example: `trainer board example_experiment --workdir workdir`, then open http://127.0.0.1:5055

    """
    from trainer.fitting.program import show_board
    from trainer.settings import load_trainer_settings

    places, _ = open_named(experiment, workdir)
    show_board(places, host=host, port=port or load_trainer_settings().tensorboard_port)
