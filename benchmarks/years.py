# ruff: noqa: S608 - a database of its own, and numbers of the command line
"""What an archive gathers over years costs, before and after beat has put it away.

    python benchmarks/years.py     # 66 labellings, 100,000 former backlogs, 300,000 chunks
    python benchmarks/years.py --labellings 20 --backlogs 1e4 --chunks 1e5

It starts a Postgres of its own. Printed are medians: how long Postgres plans promised questions, by the number of
labellings (and how long one takes at most while they are retired); the processor time of this program while it reads
counts and status; how long a full look of the feeder takes while chunks of another network wait, with and without the
indexes by network. Linux only.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, text

from annotator.stack.child import free_port
from annotator.stack.postgres import PostgresChild
from annotator.store import Store, upgrade
from annotator.store.queue.chunks import Chunk
from annotator.store.queue.counts import read_counts
from annotator.store.queue.folding import fold_counts
from annotator.store.queue.sessions import open_session
from annotator.store.queue.status import read_status
from annotator.store.retiring import retire_unused
from workers.beat.feeder import Feeder
from workers.beat.routing import Caps

MONTH_S = 30 * 86_400.0
LONG_AGO = "'2001-01-01'"
AT_ONCE = 5_000
RUNS = 9
QUESTIONS = {
    "a person's media": "SELECT media_uri FROM content_labels WHERE identity = 'Ada' ORDER BY confidence DESC LIMIT 20",
    "who is in a media": "SELECT identity FROM content_labels WHERE source_uri = 's3://a/' AND media_key = 'b.gif'",
    "two people at once": (
        "SELECT a.media_uri FROM content_labels a JOIN content_labels b ON b.content_id = a.content_id"
        " AND b.media_id = a.media_id WHERE a.identity = 'Ada' AND b.identity = 'Ben'"
    ),
}


class NoBroker:
    """A broker that takes all messages, and keeps none."""

    def check(self) -> None:
        """Do nothing."""

    def is_new(self) -> bool:
        """It is not."""
        return False

    def mark(self) -> None:
        """Do nothing."""

    def publish(self, chunk: Chunk) -> None:
        """Do nothing."""

    def forget(self, queue: str) -> None:
        """Do nothing."""


def main() -> None:
    """Make all three, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labellings", type=int, default=66)
    parser.add_argument("--backlogs", type=float, default=1e5)
    parser.add_argument("--chunks", type=float, default=3e5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = PostgresChild(folder / "postgres", free_port())
        try:
            upgrade(server.url)
            with Store.open(server.url) as store:
                measure_labellings(store, options.labellings)
                measure_backlogs(store, int(options.backlogs))
                measure_feeding(store, int(options.chunks))
        finally:
            server.process.stop(timeout_s=15.0)


def measure_labellings(store: Store, count: int) -> None:
    """Print how long questions are planned, with so many labellings and with those that are left."""
    network_id = store.register_network({"name": "years"})
    for number in range(count):
        labelling_id = store.register_labelling(network_id, model="m@1", digest=str(number), photographs={})
        store.activate(labelling_id)
    print(f"planning, ms, with {count} labellings:", _planning(store))
    _run(store, f"UPDATE labellings SET used_at = {LONG_AGO}", f"UPDATE promotions SET happened_at = {LONG_AGO}")
    asking, longest_ms = threading.Event(), []
    reader = threading.Thread(target=_ask_on, args=[store, asking, longest_ms])
    reader.start()
    began_s = time.perf_counter()
    retired = retire_unused(store.engine, after_s=MONTH_S)
    took_s = time.perf_counter() - began_s
    asking.set()
    reader.join()
    print(
        f"{len(retired)} labellings are retired in {took_s:.1f} s; the longest question meanwhile: {longest_ms[0]} ms"
    )
    print("planning, ms, with the others:", _planning(store))


def _ask_on(store: Store, is_over: threading.Event, longest_ms: list[float]) -> None:
    """Ask about labels again and again, and keep how long it took at most."""
    longest = 0.0
    while not is_over.is_set():
        began_s = time.perf_counter()
        _run(store, QUESTIONS["a person's media"])
        longest = max(longest, 1000 * (time.perf_counter() - began_s))
    longest_ms.append(round(longest, 1))


def _planning(store: Store) -> dict[str, float]:
    return {name: _median(lambda question=question: _plan_ms(store, question)) for name, question in QUESTIONS.items()}


def _plan_ms(store: Store, question: str) -> float:
    with store.reading() as connection:
        lines = connection.execute(text(f"EXPLAIN (SUMMARY) {question}")).scalars().all()
    return next(float(line.split()[2]) for line in lines if line.startswith("Planning Time"))


def measure_backlogs(store: Store, count: int) -> None:
    """Print what counts and status cost with so many former backlogs, and after these are summed up."""
    _run(
        store,
        "INSERT INTO sources (id, uri) VALUES (1, 's3://years/')",
        "INSERT INTO runs (network_id, source_id, prefix, options, started_at, listed_at, finished_at)"
        f" SELECT 1, 1, 'p' || g, '{{}}', {LONG_AGO}, {LONG_AGO}, {LONG_AGO} FROM generate_series(1, {count}) g",
        "INSERT INTO work_counts SELECT 1, g, lane, state, CASE state WHEN 3 THEN 'undecodable' ELSE '' END, 7, 100"
        f" FROM generate_series(1, {count}) g, (VALUES ('gif', 2), ('gif', 3), ('film', 2)) AS v(lane, state)",
    )
    _vacuum(store)
    print(f"processor ms with {count:,} former backlogs:", _costs(store))
    folded = AT_ONCE
    while folded == AT_ONCE:
        with store.writing() as connection:
            folded = fold_counts(connection, after_s=MONTH_S, limit=AT_ONCE)
    _vacuum(store)
    print("processor ms after they are summed up:", _costs(store))


def _costs(store: Store) -> dict[str, float]:
    return {
        "counts": _median(lambda: _processor_ms(store, read_counts)),
        "status": _median(lambda: _processor_ms(store, read_status)),
    }


def _processor_ms(store: Store, read: Callable[[Connection], object]) -> float:
    began_s = time.process_time()
    with store.reading() as connection:
        read(connection)
    return 1000 * (time.process_time() - began_s)


def measure_feeding(store: Store, count: int) -> None:
    """Print how long a full look takes while so many chunks of another network wait."""
    other = store.register_network({"name": "others"})
    chunk = "INSERT INTO chunks (network_id, lane, priority, state, media_ids, created_at)"
    _run(
        store,
        f"{chunk} SELECT 1, CASE g % 10 WHEN 0 THEN 'film' ELSE 'gif' END, 5, 0, ARRAY[g], now()"
        f" FROM generate_series(1, {count}) g",
        f"{chunk} SELECT {other}, 'gif', 0, 0, ARRAY[g], now() FROM generate_series(1, 1000) g",
    )
    with store.writing() as connection:
        open_session(connection, worker="years:1", queues=["gpu", "cpu"], network_id=other)
    _vacuum(store)
    print(f"a full look of the feeder, ms, {count:,} chunks of another network:", _median(lambda: _look_ms(store)))
    _run(store, "DROP INDEX ix_chunks_due_of_network", "DROP INDEX ix_chunks_age_of_network")
    print("without the indexes by network:", _median(lambda: _look_ms(store)))


def _look_ms(store: Store) -> float:
    feeder = Feeder(store.engine, NoBroker(), caps=Caps(chunks=4, concurrency=1), session_timeout_s=1e6)
    began_s = time.perf_counter()
    feeder.run()
    took_s = time.perf_counter() - began_s
    _run(store, "UPDATE chunks SET state = 0 WHERE state = 1")
    return 1000 * took_s


def _median(measure: Callable[[], float]) -> float:
    return round(statistics.median(measure() for _ in range(RUNS)), 1)


def _run(store: Store, *statements: str) -> None:
    with store.writing() as connection:
        for statement in statements:
            connection.execute(text(statement))


def _vacuum(store: Store) -> None:
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


if __name__ == "__main__":
    main()
