"""``annotator correct`` and ``annotator corrections``: their arguments and their help."""

# ruff: noqa: PLC0415 - each imports what it needs when it runs: --help is quick

from pathlib import Path
from typing import Annotated

import typer

from annotator.cli.options import AsJson, Database, Model
from annotator.cli.processor import multiply_in_one_thread


def correct(  # noqa: PLR0913 - options of a command
    media: Annotated[
        str, typer.Argument(metavar="MEDIA", help="A file, an http(s) URL or s3://BUCKET/KEY that is annotated.")
    ],
    *,
    track: Annotated[int, typer.Option(min=0, help="Which track, by the number that `annotate --json` gives it.")],
    is_person: Annotated[str | None, typer.Option("--is", metavar="NAME", help="It is this person.")] = None,
    is_not: Annotated[str | None, typer.Option("--not", metavar="NAME", help="It is not this person.")] = None,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Take back all that was said of this track: the model's answer holds.")
    ] = False,
    new: Annotated[bool, typer.Option("--new", help="With --is: add the person, if nobody has the name.")] = False,
    as_json: AsJson = False,
    database: Database = None,
) -> None:
    """Say who a face is, or who it is not. That stands above what any model says, from now on.

    Labels change at once, and stay so when the archive is labelled by another model, or the clip is annotated anew:
    the face is found again by when and where it is seen. A track that IS somebody has the name with confidence 1. One
    that is NOT somebody gets the next person's name, if that one reaches the threshold, else it is unknown.

    The newest word on a track and a person counts.

    Examples:
    - `annotator correct clip.gif --track 0 --is "Joe Biden"`
    - `annotator correct s3://bucket/a.mp4 --track 3 --not "Barack Obama"`
    - `annotator correct clip.gif --track 1 --is "Eileen Collins" --new` of somebody whom no model knows
    - `annotator correct clip.gif --track 0 --withdraw`

    """
    given = [is_person is not None, is_not is not None, withdraw]
    if sum(given) != 1:
        raise typer.BadParameter("give one of --is NAME, --not NAME and --withdraw")
    if new and is_person is None:
        raise typer.BadParameter("--new goes with --is")
    from annotator.cli.correcting import CorrectOptions
    from annotator.cli.correcting import correct as correct_one

    options = CorrectOptions(
        track_no=track,
        verdict=None if withdraw else "is" if is_person is not None else "is not",
        name=is_person or is_not or "",
        is_new=new,
        as_json=as_json,
        settings={"database_url": database},
    )
    correct_one(media, options)


def corrections(  # noqa: PLR0913 - options of a command
    *,
    unmatched: Annotated[
        bool, typer.Option("--unmatched", help="Only what finds no track of what is shown: it is kept, and waits.")
    ] = False,
    has_all: Annotated[
        bool, typer.Option("--all", help="Also what was withdrawn, or overtaken by a newer word.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Instead: write the faces of tracks that ARE somebody, a folder a person."),
    ] = None,
    whole: Annotated[
        bool,
        typer.Option("--whole", help="With --export: photographs, as `trainer prepare` takes them, not aligned faces."),
    ] = False,
    missing_ok: Annotated[
        bool, typer.Option("--missing-ok", help="With --export: that some media cannot be read is no failure.")
    ] = False,
    enroll: Annotated[
        bool, typer.Option("--enroll", help="Instead: let these tracks count as evidence of their people.")
    ] = False,
    model: Model = None,
    as_json: AsJson = False,
    database: Database = None,
) -> None:
    """List what people have said of tracks, or use it: as pictures for the next model, or as evidence for this one.

    Examples:
    - `annotator corrections --unmatched` after another model has looked at other frames
    - `annotator corrections --export faces/`, then `annotator models build mine --people faces/ …`
    - `annotator corrections --export workdir/NAME/raw_dataset --whole`, then `trainer prepare NAME`
    - `annotator corrections --enroll` and tracks elsewhere that are like them get the name, too

    Exit code: 0, or 1 where --export could not read some media (0 with --missing-ok); the others are written all the
    same.

    """
    settings = {"model": model, "database_url": database}
    if export is not None and enroll:
        raise typer.BadParameter("give --export or --enroll, not both")
    if (export is not None or enroll) and (unmatched or has_all or as_json):
        raise typer.BadParameter("--unmatched, --all and --json go with the list")
    if (whole or missing_ok) and export is None:
        raise typer.BadParameter(f"{'--whole' if whole else '--missing-ok'} goes with --export DIR")
    from annotator.cli.correcting import enroll_corrections, export_corrections, show_corrections

    if export is not None or enroll:
        multiply_in_one_thread()
    if export is not None:
        raise typer.Exit(export_corrections(export, whole=whole, missing_ok=missing_ok, settings=settings))
    if enroll:
        enroll_corrections(settings=settings)
    else:
        show_corrections(only_unmatched=unmatched, has_all=has_all, as_json=as_json, settings=settings)
