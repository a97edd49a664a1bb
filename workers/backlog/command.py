"""The command ``annotate-backlog``: arguments, progress, summary, exit codes."""

import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

import typer

from annotator.errors import AnnotatorError, BacklogStoppedError, ConfigError, InputError, TransientError
from annotator.media.limits import GIB, FetchLimits, S3Access
from annotator.media.s3 import S3Store, split_s3_uri
from annotator.settings import Settings, load_settings
from annotator.store.backlog.ending import forget_waiting, stop_backlog
from annotator.store.backlog.registration import ListingCount
from annotator.store.store import Store
from workers.annotating.engine import MediaAnnotator
from workers.backlog import arguments
from workers.backlog.follow import Follower, be_patient, leaving_on_signals
from workers.backlog.forecast import Sampler, forecast_in_words, forecast_sample
from workers.backlog.options import Request, parse_deadline, parse_seconds
from workers.backlog.running import Backlog, chunk_limits, count_backlog, open_backlog, open_followed
from workers.backlog.sqs import NotificationQueue
from workers.backlog.telling import counted, in_words, refusal_in_words, sum_up, tell, tell_sample, tell_step, warn
from workers.beat.receivers import check_callback_url

_OK, _FAILED, _USAGE, _TO_DECIDE, _INTERRUPTED = 0, 1, 2, 3, 130
# Files of an inventory are long; objects that are annotated are not fetched here.
_FETCH: Final = FetchLimits(max_bytes=64 * GIB, timeout_s=4 * 3600.0)
# Threads that list, the one that holds their locks, and some to spare.
_SPARE_CONNECTIONS: Final = 4
_SAMPLE: Final = 200
_FORECAST_WORKERS: Final = (1, 2, 4, 8, 16, 32)

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def annotate_backlog(  # noqa: PLR0913 - options of a command
    uri: arguments.Uri = None,
    *,
    dry_run: arguments.DryRun = False,
    sample: arguments.Sample = None,
    price_per_hour: arguments.PricePerHour = None,
    include: arguments.Include = None,
    exclude: arguments.Exclude = None,
    ids: arguments.Ids = None,
    inventory: arguments.Inventory = None,
    limit: arguments.Limit = None,
    refresh: arguments.Refresh = False,
    model: arguments.Model = None,
    priority: arguments.Priority = None,
    order: arguments.Order = "listed",
    views: arguments.Views = None,
    views_query: arguments.ViewsQuery = None,
    views_database: arguments.ViewsDatabase = None,
    deadline: arguments.Deadline = None,
    max_worker_hours: arguments.MaxWorkerHours = None,
    callback: arguments.Callback = None,
    follow: arguments.Follow = False,
    sqs: arguments.Sqs = None,
    poll_every: arguments.PollEvery = None,
    allow_gone: arguments.AllowGone = False,
    stop: arguments.Stop = None,
    listers: arguments.Listers = None,
    as_json: arguments.AsJson = False,
    database: arguments.Database = None,
) -> None:
    """List a bucket, register what lies in it, and queue what is not annotated yet.

    It never waits for workers: they are fed by `celery -A workers beat` and annotate with
    `celery -A workers worker -Q gpu`. Run it again at any time: it goes on where it was stopped, queues what is new or
    has changed, and marks what is gone. Two at the same time share the work.

    Examples:
    - `annotate-backlog s3://archive/gifs/ --dry-run` says first what it would take
    - `annotate-backlog s3://archive/gifs/` queues all below a prefix
    - `annotate-backlog s3://archive/ --include '*.gif' --limit 1000` tries it with the first thousand
    - `annotate-backlog s3://archive/ --ids urgent.txt --priority 10` lets some go first
    - `annotate-backlog s3://archive/ --inventory s3://reports/archive/daily/2026-12-01T01-00Z/manifest.json`
    - `annotate-backlog s3://archive/ --follow` goes on with what is put there later
    - `annotate-backlog --stop 3` ends a backlog; what is done stays

    Exit code: 0; 1 where a service does not answer (run it again to go on) or keys of --ids are not there; 2 usage; 3
    where so much is not there that none is marked as gone (see --allow-gone).

    """
    settings = load_settings(model=model, database_url=database, backlog=_changed(listers, sqs, poll_every))
    if stop is not None:
        _stop(stop, settings)
        return
    if uri is None:
        raise typer.BadParameter("give s3://BUCKET/PREFIX")
    request = Request(
        uri=uri,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        ids=ids,
        inventory=inventory,
        limit=limit,
        refresh=refresh,
        priority=priority,
        views=views,
        views_query=views_query,
        views_database=views_database,
        deadline_at=None if deadline is None else parse_deadline(deadline, now=datetime.now(UTC)),
        max_worker_hours=max_worker_hours,
        callback_url=None if callback is None else check_callback_url(callback, settings.callbacks),
        listers=settings.backlog.listers,
        follow=follow,
        allow_gone=allow_gone,
    )
    _insist_on_one_order(request, order)
    if not follow and (sqs or poll_every):
        raise typer.BadParameter("--sqs and --poll-every belong to --follow")
    if follow:
        _insist_on_all(request, is_dry=dry_run)
    if dry_run:
        size = _SAMPLE if sample is None else sample
        raise typer.Exit(_run_dry(request, settings, sample=size, price_per_hour=price_per_hour, as_json=as_json))
    if sample is not None or price_per_hour is not None:
        raise typer.BadParameter("--sample and --price-per-hour belong to --dry-run")
    raise typer.Exit((_run_following if follow else _run)(request, settings, as_json=as_json))


