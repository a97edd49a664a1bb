"""The command line: ``trainer``.

A command is one function in the module ``command`` of its package, with its arguments and its help. It imports what it
needs when it runs, so that ``--help`` is quick, and calls the module that does the work; here it gets its place.
Exit codes: 0 ok, 1 some items failed or something was found, 2 usage: an argument, a setting or data that cannot be.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from annotator.cli.application import make_application
from annotator.cli.entry import Program
from trainer.collect.command import collect
from trainer.dataset.command import check, prepare
from trainer.doctor.command import doctor
from trainer.giphy.command import import_giphy
from trainer.options import ExperimentName, Workdir

app = make_application(
    "trainer",
    about="Make a model of your own people from photographs.",
    epilog="The photographs of an experiment lie in WORKDIR/EXPERIMENT/raw_dataset, a folder for each person, beside"
    " labels.csv. Start with: trainer prepare EXPERIMENT --workdir WORKDIR, then trainer doctor EXPERIMENT.",
)
for command in (collect, check, prepare, doctor, import_giphy):  # in the order of the work
    app.command()(command)


@app.command()
def fit(
    experiment: ExperimentName = None,
    *,
    workdir: Workdir = None,
    begin_from: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="PATH", help="Begin with the weights of a .keras or .weights.h5 file, or folder."
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the run that is there, and begin anew.")] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of an operation; all processors by default.", show_default=False)
    ] = None,
    xla: Annotated[
        bool | None, typer.Option("--xla/--no-xla", help="Compile the step. [default: on a GPU]", show_default=False)
    ] = None,
) -> None:
    """Fit the network of experiments/EXPERIMENT.py to the faces that were cut out.

    USE_GPU decides between CPU and all GPUs that are visible. A run that was interrupted, by Ctrl-C, SIGTERM or a kill,
    goes on where its last checkpoint stands, and gives the same numbers as an unbroken one.

    Examples:
    - `trainer fit example_experiment --workdir workdir`
    - `trainer fit example_experiment --from ../before/model` takes the weights that fit, such as all but the head

    """
    from trainer.fitting.command import fit_by_name  # noqa: PLC0415 - `--help` is quick
    from trainer.settings import load_trainer_settings  # noqa: PLC0415 - as above

    settings = load_trainer_settings(workdir=workdir)
    wanted = experiment or settings.experiment
    if wanted is None:
        raise typer.BadParameter("give EXPERIMENT, or set EXPERIMENT_FILENAME")
    if not fit_by_name(wanted, settings, begin_from=begin_from, is_fresh=fresh, threads=threads, has_xla=xla):
        raise KeyboardInterrupt


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command in this process, as ``trainer ARGUMENTS…`` would.

    Args:
        arguments: without the program's name; those of the process by default.

    Returns:
        The exit code.

    """
    return Program("trainer", lambda: app).run(arguments)
