"""How long the promised queries take on an archive of a million media.

    python benchmarks/queries.py             # SQLite and Postgres, 50 runs each, with different values
    python benchmarks/queries.py --media 5e6

It makes the archive first (half a minute each), in a temporary folder, with its own Postgres. Printed are the median
and the 95th percentile, in milliseconds, the client's part included, and how long a roll-up takes.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

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
    print(f"{'':40} median     p95")
    for name in PROMISED:
        times = sorted(run_ms(engine, name, k) for k in range(RUNS))
        print(f"{name:40} {statistics.median(times):6.2f}  {times[int(0.95 * RUNS)]:6.2f}")
    engine.dispose()


def run_ms(engine: Engine, name: str, k: int) -> float:
    """Return how long the k-th run of a query takes."""
    query, values = PROMISED[name]
    with engine.connect() as connection:
        started = time.perf_counter()
        connection.execute(text(query), values(k)).all()
        return 1000 * (time.perf_counter() - started)


if __name__ == "__main__":
    main()