def _changed(listers: int | None, sqs: str | None, poll_every: str | None) -> dict[str, object]:
    """Return what options say instead of settings of backlogs."""
    every_s = None if poll_every is None else parse_seconds(poll_every)
    return {"listers": listers, "sqs_url": sqs, "poll_every_s": every_s}


def _insist_on_one_order(request: Request, order: str) -> None:
    has_views = bool(request.views or request.views_query)
    if (order == "most-viewed") != has_views or (request.views and request.views_query):
        raise typer.BadParameter("give --order most-viewed with one of --views and --views-query")


def _insist_on_all(request: Request, *, is_dry: bool) -> None:
    is_ordered = bool(request.views or request.views_query)
    if is_dry or request.ids or request.inventory or request.limit or request.refresh or is_ordered:
        raise typer.BadParameter(
            "--follow takes all that a bucket holds and gets: no list, limit, order, --refresh or --dry-run"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: known errors are one line with the remedy.

    Returns:
        The exit code: 0 ok, 1 a service does not answer or keys are not there, 2 usage, 3 somebody must decide.

    """
    try:
        app(args=None if arguments is None else list(arguments), prog_name="annotate-backlog")
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else _OK if left.code is None else _USAGE
    except KeyboardInterrupt:
        warn("interrupted; run it again to go on")
        return _INTERRUPTED
    except AnnotatorError as error:
        sentence = " ".join(str(error).split()).rstrip(".").removesuffix("; try again")
        again = "; run it again to go on" if isinstance(error, TransientError) else ""
        warn(f"{sentence}{again}")
        return _USAGE if isinstance(error, InputError | ConfigError) else _FAILED
    return _OK


def _run_dry(request: Request, settings: Settings, *, sample: int, price_per_hour: float | None, as_json: bool) -> int:
    if request.ids is not None or request.inventory is not None:
        raise InputError("--dry-run lists the bucket; leave --ids and --inventory out")
    bucket = S3Store(_access(settings), _FETCH, attempts=settings.backlog.attempts)
    began_s = time.monotonic()
    with _open(settings) as store:
        sampler = Sampler(max(sample, 1))
        counts = count_backlog(store, bucket, request, limits=chunk_limits(settings), sampler=sampler)
        total = sum_up(counts, lambda: 1)
        said = {"backlog": None, **counted(total, began_s), "forecast": None}
        words = in_words(total, "would queue")
        if sample and sampler.media:
            name = split_s3_uri(request.uri)[0]
            found = forecast_sample(sampler, _annotator(settings, store), bucket=name, on_done=tell_sample)
            said["forecast"] = found.as_json(price_per_hour=price_per_hour, workers=_FORECAST_WORKERS)
            words += f"\n{forecast_in_words(found, price_per_hour=price_per_hour, workers=_FORECAST_WORKERS)}"
    tell(said, words, as_json=as_json)
    return _OK


def _run(request: Request, settings: Settings, *, as_json: bool) -> int:
    bucket = S3Store(_access(settings), _FETCH, attempts=settings.backlog.attempts)
    pool_size = settings.backlog.listers + _SPARE_CONNECTIONS
    began_s = time.monotonic()
    with _open(settings, pool_size=pool_size) as store:
        network_id = _network_id(settings, store)
        opened = open_backlog(store, bucket, request, network_id=network_id, settings=settings, stdin=sys.stdin.buffer)
        with opened as backlog:
            sys.stderr.write(f"{'goes on with ' if backlog.run.is_resumed else ''}backlog {backlog.run.id}\n")
            total = sum_up(backlog.listing.counts(), lambda: backlog.listing.shards)
            return _end(backlog, total, began_s, as_json=as_json)


def _run_following(request: Request, settings: Settings, *, as_json: bool) -> int:
    got_on = threading.Event()
    with leaving_on_signals() as leave:
        attempt = partial(_follow, request, settings, leave=leave, got_on=got_on, as_json=as_json)
        try:
            be_patient(attempt, leave=leave, warn=warn, got_on=got_on)
        except BacklogStoppedError as stopped:
            sys.stderr.write(f"{stopped}\n")
    return _OK


def _follow(
    request: Request, settings: Settings, *, leave: threading.Event, got_on: threading.Event, as_json: bool
) -> None:
    bucket = S3Store(_access(settings), _FETCH, attempts=settings.backlog.attempts)
    url = settings.backlog.sqs_url
    endpoint_url = settings.backlog.sqs_endpoint_url
    queue = None if url is None else NotificationQueue(url, _access(settings), endpoint_url=endpoint_url)
    pool_size = settings.backlog.listers + _SPARE_CONNECTIONS
    with _open(settings, pool_size=pool_size) as store:
        network_id = _network_id(settings, store)
        followed = open_followed(store, bucket, request, network_id=network_id, settings=settings)
        sys.stderr.write(f"backlog {followed.run.id} follows {request.uri}\n")
        for step in Follower(store, followed, notifications=queue, leave=leave, got_on=got_on).steps():
            tell_step(followed.run.id, step, as_json=as_json)


def _stop(run_id: int, settings: Settings) -> None:
    with _open(settings) as store:
        with store.writing() as connection:
            is_stopped = stop_backlog(connection, run_id, "asked")
        if is_stopped:
            forget_waiting(store.engine, run_id)
    if is_stopped:
        typer.echo(f"backlog {run_id} is stopped; what is queued or in hand is finished, what is done stays")
    else:
        typer.echo(f"backlog {run_id} has ended before")


def _end(backlog: Backlog, total: ListingCount, began_s: float, *, as_json: bool) -> int:
    count, first = backlog.unknown
    for line in first:
        sys.stderr.write(f"not there, or may not be read: {line}\n")
    if count > len(first):
        sys.stderr.write(f"not there, or may not be read: {count - len(first)} more\n")
    said = {"backlog": backlog.run.id, **counted(total, began_s), "unknown": count}
    tell(said, in_words(total, "queued"), as_json=as_json)
    if backlog.refused is not None:
        warn(refusal_in_words(backlog.refused))
        return _TO_DECIDE
    return _FAILED if count else _OK


def _open(settings: Settings, *, pool_size: int = 5) -> Store:
    url = settings.database_url.get_secret_value()
    return Store.open(url, pool_size=pool_size)


def _access(settings: Settings) -> S3Access:
    from annotator.build import s3_access  # noqa: PLC0415  (loads the networks' engine)

    return s3_access(settings)


def _annotator(settings: Settings, store: Store) -> MediaAnnotator:
    from annotator.build import build_annotator  # noqa: PLC0415  (loads the networks' engine)

    return build_annotator(settings, store=store)


def _network_id(settings: Settings, store: Store) -> int:
    from annotator.build import build_annotator, register_model  # noqa: PLC0415  (loads the networks' engine)

    return register_model(store, build_annotator(settings, store=store)).network_id
