"""Register a made-up listing, as the producer does with a bucket's pages."""

import time
from dataclasses import replace

from annotator.media.s3 import ListedObject
from annotator.store import Store
from annotator.store.chunks import ChunkLimits
from annotator.store.listing import begin_run, register_objects

BUCKET = "s3://archive/"
PAGE = 10_000


def register_synthetic(store: Store, network_id: int, total: int) -> float:
    """Register so many GIFs and return the seconds that it took."""
    began_s = time.perf_counter()
    with store.writing() as connection:
        run = begin_run(connection, network_id=network_id, source_uri=BUCKET, prefix="")
    for start in range(0, total, PAGE):
        count = min(PAGE, total - start)
        objects = [_object(start + number) for number in range(count)]
        with store.writing() as connection:
            is_last = start + count == total
            register_objects(connection, run, objects, is_last=is_last, limits=ChunkLimits())
        run = replace(run, after_key=objects[-1].key)
    return time.perf_counter() - began_s


def _object(number: int) -> ListedObject:
    return ListedObject(f"{number // 5000:06d}/{number:09d}.gif", f"{number:032x}", 300_000 + number % 1_700_000)
