"""The command ``annotate-backlog``: arguments, progress, summary, exit codes."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import typer
from rich.console import Console

from annotator.errors import AnnotatorError, ConfigError, InputError
from annotator.media.limits import FetchLimits, S3Access
from annotator.media.s3 import S3Store
from annotator.settings import Settings, load_settings
from annotator.store.chunks import ChunkLimits
from annotator.store.listing import ListingCount
from annotator.store.store import Store
from workers.backlog.listing import forecast_backlog, register_backlog

_PROGRESS_EVERY_S: Final = 1.0
_OK, _FAILED, _USAGE, _INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def annotate_backlog(
    uri: Annotated[str, typer.Argument(metavar="s3://BUCKET/PREFIX", help="What is to be annotated.")],
    *,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many objects this time.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be queued, and write nothing.")] = False,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name or folder of a model. [default: starter]")
    ] = None,
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="postgresql://… [default: ANNOTATOR_DATABASE_URL]")
    ] = None,
) -> None:
    """List a bucket, register what lies in it, and queue what is not annotated yet.

    It never waits for workers: they are fed by `celery -A workers beat` and annotate with
    `celery -A workers worker -Q gpu`. Run it again at any time: it goes on where it was stopped, queues what is new or
    has changed, and marks what is gone.
    """
    settings = load_settings(model=model, database_url=database)
    objects = S3Store(_access(settings), FetchLimits())
    limits = ChunkLimits(media=settings.worker.chunk_media, size_bytes=settings.worker.chunk_bytes)
    with Store.open(settings.database_url.get_secret_value()) as store:
        if dry_run:
            total = _sum_up(forecast_backlog(store, objects, uri, limit=limit, limits=limits))
            typer.echo(f"{_in_words(total)}; would queue {total.queued} media in {total.chunks} chunks")
            return
        network_id = _network_id(settings, store)
        parts = register_backlog(store, objects, uri, network_id=network_id, limit=limit, limits=limits)
        total = _sum_up(parts)
        typer.echo(f"{_in_words(total)}; queued {total.queued} media in {total.chunks} chunks")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: known errors are one line with the remedy.

    Returns:
        The exit code: 0 ok, 1 a service does not answer, 2 usage.

    """
    try:
        app(args=None if arguments is None else list(arguments), prog_name="annotate-backlog")
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else _OK if left.code is None else _USAGE
    except KeyboardInterrupt:
        sys.stderr.write("annotate-backlog: interrupted; run it again to go on\n")
        return _INTERRUPTED
    except AnnotatorError as error:
        sys.stderr.write(f"annotate-backlog: {' '.join(str(error).split())}\n")
        return _USAGE if isinstance(error, InputError | ConfigError) else _FAILED
    return _OK


def _access(settings: Settings) -> S3Access:
    from annotator.build import s3_access  # noqa: PLC0415  (loads the networks' engine)

    return s3_access(settings)


def _network_id(settings: Settings, store: Store) -> int:
    from annotator.build import build_annotator, register_model  # noqa: PLC0415  (loads the networks' engine)

    return register_model(store, build_annotator(settings, store=store)).network_id


def _sum_up(parts: Iterator[ListingCount]) -> ListingCount:
    """Sum up, and tell on stderr how far it has come."""
    console = Console(stderr=True, highlight=False)
    total = ListingCount()
    began_s = told_s = time.monotonic()
    for part in parts:
        total.add(part)
        if time.monotonic() - told_s > _PROGRESS_EVERY_S:
            told_s = time.monotonic()
            console.print(f"{total.listed} listed, {total.listed / (told_s - began_s):.0f}/s")
    return total


def _in_words(total: ListingCount) -> str:
    unchanged = total.listed - total.new - total.changed
    gone = f", {total.deleted} gone" if total.deleted else ""
    return f"listed {total.listed} media: {total.new} new, {total.changed} changed, {unchanged} unchanged{gone}"
