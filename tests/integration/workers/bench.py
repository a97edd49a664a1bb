"""A database with pending media, and workers on it, for tests in this process."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Engine, func, insert, select

from annotator.store.connection import reading, writing
from annotator.store.queue.chunks import ChunkLimits, Piece, add_chunks, pack
from annotator.store.store import Store
from annotator.store.tables import media, sources, work
from workers.annotating.engine import MediaAnnotator
from workers.annotating.results import StoreRows
from workers.annotating.times import WorkerTimes
from workers.annotating.worker import Worker

TIMEOUT_S = 20.0


class Bench:
    """Pending media, their chunks, and workers."""

    def __init__(self, engine: Engine, *, keys: Sequence[str], sizes: Sequence[int] | None = None) -> None:
        self.engine = engine
        self.store = Store(engine)
        self.network_id = self.store.register_network({"name": "fake"})
        self.labelling_id = self.store.register_labelling(self.network_id, model="fake@1", digest="0", photographs={})
        self.fatal: queue.Queue[Exception] = queue.Queue()
        self.hung = threading.Event()
        self.workers: list[Worker] = []
        sizes = sizes or [1000] * len(keys)
        pieces = [Piece(number, key, size) for number, (key, size) in enumerate(zip(keys, sizes, strict=True), 1)]
        with writing(engine) as connection:
            connection.execute(insert(sources).values(id=1, uri="s3://clips/"))
            rows = [
                {"id": one.media_id, "source_id": 1, "key": one.key, "etag": "1", "size_bytes": one.size_bytes}
                for one in pieces
            ]
            connection.execute(insert(media), rows)
            connection.execute(
                insert(work), [{"network_id": self.network_id, "media_id": one.media_id} for one in pieces]
            )
            add_chunks(connection, self.network_id, pack(pieces, limits=ChunkLimits(media=20)))

    def worker(self, annotator: MediaAnnotator, *, rows: Any = None, **times: Any) -> Worker:
        chosen = rows or StoreRows(network_id=self.network_id, labelling_id=self.labelling_id, identify=lambda _: [])
        started = Worker(
            self.engine,
            annotator,
            chosen,
            is_known=lambda sha256: self.store.is_annotated(self.network_id, sha256),
            times=WorkerTimes(write_wait_s=0.02, **times),
            on_fatal=self.fatal.put,
            on_hang=self.hung.set,
        )
        started.start()
        self.workers.append(started)
        return started

    def states(self) -> dict[int, int]:
        with reading(self.engine) as connection:
            rows = connection.execute(select(work.c.state, func.count()).group_by(work.c.state)).all()
            return {row[0]: row[1] for row in rows}

    def count(self, table: Any) -> int:
        with reading(self.engine) as connection:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())

    def row(self, media_id: int) -> Any:
        with reading(self.engine) as connection:
            return connection.execute(select(work).where(work.c.media_id == media_id)).one()

    def rows(self) -> list[Any]:
        with reading(self.engine) as connection:
            return list(connection.execute(select(work).order_by(work.c.media_id)).all())

    def close(self) -> None:
        for worker in self.workers:
            worker.close()


def in_background(action: Callable[..., Any], *args: Any) -> threading.Thread:
    thread = threading.Thread(target=action, args=args)
    thread.start()
    return thread


def wait_until(holds: Callable[[], bool]) -> None:
    until_s = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < until_s, "it never came"
        time.sleep(0.01)
