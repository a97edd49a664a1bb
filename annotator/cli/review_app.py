"""``annotator review``: its arguments and its help."""

# ruff: noqa: PLC0415 - it imports what it needs when it runs: --help is quick

from pathlib import Path
from typing import Annotated

import typer

from annotator.cli.options import AsJson, Database, Model
from annotator.cli.processor import multiply_in_one_thread


def review(
    *,
    views: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Lines of MEDIA,VIEWS: those come first that are viewed most."),
    ] = None,
    as_json: AsJson = False,
    model: Model = None,
    database: Database = None,
) -> None:
    """Look through the archive for tracks that are worth a person's look, for the page Review of `annotator web`.

    That page, and beat, find names that are uncertain, and tracks that are just under the threshold for one, some at a
    time. This looks at everything at once, and puts all in order anew. Nothing is decoded, and no name changes.

    Examples:
    - `annotator review`
    - `annotator review --views views.csv`

    """
    multiply_in_one_thread()
    from annotator.cli.reviewing import fill_queue

    fill_queue(views=views, as_json=as_json, settings={"model": model, "database_url": database})
