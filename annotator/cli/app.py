"""The commands of ``annotator``. Each imports what it needs when it runs: ``--help`` is quick."""

# ruff: noqa: PLC0415 - see above

from pathlib import Path
from typing import Annotated, Any

import typer

from annotator.cli.annotating_app import annotate, explain
from annotator.cli.application import make_application
from annotator.cli.confidence_app import calibrate, evaluate
from annotator.cli.corrections_app import correct, corrections
from annotator.cli.database_app import db_app
from annotator.cli.duplicates_app import duplicates
from annotator.cli.export_app import export
from annotator.cli.models_app import models_app
from annotator.cli.options import AsJson, Database, MinPrecision, Model, Prior
from annotator.cli.people_app import enroll, identities, search
from annotator.cli.processor import multiply_in_one_thread
from annotator.cli.review_app import review
from annotator.cli.space_app import space_app
from annotator.cli.strangers_app import strangers_app
from annotator.cli.takedown_app import takedown
from annotator.cli.web_app import web_app
from annotator.cli.worker_app import worker_app

app = make_application(
    "annotator",
    about="Say who is in GIFs, videos and pictures, when, and how sure that is.",
    epilog="Start with: annotator annotate FOLDER, or see it work: annotator demo. Through a queue: annotate-backlog"
    " s3://BUCKET/PREFIX queues a bucket, celery -A workers worker -Q gpu annotates it.",
)
app.add_typer(models_app, name="models")
app.add_typer(strangers_app, name="strangers")
app.add_typer(space_app, name="space")
app.add_typer(web_app, name="web")
app.add_typer(db_app, name="db")
app.add_typer(worker_app, name="worker")

app.command()(annotate)
app.command()(explain)
app.command()(evaluate)
app.command()(enroll)
app.command()(identities)
app.command()(search)
app.command()(correct)
app.command()(corrections)
app.command()(review)
app.command()(duplicates)
app.command()(takedown)
app.command()(export)


@app.command()
def relabel(  # noqa: PLR0913 - options of a command
    *,
    model: Model = None,
    activate: Annotated[
        bool, typer.Option("--activate", help="Let views and searches show the new labels at the end, at once.")
    ] = False,
    min_precision: MinPrecision = None,
    prior: Prior = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads. [default: one for each core, at most 4; SQLite has one]")
    ] = None,
    as_json: AsJson = False,
    database: Database = None,
) -> None:
    """Label everything that is annotated anew, from stored embeddings: no decoding, no GPU.

    For a new version of a model, new people, another prior or threshold. Until the switch everybody sees the former
    labels. It may be interrupted: called again, it goes on. The view `relabelling_runs` shows how far it is and what it
    changes.

    Examples:
    - `annotator relabel --model mine@4` makes the labels of a model and says what they change
    - `annotator relabel --model mine@4 --activate` also shows them

    Where the model needs other embeddings than those that are stored, it says how much is to be annotated again.

    """
    multiply_in_one_thread()
    from annotator.cli.relabelling import relabel as relabel_stored

    settings: dict[str, Any] = {"model": model, "database_url": database}
    settings |= {"prior": prior, "min_precision": min_precision}
    relabel_stored(is_activated=activate, workers=workers, as_json=as_json, settings=settings)


app.command()(calibrate)


@app.command()
def status(
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on until Ctrl-C; where stdout is no terminal, a line for each change.")
    ] = False,
    recount: Annotated[
        bool, typer.Option("--recount", help="Count all rows and correct the counters; say what differed.")
    ] = False,
    as_json: AsJson = False,
    database: Database = None,
) -> None:
    """Say how far it has come: media by state, rate, remaining time, workers, queue, and what holds it up.

    Examples:
    - `annotator status --watch` draws it anew every two seconds
    - `annotator status --json | jq .binds` says what holds it up, and which setting to change

    """
    from annotator.cli.status import recount_all, show_status

    settings = {"database_url": database}
    if recount:
        recount_all(settings=settings)
        return
    show_status(as_json=as_json, is_watched=watch, settings=settings)


@app.command()
def retry(
    *,
    reason: Annotated[str | None, typer.Option(help="Only what failed for this reason, as `status` lists it.")] = None,
    callbacks: Annotated[
        bool, typer.Option("--callbacks", help="Instead: call-backs whose receivers did not take them.")
    ] = False,
    database: Database = None,
) -> None:
    """Let failed media be tried again.

    Examples:
    - `annotator retry --reason source_unavailable`
    - `annotator retry --callbacks` once the receiver works again

    """
    from annotator.cli.database import retry_call_backs, retry_failed

    if callbacks and reason is not None:
        raise typer.BadParameter("give --reason or --callbacks, not both")
    settings = {"database_url": database}
    if callbacks:
        retry_call_backs(settings=settings)
    else:
        retry_failed(reason, settings=settings)


@app.command()
def config(*, as_json: AsJson = False) -> None:
    """Print every setting with its value and where that comes from; passwords are masked.

    A setting comes from an option, the environment (`ANNOTATOR_…`), the file `.env` of the working folder, or its
    default. Unknown names that begin with `ANNOTATOR_` are refused.

    """
    from annotator.cli.config import show_config

    show_config(as_json=as_json)


@app.command()
def up(
    *,
    folder: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="Where it keeps its data between runs.")
    ] = None,
) -> None:
    """Run the whole service here: Postgres, broker, S3 endpoint, web application, a worker and beat, until Ctrl-C.

    Each server is replaced by another one where a setting gives its URL. Needs the extras: `pip install
    'celebrity-annotator[local-stack,web]'`; without `web` there is no web application.

    """
    from annotator.cli.local_stack import run_up

    run_up(folder)


@app.command()
def demo(
    *,
    folder: Annotated[Path, typer.Argument(help="Where the clips, results and pictures go.")] = Path("demo"),
) -> None:
    """See it work: draw clips from public-domain portraits, name who is in them, enroll the one who is unknown."""
    from annotator.cli.demo import run_demo

    run_demo(folder)
