"""A backlog from a request: which keys, which row of ``runs``, which threads."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from sqlalchemy import Connection

from annotator.errors import InputError
from annotator.media.s3 import S3Store, split_s3_uri
from annotator.settings import Settings
from annotator.store.backlog.listing import (
    FOLLOW,
    ORDER,
    REFRESH,
    Run,
    Shard,
    Terms,
    Wish,
    begin_run,
    compare_objects,
    move_waiting,
)
from annotator.store.backlog.ordering import has_views, load_views, queue_most_viewed
from annotator.store.backlog.registration import ListingCount
from annotator.store.backlog.settling import GoneLimits, Missing
from annotator.store.queue.chunks import ChunkLimits, Piece, pack
from annotator.store.store import Store
from workers.backlog.batches import Choice, KeySource
from workers.backlog.bucket import BucketSource
from workers.backlog.follow import Followed
from workers.backlog.forecast import Sampler
from workers.backlog.ids import IdSource, open_ids
from workers.backlog.inventory import InventorySource, read_manifest
from workers.backlog.lister import GoneRule, Listing, Pace, Registrar
from workers.backlog.options import Request
from workers.backlog.views import Views, ViewsFile, ViewsQuery

_HOUR_S: Final = 3600.0
# Without notifications, new objects wait so long; with them, a listing only finds what none told of.
_POLL_EVERY_S: Final = 300.0
_LIST_BESIDE_EVERY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Backlog:
    """A backlog that is ready to be listed.

    Attributes:
        run: its row.
        listing: yields what each transaction comes to.
        source: where its keys come from.
        registrar: writes them.

    """

    run: Run
    listing: Listing
    source: KeySource
    registrar: Registrar

    @property
    def refused(self) -> Missing | None:
        """What the listing lacked, where that was too much to be taken for gone."""
        return self.registrar.refused

    @property
    def unknown(self) -> tuple[int, list[str]]:
        """How many of the keys that a list names are not there, and the first of them."""
        source = self.source
        return (source.unknown_count, source.unknown) if isinstance(source, IdSource) else (0, [])


@dataclass(frozen=True, slots=True)
class _Keys:
    """Where keys come from, and how the backlog is told from others."""

    source: KeySource
    options: dict[str, object]
    starts: tuple[str, ...] = ("",)


@contextlib.contextmanager
def open_backlog(
    store: Store, bucket: S3Store, request: Request, *, network_id: int, settings: Settings, stdin: IO[bytes]
) -> Iterator[Backlog]:
    """Begin a backlog, or go on with it.

    Args:
        store: the database.
        bucket: the bucket's server.
        request: what is wanted.
        network_id: which network is to annotate it.
        settings: of the annotator.
        stdin: what ``--ids -`` reads.

    Raises:
        InputError: what is given cannot be.
        SourceUnavailableError: the bucket does not answer.
        StoreUnavailableError: the database does not answer.

    """
    name, prefix = split_s3_uri(request.uri)
    views = _views(request, name, settings)
    if views is not None:
        views.check()
    limits = chunk_limits(settings)
    with _open_keys(bucket, request, stdin) as keys:
        wish = Wish(
            network_id=network_id,
            source_uri=f"s3://{name}/",
            prefix=prefix,
            options=keys.options | _choices(request),
            starts=keys.starts,
            terms=_terms(request),
        )
        run = _begin(store, wish)
        order = None if views is None else _MostViewed(run, views, limits)
        registrar = Registrar(store, run, limits, order=order, gone=_gone_rule(request, prefix, settings))
        pace = Pace(listers=request.listers, most=request.limit)
        listing = Listing(store, run, source=keys.source, registrar=registrar, pace=pace)
        yield Backlog(run, listing, keys.source, registrar)


def open_followed(store: Store, bucket: S3Store, request: Request, *, network_id: int, settings: Settings) -> Followed:
    """Begin a backlog that follows its bucket, or go on with it.

    Args:
        store: the database.
        bucket: the bucket's server.
        request: what is wanted.
        network_id: which network is to annotate it.
        settings: of the annotator.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    name, prefix = split_s3_uri(request.uri)
    choice = Choice(prefix, request.include, request.exclude)
    source = BucketSource(bucket, name, choice)
    source.check()
    wish = Wish(network_id, f"s3://{name}/", prefix, options=_choices(request), terms=_terms(request))
    run = _begin(store, wish)
    every_s = settings.backlog.poll_every_s
    if every_s is None:
        every_s = _POLL_EVERY_S if settings.backlog.sqs_url is None else _LIST_BESIDE_EVERY_S
    return Followed(
        run=run,
        bucket=name,
        choice=choice,
        source=source,
        finder=bucket,
        poll_every_s=every_s,
        listers=request.listers,
        limits=chunk_limits(settings),
        gone=_gone_rule(request, prefix, settings),
    )


