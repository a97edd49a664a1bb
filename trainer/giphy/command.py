"""``trainer import-giphy``: arguments and help."""

# ruff: noqa: PLC0415 - `--help` is quick

from pathlib import Path
from typing import Annotated

import typer


def import_giphy(
    archive: Annotated[
        Path, typer.Argument(metavar="ARCHIVE", help="GIPHY's resources.tar.gz, or the folder unpacked from it.")
    ],
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write; must be new or empty.")] = Path("giphy"),
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The release's labels.csv. [default: that of the archive]")
    ] = None,
) -> None:
    """Make a model bundle of GIPHY's open release, without PyTorch; nothing in it is run.

    Neither photographs nor strangers come with the release: thresholds are assumptions, and the model card says so.

    Example: `trainer import-giphy resources.tar.gz --out models/giphy`

    """
    from trainer.giphy.importing import import_giphy as run_import

    made = run_import(archive, out, labels=labels)
    typer.echo(f"{made.people} people and the network are in {made.folder}, for `annotator annotate --model`")
