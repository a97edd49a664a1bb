"""``trainer doctor``: arguments and help."""

# ruff: noqa: PLC0415 - `--help` is quick

from typing import Annotated

import typer

from annotator.cli.entry import HELD, OK
from annotator.cli.options import AsJson
from trainer.options import ExperimentName, Workdir, open_named


def doctor(  # noqa: PLR0913 - options of a command
    experiment: ExperimentName = None,
    *,
    workdir: Workdir = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Move what is wrong into set_aside, with a list of moves; nothing is deleted.")
    ] = False,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept", metavar="ID", help="This finding is right as it is: never count it again. May be repeated."
        ),
    ] = None,
    min_photographs: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many photographs of a person are enough.")
    ] = 5,
    min_face_px: Annotated[int, typer.Option(metavar="PX", min=12, help="Smallest face, as given to prepare.")] = 40,
    as_json: AsJson = False,
) -> None:
    """Look for what spoils a model: wrong people, duplicates, leaks, too little; with a report to look at.

    Writes doctor/report.html, with the pictures inside, and doctor/report.json into the experiment's folder.

    Examples:
    - `trainer doctor example_experiment --workdir workdir`
    - `trainer doctor example_experiment --fix` moves wrong, repeated and unreadable photographs aside
    - `trainer doctor example_experiment --accept 3f9a0c41d2e7` accepts the finding of this id, in doctor/accepted.csv

    Exit code: 3 where something must be put right before training, else 0; warnings alone are 0.

    """
    from trainer.doctor.running import DoctorParams, run_doctor

    params = DoctorParams(min_face_px, min_photographs, is_fixed=fix, accept=tuple(accept or ()))
    opened, device = open_named(experiment, workdir)
    is_wrong = run_doctor(opened, params, device=device, as_json=as_json)
    raise typer.Exit(HELD if is_wrong else OK)
