"""``trainer collect``: arguments and help."""

# ruff: noqa: PLC0415 - `--help` is quick

from pathlib import Path
from typing import Annotated

import typer

from annotator.cli.entry import FAILED
from trainer.options import Workdir


def collect(
    people: Annotated[
        list[str],
        typer.Argument(metavar="LABELS.csv|NAME…", help="A labels.csv, or names: 'Jane Doe (tennis player)'."),
    ],
    *,
    experiment: Annotated[
        str | None,
        typer.Option("--experiment", metavar="NAME", help="Where to collect. [default: EXPERIMENT_FILENAME]"),
    ] = None,
    workdir: Workdir = None,
    contact: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", envvar="TRAINER_CONTACT", help="Your e-mail address or page; Wikimedia asks for it."
        ),
    ] = None,
    most: Annotated[int, typer.Option(metavar="N", min=1, max=500, help="Pictures fetched of one person.")] = 50,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask everything again, also about people who are through.")
    ] = False,
) -> None:
    """Collect photographs for a list of people from Wikidata and Wikimedia Commons, with authors and licences.

    Only the people of the list, and only adult public figures. Stop it at any time: the next run goes on. What is
    refused is in refused.csv with its reason; write your decisions into doubtful.csv and run it again.

    The licences are the photographers'. They are no consent of the people shown to biometric use: see
    docs/collecting.md before you use what you have collected.

    Examples:
    - `trainer collect labels.csv --experiment celebrities --contact jane@museum.nl`
    - `trainer collect "Jane Doe" "John Smith (painter)" --experiment mine --contact https://museum.nl/jane`

    """
    from trainer.collect.running import CollectOptions, collect_photographs
    from trainer.settings import load_trainer_settings
    from trainer.workdir import Experiment

    settings = load_trainer_settings(workdir=workdir)
    name = experiment or settings.experiment
    if name is None or Path(name).name != name or name.startswith("."):
        raise typer.BadParameter("give --experiment with the name of a folder, or set EXPERIMENT_FILENAME")
    options = CollectOptions(contact, most_pictures=most, is_refreshed=refresh)
    if not collect_photographs(people, Experiment(name, settings.workdir), options, device=settings.device):
        raise typer.Exit(FAILED)
