"""How long the promised queries take on an archive of a million media.

    python benchmarks/queries.py             # SQLite and Postgres, 50 runs each, with different values
    python benchmarks/queries.py --media 5e6

It makes the archive first (half a minute each), in a temporary folder, with its own Postgres. Printed are the median
and the 95th percentile in milliseconds, the client's part included: of the time that passes, and of the processor time
of client and server, which does not depend on what else the machine does. Linux only.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from saving import backend, cpu_s
from sqlalchemy import Engine, text

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the archive is that of the tests

from annotator.stack.child import free_port
from annotator.stack.postgres import PostgresChild
from annotator.store import upgrade
from annotator.store.connection import open_engine
from annotator.store.rollups import roll_up
from tests.million import PROMISED, fill

RUNS = 50


def main() -> None:
    """Make both archives and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=float, default=1e6)
    media = int(parser.parse_args().media)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = PostgresChild(folder / "postgres", free_port())
        try:
            measure(server.url, media)
        finally:
            server.process.stop(timeout_s=15.0)
        measure(f"sqlite:///{folder / 'million.db'}", media)


def measure(url: str, media: int) -> None:
    """Fill a database and print the times of each query."""
    upgrade(url)
    engine = open_engine(url)
    fill(engine, media=media)
    done = roll_up(engine)
    print(f"\n{engine.dialect.name}, {media:,} media" + (f"; a roll-up takes {done.took_ms} ms" if done else ""))
    print(f"{'':40} time: median     p95   processor: median     p95")
    for name in PROMISED:
        runs = [run_ms(engine, name, k) for k in range(RUNS)]
        columns = [sorted(column) for column in zip(*runs, strict=True)]
        (median, late), (cpu_median, cpu_late) = (
            (statistics.median(column), column[int(0.95 * RUNS)]) for column in columns
        )
        print(f"{name:40}       {median:6.2f}  {late:6.2f}              {cpu_median:6.2f}  {cpu_late:6.2f}")
    engine.dispose()


def run_ms(engine: Engine, name: str, k: int) -> tuple[float, float]:
    """Return how long the k-th run of a query takes, and the processor time of client and server."""
    query, values = PROMISED[name]
    server = backend(engine)  # the pool gives the same connection again
    with engine.connect() as connection:
        started, spent = time.perf_counter(), time.process_time() + cpu_s(server)
        connection.execute(text(query), values(k)).all()
        return 1000 * (time.perf_counter() - started), 1000 * (time.process_time() + cpu_s(server) - spent)


if __name__ == "__main__":
    main()
