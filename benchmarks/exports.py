"""How long an export takes over an archive, and how much memory.

    python benchmarks/exports.py                     # a million media in SQLite and in Postgres
    python benchmarks/exports.py --media 1e5 --only sqlite

It makes the archive first, in a temporary folder, with its own Postgres: half of the media have a track, a quarter a
name. Each form is encoded by a process of its own, and nothing is kept. Printed are its processor time (the client's
part; with SQLite that is all), its time and the most memory that it held. Linux only.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the archive is that of the tests

from annotator.export.selection import Selection
from annotator.export.streaming import stream
from annotator.stack.child import free_port
from annotator.stack.postgres import PostgresChild
from annotator.store import upgrade
from annotator.store.connection import open_engine
from tests.million import fill

RUNS = (
    ("jsonl", Selection()),
    ("csv", Selection()),
    ("parquet", Selection()),
    ("rekognition", Selection()),
    ("csv of one person", Selection(people=("Person 100",), min_confidence=0.9)),
)


def main() -> None:
    """Make the archives and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=float, default=1e6)
    parser.add_argument("--only", choices=("sqlite", "postgres"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        if given.only != "postgres":
            measure(f"sqlite:///{folder / 'million.db'}", int(given.media))
        if given.only != "sqlite":
            server = PostgresChild(folder / "postgres", free_port())
            try:
                measure(server.url, int(given.media))
            finally:
                server.process.stop(timeout_s=15.0)


def measure(url: str, media: int) -> None:
    """Fill a database and print what each export takes."""
    upgrade(url)
    engine = open_engine(url)
    fill(engine, media=media)
    print(f"\n{engine.dialect.name}, {media:,} media")
    print(f"{'':20}  MB encoded  processor s  time s  most memory, MB")
    engine.dispose()
    for name, selection in RUNS:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            size, cpu_s, took_s, most = pool.apply(export, (url, name.split()[0], selection))
        print(f"{name:20} {size / 1e6:11.1f} {cpu_s:12.1f} {took_s:7.1f} {most / 1e6:17.0f}", flush=True)


def export(url: str, form: str, selection: Selection) -> tuple[int, float, float, int]:
    """Return bytes written, seconds of processor time and of time, and the most bytes of memory that were held."""
    engine = open_engine(url)
    cpu_s, began_s = time.process_time(), time.monotonic()
    size = sum(map(len, stream(engine, form, selection)))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return size, time.process_time() - cpu_s, time.monotonic() - began_s, most


if __name__ == "__main__":
    main()
