"""``annotator export``: its arguments and its help."""

# ruff: noqa: PLC0415 - it imports what it needs when it runs: --help is quick

from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from annotator.cli.options import Database


def _time(text: str | datetime) -> datetime:
    """Return a point in time; without a zone it is meant in UTC."""
    try:
        given = datetime.fromisoformat(str(text))
    except ValueError as exc:
        raise typer.BadParameter(f"{text!r} is no time: write 2026-11-24 or 2026-11-24T10:00:00+01:00") from exc
    return given if given.tzinfo is not None else given.replace(tzinfo=UTC)


def export(  # noqa: PLR0913 - options of a command
    *,
    form: Annotated[
        Literal["jsonl", "csv", "parquet", "webvtt", "rekognition", "video-intelligence", "video-indexer"],
        typer.Option("--format", help="Which form; docs/exports.md shows each."),
    ] = "jsonl",
    output: Annotated[
        str,
        typer.Option(
            metavar="FILE|DIR|-", help="Where it goes: a file, a new folder (DIR/) with a file for each media."
        ),
    ] = "-",
    rows: Annotated[
        Literal["people", "tracks"], typer.Option(help="What a row of a table is: a person in a media, or a track.")
    ] = "people",
    person: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only media that show this person, and nobody else in them."),
    ] = None,
    media: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Only this media: its number in the views, its path or address."),
    ] = None,
    min_confidence: Annotated[float, typer.Option(min=0, max=1, help="Leave out names that are less sure.")] = 0.0,
    since: Annotated[
        datetime | None,
        typer.Option(parser=_time, metavar="DATE", help="Only media that were labelled then or later, in UTC."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose labels, e.g. mine@3. [default: those that are shown]")
    ] = None,
    database: Database = None,
) -> None:
    """Write what was found for other programs: who is in which media, and when.

    Sorted by address, in little memory over any number of media. A file or a folder appears when it is whole.

    Examples:
    - `annotator export > found.jsonl` writes a line for each media
    - `annotator export --format csv --person "Joe Biden" --min-confidence 0.9 --output biden.csv`
    - `annotator export --format webvtt --output subtitles/` writes tracks for players
    - `annotator export --format rekognition --output answers/` writes what Amazon Rekognition would answer, a file each

    """
    from annotator.cli.exporting import ExportOptions
    from annotator.cli.exporting import export as export_all
    from annotator.export.selection import Selection

    selection = Selection(
        people=tuple(person or ()),
        media=tuple(media or ()),
        min_confidence=min_confidence,
        since=since,
        model=model,
    )
    export_all(ExportOptions(form, output, rows, selection, settings={"database_url": database}))
