"""``trainer check`` and ``trainer prepare``: arguments and help."""

# ruff: noqa: PLC0415 - `--help` is quick

from typing import Annotated, Literal

import typer

from annotator.cli.options import AsJson
from trainer.options import ExperimentName, Workdir, open_named


def check(
    experiment: ExperimentName = None,
    *,
    workdir: Workdir = None,
    write_labels: Annotated[
        bool, typer.Option("--write-labels", help="Write labels.csv from the folders, where there is none.")
    ] = False,
) -> None:
    """Say all that is wrong with an experiment's folders, labels, photographs and weights, in one go.

    `trainer prepare` does so, too, before it begins. Nothing is changed, and a labels.csv that is there never.

    Examples:
    - `trainer check example_experiment --workdir workdir`
    - `trainer check example_experiment --write-labels` makes a class of each folder of photographs

    """
    from trainer.checking import check_experiment

    opened, _ = open_named(experiment, workdir)
    check_experiment(opened, writes_labels=write_labels)


def prepare(  # noqa: PLR0913 - options of a command
    experiment: ExperimentName = None,
    *,
    workdir: Workdir = None,
    crop: Annotated[
        Literal["aligned", "box"],
        typer.Option(help="Faces turned and scaled by their landmarks, or the detector's box stretched to a square."),
    ] = "aligned",
    size: Annotated[int, typer.Option(metavar="PX", min=16, max=1024, help="Side of a crop.")] = 112,
    margin: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", min=0, max=1, help="Added on each side, as a share of it. [default: 0; 0.1 with box]"
        ),
    ] = None,
    all_faces: Annotated[
        bool, typer.Option("--all-faces", help="Every face of a photograph, not only the person's.")
    ] = False,
    min_face_px: Annotated[int, typer.Option(metavar="PX", min=12, help="Smallest face that is used.")] = 40,
    val_share: Annotated[
        float, typer.Option(metavar="SHARE", min=0, max=0.9, help="Share of each person's photographs to evaluate on.")
    ] = 0.1,
    as_json: AsJson = False,
) -> None:
    """Cut the faces out of the photographs, into train_dataset and val_dataset.

    Only new and changed photographs are looked at; after a kill it goes on where it was. Of several faces the one is
    taken that agrees with the person's other photographs. Near-duplicates are never on both sides, and a photograph
    keeps its side (split.csv) whatever is added.

    Examples:
    - `trainer prepare example_experiment --workdir workdir`
    - `trainer prepare example_experiment --crop box --margin 0.1 --size 224` cuts as GIPHY's release does

    """
    from annotator.recognition.crops import FaceCrop
    from trainer.dataset.preparing import PrepareParams
    from trainer.dataset.telling import run_prepare

    params = PrepareParams(
        crop=FaceCrop(crop, size, margin if margin is not None else 0.1 if crop == "box" else 0.0),
        takes_all_faces=all_faces,
        min_face_px=min_face_px,
        val_share=val_share,
    )
    opened, device = open_named(experiment, workdir)
    run_prepare(opened, params, device=device, as_json=as_json)
