"""``annotator takedown``: its arguments and its help."""

# ruff: noqa: PLC0415 - it imports what it needs when it runs: --help is quick

from pathlib import Path
from typing import Annotated

import typer

from annotator.cli.options import AsJson, Database, Model


def takedown(  # noqa: PLR0913 - options of a command
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A name, an alias, the id of an identity, or /m/… of the Knowledge Graph."),
    ] = None,
    *,
    face: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="PICTURE",
            help="Instead of a name, or beside it: whoever is on this picture, named or not.",
        ),
    ] = None,
    which: Annotated[
        int | None, typer.Option(min=1, help="With --face: of several faces on it, 1 is the leftmost.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without, it only says what would go.")] = False,
    folder: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            file_okay=False,
            resolve_path=True,
            metavar="DIR",
            help="Also out of this folder: a work directory, exports, pictures that were drawn; repeatable.",
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Keep the report there, too.")] = None,
    tell_name: Annotated[
        bool, typer.Option("--tell-name", help="Write the name into the report; without, it does not say who it was.")
    ] = False,
    model: Model = None,
    as_json: AsJson = False,
    database: Database = None,
) -> None:
    """Take all that is known of a person away, and keep the person from being learnt again.

    Labels, enrolled photographs, corrections and groups go from the database, and the embeddings of the person's tracks
    and of tracks without a name that look alike; prototypes go from the models of this machine; photographs, crops and
    fits from the folders given. A salted hash stays, by which the name is refused from then on. Media stay as they are.

    Examples:
    - `annotator takedown "Amelia Earhart" --folder workdir` says what would go
    - `annotator takedown "Amelia Earhart" --folder workdir --yes --report record.json`
    - `annotator takedown --face her.jpg` of whoever is on it: a person with a name, or tracks without one

    It may be killed at any time: called again, it goes on. Exit code: 0, or 2 where nobody of the name is known.

    """
    if name is None and face is None:
        raise typer.BadParameter("give a NAME, --face PICTURE, or both")
    from annotator.cli.takedown import Picture, take_person_down
    from annotator.takedown.running import Wanted

    wanted = Wanted(name, folders=tuple(folder or ()), is_dry=not yes, tells_name=tell_name)
    settings = {"model": model, "database_url": database}
    picture = None if face is None else Picture(face, which)
    take_person_down(wanted, picture=picture, as_json=as_json, report_to=report, settings=settings)
