"""``annotator enroll``, ``identities`` and ``search``: their arguments and their help."""

# ruff: noqa: PLC0415 - each imports what it needs when it runs: --help is quick

from pathlib import Path
from typing import Annotated, Literal

import typer

from annotator.cli.options import AsCsv, AsJson, Database, Model
from annotator.cli.processor import multiply_in_one_thread


def enroll(
    name: Annotated[str, typer.Argument(help="The person's name, in quotes.")],
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO…", help="Photographs of the person.")],
    *,
    face: Annotated[
        int | None,
        typer.Option(min=1, help="Which face, where a photograph shows several: 1 is the leftmost."),
    ] = None,
    model: Model = None,
    database: Database = None,
) -> None:
    """Add a person from photographs, without training.

    A photograph with no face, with several, or with somebody else's face is refused, and the reason said. What is
    annotated already gets the new name the next time it is asked for, without being decoded.

    Example: `annotator enroll "Eileen Collins" portrait.jpg another.jpg`

    """
    multiply_in_one_thread()
    from annotator.cli.enrolling import enroll as enroll_person

    enroll_person(name, photos, face=face, settings={"model": model, "database_url": database})


def identities(  # noqa: PLR0913 - all by name
    *,
    rename: Annotated[
        tuple[str, str] | None, typer.Option(metavar="OLD NEW", help="Correct a name; the old one still finds.")
    ] = None,
    merge: Annotated[
        tuple[str, str] | None, typer.Option(metavar="NAME INTO", help="Make two people one, under the second name.")
    ] = None,
    unmerge: Annotated[
        str | None, typer.Option(metavar="NAME", help="Take a merge back, by the name of whom it gave up.")
    ] = None,
    called: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --unmerge: what that one is called from now on."),
    ] = None,
    split: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="NAME OTHER", help="Say that some tracks of one name are somebody else: with --track."),
    ] = None,
    track: Annotated[
        list[str] | None, typer.Option(metavar="MEDIA#TRACK", help="With --split: which; may be given many times.")
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="With --split: add OTHER, where nobody has the name.")] = False,
    as_json: AsJson = False,
    model: Model = None,
    database: Database = None,
) -> None:
    """List who is known, correct names, merge people and take that back, tell apart two of one name.

    Examples:
    - `annotator identities --rename "Sarah Gellar" "Sarah Michelle Gellar"`
    - `annotator identities --merge "The Rock" "Dwayne Johnson"`
    - `annotator identities --unmerge "The Rock"`
    - `annotator identities --split "Chris Evans" "Chris Evans (presenter)" --new --track show.mp4#0`

    """
    from annotator.cli.people import list_people, merge_people, rename_person

    if called is not None and unmerge is None:
        raise typer.BadParameter("--called goes with --unmerge")
    if (track or new) and split is None:
        raise typer.BadParameter("--track and --new go with --split")
    asked = [one for one in (rename, merge, unmerge, split) if one is not None]
    if len(asked) > 1:
        raise typer.BadParameter("give one of --rename, --merge, --unmerge and --split")
    if asked and as_json:
        raise typer.BadParameter("--json is for the list: leave --rename, --merge, --unmerge and --split out")
    settings = {"database_url": database}
    if rename is not None:
        rename_person(*rename, settings=settings)
    if merge is not None:
        merge_people(*merge, settings=settings)
    if unmerge is not None:
        multiply_in_one_thread()
        from annotator.cli.unmerging import unmerge_people

        unmerge_people(unmerge, called=called, settings={"model": model, **settings})
    if split is not None:
        from annotator.cli.splitting import split_people

        split_people(*split, track or [], is_new=new, settings=settings)
    if not asked:
        list_people(as_json=as_json, settings=settings)


def search(
    name: Annotated[str, typer.Argument(help="A name; case and accents do not matter.")],
    *,
    min_confidence: Annotated[float, typer.Option(min=0, max=1, help="Leave out what is less sure.")] = 0.0,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    database: Database = None,
) -> None:
    """Find the media that show a person, surest first.

    Example: `annotator search "jennifer aniston" --min-confidence 0.9 --csv`

    """
    if as_json and as_csv:
        raise typer.BadParameter("give --json or --csv, not both")
    from annotator.cli.people import search_person

    form: Literal["json", "csv", "table"] = "json" if as_json else "csv" if as_csv else "table"
    search_person(name, min_confidence=min_confidence, form=form, settings={"database_url": database})
