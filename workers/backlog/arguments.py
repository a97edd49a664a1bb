"""The arguments of `annotate-backlog`: their names, their help, the panel in which the help shows them."""

from typing import Annotated, Literal

import typer

_WHAT, _ORDER, _TIME, _HOW = "What is annotated", "Which first", "How long, and who is told", "How it runs"
_DRY, _FOLLOW = "What would it take", "What comes later"

Uri = Annotated[
    str | None,
    typer.Argument(metavar="s3://BUCKET/PREFIX", help="Objects whose keys begin so; s3://BUCKET/ is all."),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Write nothing; count, annotate a sample here, and forecast time, cost and rows.",
        rich_help_panel=_DRY,
    ),
]
Sample = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="Media of the sample; 0 only counts. [default: 200]", rich_help_panel=_DRY),
]
PricePerHour = Annotated[
    float | None,
    typer.Option(min=0.0, metavar="PRICE", help="Of one worker, for the cost.", rich_help_panel=_DRY),
]
Include = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="Only keys that match, e.g. '*.gif'; repeatable.", rich_help_panel=_WHAT),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="No keys that match, e.g. 'drafts/*'; repeatable.", rich_help_panel=_WHAT),
]
Ids = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Only these keys or s3:// addresses, one a line; - reads standard input.",
        rich_help_panel=_WHAT,
    ),
]
Inventory = Annotated[
    str | None,
    typer.Option(
        metavar="s3://…/manifest.json", help="Read an S3 Inventory (CSV) instead of listing.", rich_help_panel=_WHAT
    ),
]
Limit = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="At most so many objects this time.", rich_help_panel=_WHAT)
]
Refresh = Annotated[
    bool,
    typer.Option(
        "--refresh",
        help="Also what is annotated already; results stay until they are replaced.",
        rich_help_panel=_WHAT,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Name or folder of a model. [default: starter]", rich_help_panel=_WHAT),
]
Priority = Annotated[
    int | None,
    typer.Option(
        min=-100,
        metavar="N",
        max=100,
        help="Higher goes first; also raises what is pending. [default: 0]",
        rich_help_panel=_ORDER,
    ),
]
Order = Annotated[
    Literal["listed", "most-viewed"],
    typer.Option(
        help="most-viewed needs --views or --views-query; it queues when all is listed.", rich_help_panel=_ORDER
    ),
]
Views = Annotated[str | None, typer.Option(metavar="FILE.csv", help="Lines of key,views.", rich_help_panel=_ORDER)]
ViewsQuery = Annotated[
    str | None,
    typer.Option(metavar="SQL", help="Yields key and views; it cannot write.", rich_help_panel=_ORDER),
]
ViewsDatabase = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Where --views-query is run. [default: --database]", rich_help_panel=_ORDER),
]
Deadline = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="Stop then: 36h, 2d, 2026-12-01T08:00. What is done stays.", rich_help_panel=_TIME
    ),
]
MaxWorkerHours = Annotated[
    float | None,
    typer.Option(min=0.001, metavar="H", help="Stop when workers have spent so many hours.", rich_help_panel=_TIME),
]
Callback = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="Told of each media and of the end; its host must be allowed.", rich_help_panel=_TIME
    ),
]
Follow = Annotated[
    bool,
    typer.Option(
        "--follow",
        help="Go on with what comes, changes and goes, until it is stopped.",
        rich_help_panel=_FOLLOW,
    ),
]
Sqs = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Queue of the bucket's notifications. [default: ANNOTATOR_BACKLOG__SQS_URL]",
        rich_help_panel=_FOLLOW,
    ),
]
PollEvery = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="From listing to listing. [default: 5m; with a queue 1d]", rich_help_panel=_FOLLOW
    ),
]
AllowGone = Annotated[
    bool,
    typer.Option(
        "--allow-gone",
        help="Mark as gone whatever is known and not there, however much it is.",
        rich_help_panel=_WHAT,
    ),
]
Stop = Annotated[
    int | None,
    typer.Option(
        metavar="BACKLOG",
        help="Instead: stop a backlog; its number, as `annotator status` lists it.",
        rich_help_panel=_TIME,
    ),
]
Listers = Annotated[
    int | None,
    typer.Option(min=1, max=64, metavar="N", help="Parts listed at once. [default: 4]", rich_help_panel=_HOW),
]
AsJson = Annotated[bool, typer.Option("--json", help="The summary as a JSON line, for programs.", rich_help_panel=_HOW)]
Database = Annotated[
    str | None,
    typer.Option(metavar="URL", help="postgresql://… [default: ANNOTATOR_DATABASE_URL]", rich_help_panel=_HOW),
]
