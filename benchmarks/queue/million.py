"""Drain a large backlog through the real queue, with prepared results: is the rate flat, and what does a media cost?

    python benchmarks/queue/million.py                          # 1,000,000 media, one worker, 2 ms each
    python benchmarks/queue/million.py --workers 2 --analyst    # an analyst's snapshot stays open all the while

It starts its own Postgres and Valkey in a temporary folder, registers media as a listing would, runs beat and workers
(the programs, with the annotator of ``prepared_app``), and reads processor time from /proc. Reported are the rate of
each tenth, the broker's memory, and the processor time per media of each part. Linux only.
"""

import argparse
import contextlib
import itertools
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import redis
from prepared_app import register
from registering import register_synthetic
from sqlalchemy import Connection, create_engine, text

from annotator.stack.broker import BrokerChild
from annotator.stack.child import free_port
from annotator.stack.postgres import PostgresChild
from annotator.store import Store
from annotator.store.queue.chunks import USUAL_LIMITS, ChunkLimits

HERE = Path(__file__).parent
CELERY = Path(sys.executable).with_name("celery")
TICK = os.sysconf("SC_CLK_TCK")
SAMPLE_S = 2.0


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process, its children alive and those it has buried."""
    total = 0.0
    for one in [pid, *_children(pid)]:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(value) for value in fields[11:15]) / TICK
    return total


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [found for child in map(int, listed) for found in (child, *_children(child))]
    return []


@dataclass
class Bench:
    """The servers and programs of one run."""

    postgres: PostgresChild
    broker: BrokerChild
    chunk_media: int
    folder: Path
    pids: dict[str, list[int]] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Note whose processor time is read."""
        self.pids |= {"postgres": [self.postgres.process.pid], "broker": [self.broker.process.pid]}

    @property
    def database_url(self) -> str:
        """The database's URL."""
        return self.postgres.url

    def restart_postgres(self) -> None:
        """Start the server anew, on the same port, so that its settings count."""
        self.postgres.process.stop(timeout_s=30)
        self.postgres = PostgresChild(self.postgres.folder, self.postgres.port)
        self.pids["postgres"] = [self.postgres.process.pid]

    def start(self, name: str, *arguments: str) -> None:
        """Start a Celery program."""
        environment = {
            **os.environ,
            "ANNOTATOR_WORKER__CHUNK_MEDIA": str(self.chunk_media),
            "PYTHONPATH": f"{HERE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            "ANNOTATOR_DATABASE_URL": self.database_url,
            "ANNOTATOR_BROKER_URL": self.broker.url,
            "PREPARED_FOLDER": str(self.folder),
        }
        process = subprocess.Popen([CELERY, "-A", "prepared_app", *arguments], env=environment, cwd=HERE)
        self.processes.append(process)
        self.pids.setdefault(name, []).append(process.pid)

    def cpu(self) -> dict[str, float]:
        """Return the processor seconds of each part so far, and of the prepared annotator, which is in the workers'."""
        annotator_s = sum(float(file.read_text()) for file in self.folder.glob("*.spent"))
        return {name: sum(map(cpu_seconds, pids)) for name, pids in self.pids.items()} | {"annotator": annotator_s}

    def stop(self) -> None:
        """Stop the programs."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


@contextlib.contextmanager
def servers(chunk_media: int) -> Iterator[Bench]:
    """Run Postgres and Valkey in a temporary folder, with the settings of ``docker-compose.yml``."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        postgres = PostgresChild(Path(name) / "postgres", free_port())
        bench = Bench(postgres, BrokerChild(Path(name) / "broker", free_port()), chunk_media, Path(name))
        try:
            configure(bench, shared_buffers="512MB", max_wal_size="4GB")
            yield bench
        finally:
            bench.broker.process.stop(timeout_s=10)
            bench.postgres.process.stop(timeout_s=30)


def _driver_url(url: str) -> str:
    return url.replace("postgresql:", "postgresql+psycopg2:")


def settled(connection: Connection) -> int:
    """Return how many media are done, from the counters."""
    rows = connection.execute(
        text(
            "SELECT coalesce(sum(media), 0) FROM (SELECT media FROM work_counts WHERE state = 2"
            " UNION ALL SELECT media FROM work_deltas WHERE state = 2) both_parts"
        )
    )
    return int(rows.scalar_one())


def drain(bench: Bench, total: int) -> list[dict[str, float]]:
    """Wait until all is done; return a sample every few seconds."""
    engine = create_engine(_driver_url(bench.database_url), pool_size=1)
    broker = redis.Redis.from_url(bench.broker.url)
    samples: list[dict[str, float]] = []
    began_s = time.monotonic()
    told = 0
    while not samples or samples[-1]["done"] < total:
        time.sleep(SAMPLE_S)
        with engine.connect() as connection:
            done = settled(connection)
        memory = float(broker.info("memory")["used_memory"])
        samples.append({"s": time.monotonic() - began_s, "done": done, "broker_bytes": memory, **bench.cpu()})
        if done * 10 // total > told:
            told = done * 10 // total
            print(f"{done} done after {samples[-1]['s']:.0f} s", file=sys.stderr, flush=True)
        if any(process.poll() is not None for process in bench.processes):
            raise SystemExit("a program has ended: see above")
    engine.dispose()
    return samples


def tenths(samples: list[dict[str, float]], total: int) -> list[float]:
    """Return the rate of each tenth of the backlog in media/s, from the samples by linear interpolation."""
    points = [(0.0, 0.0), *((sample["done"], sample["s"]) for sample in samples)]

    def second_of(done: float) -> float:
        for (before, from_s), (after, to_s) in itertools.pairwise(points):
            if before <= done <= after and after > before:
                return from_s + (to_s - from_s) * (done - before) / (after - before)
        return points[-1][1]

    marks = [second_of(total * step / 10) for step in range(11)]
    return [total / 10 / (after - before) for before, after in itertools.pairwise(marks)]


