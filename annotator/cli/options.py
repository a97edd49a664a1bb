"""Options that several commands share."""

from typing import Annotated

import typer

from annotator.cli.arguments import parse_duration_ms

Database = Annotated[
    str | None,
    typer.Option(
        "--database", metavar="URL", help="sqlite:///FILE or postgresql://… [default: ANNOTATOR_DATABASE_URL]"
    ),
]
Model = Annotated[
    str | None, typer.Option("--model", metavar="NAME", help="Name, folder or s3://… of a model. [default: starter]")
]
Prior = Annotated[
    float | None,
    typer.Option(
        "--prior",
        metavar="SHARE",
        help="Share of tracks that show somebody whom the model knows; confidences are stated under it."
        " `annotator calibrate` estimates it. [default: ANNOTATOR_PRIOR, else the model's]",
    ),
]
MinPrecision = Annotated[
    float | None,
    typer.Option(
        "--min-precision",
        metavar="P",
        help="Only names with a confidence of at least P; the others are unknown. [default: ANNOTATOR_MIN_PRECISION]",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs, on stdout, instead of a table.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="CSV with a header, on stdout, instead of a table.")]
Frames = Annotated[
    int | None, typer.Option(min=1, help="Look at so many frames, evenly over displayed time. [default: 20]")
]
Every = Annotated[
    int | None,
    typer.Option(parser=parse_duration_ms, metavar="TIME", help="Instead: a frame every 500ms, 2s, …"),
]
AllFrames = Annotated[bool, typer.Option("--all", help="Instead: every distinct frame.")]
MinFacePx = Annotated[int | None, typer.Option(min=1, help="Smallest face looked for. [default: 20]")]
