"""``annotator strangers``: the commands, their arguments and their help."""

# ruff: noqa: PLC0415 - each imports what it needs when it runs: --help is quick

from pathlib import Path
from typing import Annotated

import typer

from annotator.cli.options import AsCsv, AsJson, Database, Model
from annotator.cli.processor import multiply_in_one_thread

strangers_app = typer.Typer(
    help="Who is seen often and known to nobody: unknown tracks, grouped over everything that is annotated.",
    no_args_is_help=True,
)
Number = Annotated[int, typer.Argument(min=1, metavar="STRANGER", help="Number of a group, as `list` shows it.")]


@strangers_app.command("group")
def group_strangers(
    *,
    anew: Annotated[
        bool, typer.Option("--anew", help="Make all groups anew, but for those that were named, merged or split.")
    ] = False,
    model: Model = None,
    as_json: AsJson = False,
    database: Database = None,
) -> None:
    """Group the tracks of what was annotated since the last time: those of one person, whoever that is.

    Groups keep their numbers. It may be interrupted: called again, it goes on. Nothing is decoded.

    Example: `annotator strangers group` and then `annotator strangers list`

    """
    multiply_in_one_thread()
    from annotator.cli.strangers import group

    group(is_anew=anew, as_json=as_json, settings={"model": model, "database_url": database})


@strangers_app.command("list")
def list_strangers(  # noqa: PLR0913 - options of a command
    *,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    min_media: Annotated[int, typer.Option(min=1, help="Only who is seen in so many media at least.")] = 2,
    has_known: Annotated[
        bool, typer.Option("--all", help="Those, too, that were named, or of whose tracks half have a name.")
    ] = False,
    views: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Lines of MEDIA,VIEWS: who is viewed most comes first."),
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    database: Database = None,
) -> None:
    """List the strangers who are seen most: in most media, then longest on screen.

    Examples:
    - `annotator strangers list --views views.csv` begins with those who are viewed most
    - `annotator strangers list --limit 1000 --csv > strangers.csv`

    """
    if as_json and as_csv:
        raise typer.BadParameter("give --json or --csv, not both")
    from annotator.cli.strangers import show_list

    form = "json" if as_json else "csv" if as_csv else "table"
    settings = {"database_url": database}
    show_list(limit=limit, min_media=min_media, has_known=has_known, views=views, form=form, settings=settings)


@strangers_app.command("show")
def show_stranger(
    number: Number,
    *,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Write a page with the faces, where their media can still be read."),
    ] = None,
    as_json: AsJson = False,
    database: Database = None,
) -> None:
    """Show where a stranger is seen, and the faces.

    Example: `annotator strangers show 12 --html who.html`

    """
    from annotator.cli.strangers import show_stranger as show

    show(number, html=html, as_json=as_json, settings={"database_url": database})


@strangers_app.command("name")
def name_stranger(
    number: Number,
    name: Annotated[str, typer.Argument(help="The person's name, in quotes.")],
    *,
    model: Model = None,
    database: Database = None,
) -> None:
    """Say who a stranger is: the best tracks are enrolled, and what is annotated already gets the name.

    As with `annotator enroll`, faces that are somebody else's to the model are refused. Nothing is decoded.

    Example: `annotator strangers name 12 "Eileen Collins"`

    """
    multiply_in_one_thread()
    from annotator.cli.strangers import name_stranger as name_one

    name_one(number, name, settings={"model": model, "database_url": database})


@strangers_app.command("merge")
def merge_strangers(
    number: Number,
    into: Annotated[int, typer.Argument(min=1, metavar="INTO", help="The group that remains.")],
    *,
    database: Database = None,
) -> None:
    """Say that two strangers are one person. No later run takes that back.

    Example: `annotator strangers merge 31 12`

    """
    from annotator.cli.strangers import merge_strangers as merge

    merge(number, into, settings={"database_url": database})


@strangers_app.command("split")
def split_stranger(
    number: Number,
    tracks: Annotated[
        list[str],
        typer.Argument(metavar="MEDIA#TRACK…", help="Tracks as `show` lists them; the end of the media is enough."),
    ],
    *,
    model: Model = None,
    database: Database = None,
) -> None:
    """Say that some tracks of a stranger are another person: they become a group of their own, and stay one.

    Example: `annotator strangers split 12 waving.gif#1 "s3://gifs/party.gif#0"`

    """
    multiply_in_one_thread()
    from annotator.cli.strangers import split_stranger as split

    split(number, tracks, settings={"model": model, "database_url": database})
