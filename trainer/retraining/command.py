"""The command ``trainer retrain``."""

# ruff: noqa: PLC0415 - `--help` is quick

from typing import Annotated

import typer

from annotator.cli.entry import FAILED, HELD
from annotator.cli.options import Database
from trainer.options import ExperimentName, Workdir, open_named


def retrain(
    experiment: ExperimentName = None,
    *,
    workdir: Workdir = None,
    only_news: Annotated[
        bool,
        typer.Option("--if-news", help="Only where something is new since the last run that was promoted or held."),
    ] = False,
    scheduled: Annotated[bool, typer.Option("--scheduled", hidden=True)] = False,
    database: Database = None,
) -> None:
    """Write photographs of what people have said, prepare, doctor, fit, evaluate, export, install and promote.

    The steps are taken one after the other.

    Where the doctor or the gate of promotion finds something, the run is held and says why; the model that is shown
    stays. A run that was interrupted or killed is gone on with, at the step in hand. Each step leaves its log in
    WORKDIR/EXPERIMENT/retraining/RUN/. The settings ANNOTATOR_RETRAINING__… say what the model is called, and when
    beat begins a run by itself.

    Examples:
    - `trainer retrain example_experiment --workdir workdir`
    - `trainer retrain example_experiment --if-news`, from a cron of your own

    Exit code: 1 where the run has failed, 3 where it was held, 75 where somebody else is at it or at what a step
    does, 130 where it was interrupted.

    """
    from trainer.retraining.program import retrain_by_name

    places, _ = open_named(experiment, workdir)
    outcome = retrain_by_name(
        places, cause="schedule" if scheduled else "command", only_news=only_news or scheduled, database=database
    )
    if outcome == "interrupted":
        raise KeyboardInterrupt
    if outcome in {"held", "failed"}:
        raise typer.Exit(HELD if outcome == "held" else FAILED)
