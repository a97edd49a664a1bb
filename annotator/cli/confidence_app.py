"""``annotator evaluate`` and ``annotator calibrate``, how sure names are: their arguments and their help."""

# ruff: noqa: PLC0415 - each imports what it needs when it runs: --help is quick

from pathlib import Path
from typing import Annotated

import typer

from annotator.cli.options import AsJson, Database, Model
from annotator.cli.processor import multiply_in_one_thread


def evaluate(  # noqa: PLR0913 - options of a command
    people: Annotated[
        Path,
        typer.Argument(metavar="PEOPLE", help="Aligned crops of 112 x 112 that the model has not seen, a folder each."),
    ],
    *,
    strangers: Annotated[
        Path, typer.Option(metavar="DIR", help="Aligned crops, each of another person whom the model does not know.")
    ],
    groups: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Columns name and by what people are grouped: sex, region, age, …"),
    ] = None,
    output: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the report goes.")] = Path("evaluation"),
    clips: Annotated[
        int | None, typer.Option(min=1, help="At most so many clips of each half of the people. [default: all]")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Draw all clips anew, also those that an earlier run has kept.")
    ] = False,
    as_json: AsJson = False,
    model: Model = None,
) -> None:
    """Measure how sure a model's names are, on clips with known truth that are drawn of photographs.

    They go the whole way of any clip. Of each name's confidence it tells how many names are right, at several shares of
    known people among the tracks; how many known people are found, by size, blur and what may make it hard; who and
    when in whole clips. Half of the people give the thresholds, the other half is reported; whoever the model does not
    know counts as a stranger, and each fifth of its people is left out once.

    It may be interrupted: what is drawn and found is kept in the cache, a few clips at a time, and it goes on there.

    Examples:
    - `annotator evaluate photographs/ --strangers others/ --model mine@3`
    - `annotator evaluate photographs/ --strangers others/ --groups people.csv --out report/`

    """
    multiply_in_one_thread()
    from annotator.cli.evaluating import EvaluateOptions
    from annotator.cli.evaluating import evaluate as run

    settings = {"model": model}
    options = EvaluateOptions(
        people, strangers, groups, output, clips, is_fresh=fresh, as_json=as_json, settings=settings
    )
    run(options)


def calibrate(
    *,
    sample: Annotated[int, typer.Option(min=1, help="Look at about so many contents, spread over all.")] = 200_000,
    model: Model = None,
    as_json: AsJson = False,
    database: Database = None,
) -> None:
    """Estimate from what is annotated which share of tracks shows somebody whom the model knows: the prior.

    What a name's confidence is worth depends on it. All tracks that are good enough count, known and unknown; they are
    scored anew from stored embeddings, and nothing is written. Shown are the prior that is in use, the estimate with an
    interval of 95 %, how many names would be sure under either, and the setting that takes it over.

    Examples:
    - `annotator calibrate` and then, with what it says, `ANNOTATOR_PRIOR=0.031 annotator relabel --activate`
    - `annotator calibrate --json | jq -r .setting >> .env`

    """
    multiply_in_one_thread()
    from annotator.cli.calibrating import calibrate as estimate

    estimate(most=sample, as_json=as_json, settings={"model": model, "database_url": database})