def report(bench: Bench, samples: list[dict[str, float]], total: int, *, registered_s: float, sizes: object) -> None:
    """Print what was found."""
    rates = tenths(samples, total)
    first, last = samples[0], samples[-1]
    done = last["done"] - first["done"]
    cost = {name: 1000 * (last[name] - first[name]) / done for name in bench.pids}
    own = 1000 * (last["annotator"] - first["annotator"]) / done
    broker = [sample["broker_bytes"] / 2**20 for sample in samples]
    workers, machine = len(bench.pids["worker"]), platform.processor() or platform.machine()
    print(f"{total} media, {workers} workers, up to {bench.chunk_media} in a message, {machine}")
    print(f"registered in {registered_s:.1f} s: {total / registered_s:.0f} media/s")
    print(f"drained in {last['s']:.0f} s: {total / last['s']:.0f} media/s")
    print("media/s by tenth: " + " ".join(f"{rate:.0f}" for rate in rates))
    print(f"last tenth against first: {100 * (rates[-1] / rates[0] - 1):+.1f} %")
    third = max(len(broker) // 3, 1)
    print(f"broker memory: {max(broker[:third]):.1f} MiB in the first third, {max(broker[-third:]):.1f} at the end")
    print("CPU ms per media: " + ", ".join(f"{name} {value:.3f}" for name, value in cost.items()))
    print(f"together: {sum(cost.values()):.3f} ms, of which {own:.3f} the prepared annotator in the workers")
    print(f"queue and store: {sum(cost.values()) - own:.3f} ms")
    print(json.dumps({"sizes": sizes, "rates": rates, "cpu_ms": cost, "annotator_ms": own}))


def configure(bench: Bench, **settings: str) -> None:
    """Restart the server with settings."""
    engine = create_engine(_driver_url(bench.database_url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for name, value in settings.items():
            connection.execute(text(f"ALTER SYSTEM SET {name} = '{value}'"))
    engine.dispose()
    bench.restart_postgres()


def count_statements(bench: Bench) -> None:
    """Restart the server with ``pg_stat_statements``."""
    configure(bench, shared_preload_libraries="pg_stat_statements")
    engine = create_engine(_driver_url(bench.database_url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE EXTENSION pg_stat_statements"))
        connection.execute(text("ALTER SYSTEM SET pg_stat_statements.track_planning = on"))
        connection.execute(text("SELECT pg_reload_conf()"))
    engine.dispose()


def statements(url: str, total: int) -> str:
    """Return the dearest statements: planning and execution in ms per media, calls per media, and their text."""
    engine = create_engine(_driver_url(url))
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT total_plan_time AS plan_ms, total_exec_time AS run_ms, calls, query FROM pg_stat_statements"
                " ORDER BY total_plan_time + total_exec_time DESC LIMIT 30"
            )
        ).all()
    engine.dispose()
    lines = [
        f"{row.plan_ms / total:.4f} {row.run_ms / total:.4f} {row.calls / total:.4f} "
        + " ".join(row.query.split())[:150]
        for row in rows
    ]
    return "\n".join(["plan  run  calls", *lines])


def sizes(url: str, total: int) -> dict[str, float]:
    """Return the bytes per media of each table with its indexes, partitions summed up."""
    engine = create_engine(_driver_url(url))
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT split_part(c.relname, '__', 1) AS name, sum(pg_total_relation_size(c.oid)) AS bytes"
                " FROM pg_class c"
                " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind = 'r'"
                " GROUP BY 1 ORDER BY 2 DESC"
            )
        ).all()
    engine.dispose()
    return {row.name: round(float(row.bytes) / total, 1) for row in rows}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--media-ms", type=float, default=2.0, help="engine time of one media")
    parser.add_argument("--chunk-media", type=int, default=USUAL_LIMITS.media, help="most media of one message")
    parser.add_argument("--statements", action="store_true", help="also tell what each statement costs the server")
    parser.add_argument("--analyst", action="store_true", help="keep a snapshot open from the start to the end")
    options = parser.parse_args()
    os.environ["PREPARED_MEDIA_S"] = str(options.media_ms / 1000)
    with servers(options.chunk_media) as bench:
        if options.statements:
            count_statements(bench)
        with Store.open(bench.database_url, upgrade=True) as store:
            network_id, _ = register(store)
            limits = ChunkLimits(media=options.chunk_media)
            registered_s = register_synthetic(store, network_id, options.media, limits=limits)
        analyst = create_engine(_driver_url(bench.database_url))
        snapshot = analyst.connect().execution_options(isolation_level="REPEATABLE READ") if options.analyst else None
        if snapshot is not None:
            snapshot.execute(text("SELECT count(*) FROM work")).scalar_one()
        try:
            bench.start("beat", "beat", "--loglevel", "WARNING", "--schedule", os.devnull)
            for number in range(options.workers):
                bench.start("worker", "worker", "-Q", "gpu", "-n", f"w{number}@%h", "--loglevel", "WARNING")
            samples = drain(bench, options.media)
        finally:
            bench.stop()
        if options.statements:
            print(statements(bench.database_url, options.media))
        found = sizes(bench.database_url, options.media)
        report(bench, samples, options.media, registered_s=registered_s, sizes=found)
        if snapshot is not None:
            snapshot.close()


if __name__ == "__main__":
    main()
