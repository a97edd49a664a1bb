"""``trainer evaluate`` and ``trainer compare``: arguments and help."""

# ruff: noqa: PLC0415 - `--help` is quick

from pathlib import Path
from typing import Annotated, Literal

import typer

from annotator.cli.entry import HELD, OK
from annotator.cli.options import AsJson
from trainer.options import ExperimentName, Workdir, open_named

Faces = Annotated[
    Path | None,
    typer.Option(
        "--faces", metavar="DIR", help="Aligned crops of 112 px, a folder for each person, instead of val_dataset."
    ),
]
Strangers = Annotated[
    Path | None,
    typer.Option("--strangers", metavar="DIR", help="Aligned crops of 112 px of people who are nobody of the labels."),
]


def evaluate(  # noqa: PLR0913 - options of a command
    experiment: ExperimentName = None,
    *,
    workdir: Workdir = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="A bundle, as for `annotator annotate`, instead of the fitted network."),
    ] = None,
    by: Annotated[
        Literal["prototypes", "head"],
        typer.Option(help="What of the network names people: means of its embeddings, or its class head."),
    ] = "prototypes",
    faces: Faces = None,
    strangers: Strangers = None,
    sizes: Annotated[
        str, typer.Option(metavar="PX,…", help="Also make the faces as small as this; 'none' leaves it out.")
    ] = "64,48,32",
    clips: Annotated[Path | None, typer.Option(metavar="DIR", help="A folder of clips to annotate, too.")] = None,
    truth: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Who is seen in them: file,people[,start_ms,end_ms].")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the report goes. [default: evaluation in the experiment's folder]"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how well people are recognised on photographs and clips that nothing was fitted to.

    Right first and among the first five; found when strangers are about, at 1 % and 0.1 % of strangers named;
    precision and recall of each person; who is taken for whom, with pictures; by face size. Intervals are of 95 %.
    Writes report.html, with plots and pictures inside, and report.json, which `trainer compare` reads.

    Examples:
    - `trainer evaluate example_experiment --workdir workdir`
    - `trainer evaluate example_experiment --by head --strangers strangers`
    - `trainer evaluate example_experiment --model starter` on the same photographs
    - `trainer evaluate --model models/mine --faces people --clips clips --truth clips.csv --out report`

    """
    from trainer.evaluation.running import run_evaluate
    from trainer.evaluation.subjects import Shown, Subject
    from trainer.settings import load_trainer_settings

    opened, device = None, load_trainer_settings(workdir=workdir).device
    if experiment is not None or model is None or faces is None:
        opened, device = open_named(experiment, workdir)
    sizes_px = _sizes(sizes)
    shown = Shown(opened, faces=faces, strangers=strangers, sizes_px=sizes_px, clips=clips, truth=truth)
    subject = Subject(opened if model is None else None, model=model, kind=by)
    run_evaluate(subject, shown, out=out, device=device, as_json=as_json)


def compare(  # noqa: PLR0913 - options of a command
    before: Annotated[str, typer.Argument(metavar="A", help="What is there: report, experiment or model.")],
    after: Annotated[str, typer.Argument(metavar="B", help="What would take its place.")],
    *,
    workdir: Workdir = None,
    on: Annotated[
        str | None,
        typer.Option(
            metavar="EXPERIMENT", help="Whose val_dataset is shown. [default: the first experiment that is compared]"
        ),
    ] = None,
    faces: Faces = None,
    strangers: Strangers = None,
    margin: Annotated[
        float, typer.Option(metavar="SHARE", min=0, max=1, help="By how much a share may fall and be «not worse».")
    ] = 0.01,
    require: Annotated[
        Literal["not-worse"] | None, typer.Option(help="Exit with 3 where this does not hold.", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where comparison.html and .json go.")] = Path("comparison"),
    as_json: AsJson = False,
) -> None:
    """Say which of two recognises people better, on the same photographs, and what chance alone would do.

    A and B are reports of `trainer evaluate` (file or folder), or what is evaluated now: an experiment of the work
    directory (NAME:head for its class head), or a model as `annotator annotate` takes it.

    B is worse where a measure falls by more than --margin, or falls and its interval of 95 % leaves out no change; or
    where a person of whom A has found two photographs or more is found on none.

    Examples:
    - `trainer compare before/report.json after/report.json --require not-worse`
    - `trainer compare starter example_experiment --workdir workdir --strangers strangers`
    - `trainer compare example_experiment example_experiment:head --workdir workdir`

    Exit code: 3 where B is worse and --require not-worse is given, else 0.

    """
    from trainer.evaluation.running import ComparePlaces, run_compare
    from trainer.evaluation.subjects import Shown
    from trainer.settings import load_trainer_settings
    from trainer.workdir import open_experiment

    settings = load_trainer_settings(workdir=workdir)
    shown = Shown(open_experiment(on, settings.workdir) if on is not None else None, faces=faces, strangers=strangers)
    comparison = run_compare(
        (before, after),
        shown,
        places=ComparePlaces(settings.workdir, out),
        margin=margin,
        device=settings.device,
        as_json=as_json,
    )
    raise typer.Exit(HELD if require is not None and not comparison.is_not_worse else OK)


def _sizes(text: str) -> tuple[int, ...]:
    if text == "none":
        return ()
    sizes = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 12 <= int(part) <= 112 for part in sizes):
        raise typer.BadParameter(f"--sizes is {text!r}: it must be numbers from 12 to 112 with commas between, or none")
    return tuple(sorted({int(part) for part in sizes}, reverse=True))
