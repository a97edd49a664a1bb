"""Listings in batches, and what registering them comes to."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from annotator.media.s3 import ListedObject, S3Store, split_s3_uri
from annotator.store.chunks import ChunkLimits, Piece, pack
from annotator.store.listing import ListingCount, Run, begin_run, compare_objects, register_objects
from annotator.store.store import Store

PAGES_PER_TRANSACTION: Final = 10


@dataclass(frozen=True, slots=True)
class Batch:
    """Some pages of a listing."""

    objects: tuple[ListedObject, ...]
    is_last: bool


def list_batches(store: S3Store, bucket: str, prefix: str, *, after_key: str, limit: int | None) -> Iterator[Batch]:
    """Yield the objects below a prefix, some pages at a time; «folders» (keys that end in /) are left out.

    Args:
        store: the bucket's server.
        bucket: which bucket.
        prefix: what keys begin with.
        after_key: where to go on.
        limit: stop after so many; the last batch then is not the last of the listing.

    """
    objects: list[ListedObject] = []
    pages = 0
    left = limit
    while True:
        page = store.list_page(bucket, prefix, after_key=after_key)
        media = [one for one in page.objects if not one.key.endswith("/")]
        is_cut = left is not None and len(media) > left
        taken = media[:left] if is_cut else media
        objects += taken
        left = None if left is None else left - len(taken)
        pages += 1
        is_end = page.is_last or is_cut or left == 0
        if is_end or pages == PAGES_PER_TRANSACTION:
            yield Batch(tuple(objects), is_last=page.is_last and not is_cut)
            objects, pages = [], 0
        if is_end:
            return
        after_key = page.objects[-1].key


def register_backlog(
    store: Store, objects: S3Store, uri: str, *, network_id: int, limit: int | None, limits: ChunkLimits
) -> Iterator[ListingCount]:
    """Register what lies below an address; can be stopped anywhere and goes on there.

    Args:
        store: the database.
        objects: the bucket's server.
        uri: ``s3://BUCKET/PREFIX``.
        network_id: which network is to annotate it.
        limit: most objects this time.
        limits: of a chunk.

    Yields:
        The count of each transaction.

    """
    bucket, prefix = split_s3_uri(uri)
    with store.writing() as connection:
        run: Run = begin_run(connection, network_id=network_id, source_uri=f"s3://{bucket}/", prefix=prefix)
    for batch in list_batches(objects, bucket, prefix, after_key=run.after_key, limit=limit):
        with store.writing() as connection:
            yield register_objects(connection, run, batch.objects, is_last=batch.is_last, limits=limits)
        if batch.objects:
            run = replace(run, after_key=batch.objects[-1].key)


def forecast_backlog(
    store: Store, objects: S3Store, uri: str, *, limit: int | None, limits: ChunkLimits
) -> Iterator[ListingCount]:
    """Count what registering would do; nothing is written. Arguments as of :func:`register_backlog`."""
    bucket, prefix = split_s3_uri(uri)
    for batch in list_batches(objects, bucket, prefix, after_key="", limit=limit):
        with store.reading() as connection:
            new, changed = compare_objects(connection, f"s3://{bucket}/", batch.objects)
        pieces = [Piece(0, one.key, one.size_bytes) for one in batch.objects]
        chunks = sum(1 for _ in pack(pieces, limits=limits)) if new + changed else 0
        yield ListingCount(len(batch.objects), new, changed, queued=new + changed, chunks=chunks)
