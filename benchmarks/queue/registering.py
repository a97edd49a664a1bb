"""Register a made-up listing, as the producer does with a bucket's pages."""

import time

from annotator.media.s3 import ListedObject
from annotator.store import Store
from annotator.store.backlog.gone import KeyRange
from annotator.store.backlog.listing import Wish, begin_run, finish_listing, mark_listed, move_cursor, open_shards
from annotator.store.backlog.registration import register_objects
from annotator.store.queue.chunks import USUAL_LIMITS, ChunkLimits

BUCKET = "s3://archive/"
PAGE = 10_000


def register_synthetic(store: Store, network_id: int, total: int, *, limits: ChunkLimits = USUAL_LIMITS) -> float:
    """Register so many GIFs and return the seconds that it took."""
    began_s = time.perf_counter()
    with store.writing() as connection:
        run = begin_run(connection, Wish(network_id, BUCKET, prefix=""))
        (shard,) = open_shards(connection, run.id)
    for start in range(0, total, PAGE):
        count = min(PAGE, total - start)
        objects = [_object(start + number) for number in range(count)]
        cursor, is_end = objects[-1].key, start + count == total
        told = KeyRange("", shard.cursor, None if is_end else cursor)
        with store.writing() as connection:
            found = register_objects(connection, run.asked, objects, told=told, limits=limits)
            shard = move_cursor(connection, shard, cursor, pages=PAGE // 1000, count=found, is_end=is_end)
            if is_end and finish_listing(connection, run.id):
                mark_listed(connection, run.id)
    return time.perf_counter() - began_s


def _object(number: int) -> ListedObject:
    return ListedObject(f"{number // 5000:06d}/{number:09d}.gif", f"{number:032x}", 300_000 + number % 1_700_000)
