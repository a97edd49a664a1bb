"""Options that several commands share."""

from typing import Annotated

import typer

Database = Annotated[
    str | None,
    typer.Option(
        "--database", metavar="URL", help="sqlite:///FILE or postgresql://… [default: ANNOTATOR_DATABASE_URL]"
    ),
]
Model = Annotated[
    str | None, typer.Option("--model", metavar="NAME", help="Name, folder or s3://… of a model. [default: starter]")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs, on stdout, instead of a table.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="CSV with a header, on stdout, instead of a table.")]
