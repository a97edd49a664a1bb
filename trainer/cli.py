"""The command line: ``trainer``.

A command is one function in the module ``command`` of its package, with its arguments and its help. It imports what it
needs when it runs, so that ``--help`` is quick, and calls the module that does the work; here it gets its place.
Exit codes: those of ``annotator.cli.entry``.
"""

import sys
from collections.abc import Sequence

from annotator.cli.application import make_application
from annotator.cli.entry import Program
from trainer.collect.command import collect
from trainer.dataset.command import check, prepare
from trainer.doctor.command import doctor
from trainer.evaluation.command import compare, evaluate
from trainer.export.command import export
from trainer.fitting.command import board, fit
from trainer.giphy.command import import_giphy
from trainer.retraining.command import retrain

app = make_application(
    "trainer",
    about="Make a model of your own people from photographs.",
    epilog="The photographs of an experiment lie in WORKDIR/EXPERIMENT/raw_dataset, a folder for each person, beside"
    " labels.csv. Start with: trainer prepare EXPERIMENT --workdir WORKDIR, then trainer doctor EXPERIMENT.",
)
for command in (
    collect,
    check,
    prepare,
    doctor,
    fit,
    board,
    evaluate,
    compare,
    export,
    retrain,
    import_giphy,
):  # in the order of the work
    app.command()(command)


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