def _gone_rule(request: Request, prefix: str, settings: Settings) -> GoneRule:
    choice = Choice(prefix, request.include, request.exclude)
    share = 1.0 if request.allow_gone else settings.backlog.max_gone_share
    return GoneRule(GoneLimits(share, settings.backlog.min_gone), None if choice.takes_all else choice)


@contextlib.contextmanager
def _open_keys(bucket: S3Store, request: Request, stdin: IO[bytes]) -> Iterator[_Keys]:
    name, prefix = split_s3_uri(request.uri)
    choice = Choice(prefix, request.include, request.exclude)
    if request.ids is not None and request.inventory is not None:
        raise InputError("give only one of --ids and --inventory")
    if request.ids is not None:
        with open_ids(request.ids, stdin) as ids:
            yield _Keys(IdSource(bucket, name, ids, choice), {"ids": ids.digest})
    elif request.inventory is not None:
        manifest = read_manifest(bucket, request.inventory, source_bucket=name)
        where = split_s3_uri(request.inventory)[0]
        source = InventorySource(bucket, where, manifest, choice)
        yield _Keys(source, {"inventory": manifest.digest}, tuple(one.key for one in manifest.files))
    else:
        listed = BucketSource(bucket, name, choice)
        listed.check()
        yield _Keys(listed, {})


def _choices(request: Request) -> dict[str, object]:
    every: dict[str, object] = {
        "include": list(request.include),
        "exclude": list(request.exclude),
        REFRESH: request.refresh,
        FOLLOW: request.follow,
        ORDER: "most-viewed" if request.views or request.views_query else None,
        "views": request.views or request.views_query,
    }
    return {key: value for key, value in every.items() if value}


def _terms(request: Request) -> Terms:
    hours = request.max_worker_hours
    return Terms(
        priority=request.priority,
        callback_url=request.callback_url,
        deadline_at=request.deadline_at,
        max_worker_s=None if hours is None else hours * _HOUR_S,
    )


def _views(request: Request, bucket: str, settings: Settings) -> Views | None:
    if request.views is not None:
        return ViewsFile(Path(request.views), bucket)
    if request.views_query is None:
        return None
    return ViewsQuery(request.views_query, request.views_database or settings.database_url.get_secret_value(), bucket)


@dataclass(frozen=True, slots=True)
class _MostViewed:
    """The order of a backlog whose most viewed media go first."""

    run: Run
    views: Views
    limits: ChunkLimits

    def prepare(self, transaction: Callable[[], contextlib.AbstractContextManager[Connection]]) -> None:
        load_views(transaction, self.views.rows())

    def queue(self, connection: Connection) -> int:
        if not has_views(connection):  # two shards have ended at once, and neither knew that it was the last one
            self.prepare(lambda: contextlib.nullcontext(connection))
        return queue_most_viewed(connection, self.run.asked, limits=self.limits)


def _begin(store: Store, wish: Wish) -> Run:
    with store.writing() as connection:
        run = begin_run(connection, wish)
    if run.is_resumed and wish.terms.priority is not None:
        move_waiting(store.engine, run.id, wish.terms.priority)
    return run


def chunk_limits(settings: Settings) -> ChunkLimits:
    """Return how large a chunk may be."""
    return ChunkLimits(media=settings.worker.chunk_media, size_bytes=settings.worker.chunk_bytes)


def count_backlog(
    store: Store, bucket: S3Store, request: Request, *, limits: ChunkLimits, sampler: Sampler
) -> Iterator[ListingCount]:
    """Count what registering would do, and show what it would queue to a sampler; nothing is written.

    Args:
        store: the database.
        bucket: the bucket's server.
        request: what is wanted.
        limits: of a chunk.
        sampler: draws from what would be queued.

    """
    name, prefix = split_s3_uri(request.uri)
    source = BucketSource(bucket, name, Choice(prefix, request.include, request.exclude))
    for batch in source.batches(Shard(0, 0, "", "", None, 0), most=request.limit):
        with store.reading() as connection:
            new, changed = compare_objects(connection, f"s3://{name}/", batch.objects)
        wanted = batch.objects if request.refresh else [*new, *changed]
        sampler.add(wanted)
        chunks = sum(1 for _ in pack([Piece(0, key, size_bytes) for key, _, size_bytes in wanted], limits=limits))
        yield ListingCount(
            len(batch.objects), len(new), len(changed), queued=len(wanted), chunks=chunks, left_out=batch.left_out
        )
