"""``annotator duplicates``: its arguments and its help."""

# ruff: noqa: PLC0415 - it imports what it needs when it runs: --help is quick

from typing import Annotated

import typer

from annotator.cli.options import AsJson, Database


def duplicates(
    media: Annotated[
        str | None, typer.Argument(metavar="MEDIA", help="A file or address that is annotated: its family.")
    ] = None,
    *,
    is_all: Annotated[
        bool, typer.Option("--all", help="Instead of one media: families, those of most clips first.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="With --all: how many.")] = 20,
    as_json: AsJson = False,
    database: Database = None,
) -> None:
    """List clips that are one clip made anew: re-encoded, resized, cropped, captioned, mirrored, faster, trimmed.

    What was annotated since the last time finds its family first; it may be interrupted, and goes on when called again.
    Each clip keeps its own times and boxes; the names of a family are those of all its members. Nothing is decoded.

    Examples:
    - `annotator duplicates clips/x.gif` lists the family of a clip, and why
    - `annotator duplicates --all --json` gives a line for each family

    """
    if (media is None) != is_all:
        raise typer.BadParameter("give a MEDIA, or --all")
    from annotator.cli.duplicates import show_all, show_family

    settings = {"database_url": database}
    if media is None:
        show_all(limit=limit, as_json=as_json, settings=settings)
    else:
        show_family(media, as_json=as_json, settings=settings)
