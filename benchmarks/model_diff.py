"""What it costs to say what one labelling changes against another, over an archive of a million contents.

    python benchmarks/model_diff.py [--media 1000000] [--dialect postgres]

Prints how long the comparison takes, without and with views of every media, as time that passes and as processor time
of this process and the server's, which does not depend on what else the machine does; and the memory of this process.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from saving import backend, cpu_s
from sqlalchemy import Engine, text

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the archive is that of the tests

from annotator.stack.child import free_port
from annotator.stack.postgres import PostgresChild
from annotator.store import upgrade
from annotator.store.connection import open_engine, refresh_statistics, writing
from annotator.store.diff import compare_labellings
from annotator.store.labellings import load_labelling
from tests.million import MEDIA, PEOPLE, fill, key_of

# Of the named tracks every fiftieth gets another name, every twentieth loses its name; every hundredth content gets
# one that had none.
OTHER_NAME = (
    "INSERT INTO track_labels (labelling_id, content_id, track_no, identity_id, confidence, score)"
    " SELECT 2, content_id, track_no,"
    " CASE WHEN content_id % 200 = 0 THEN identity_id % {people} + 1 ELSE identity_id END, confidence, score"
    " FROM track_labels WHERE labelling_id = 1 AND content_id > {known} AND content_id % 80 <> 4"
)
NEW_NAME = (
    "INSERT INTO track_labels (labelling_id, content_id, track_no, identity_id, confidence, score)"
    " SELECT 2, content_id, track_no, 1, 0.9, 0.6 FROM tracks WHERE network_id = 1 AND content_id > {known}"
    " AND content_id % 100 = 2"
)
LABELLED = (
    "INSERT INTO labelled_contents (labelling_id, content_id, labelled_at)"
    " SELECT 2, content_id, labelled_at FROM labelled_contents WHERE labelling_id = 1 AND content_id > {known}"
)


def label_the_rest(engine: Engine, media: int) -> None:
    """Give the second labelling, which has labelled the first tenth, labels of all contents."""
    with writing(engine) as connection:
        for statement in (OTHER_NAME, NEW_NAME, LABELLED):
            connection.execute(text(statement.format(people=PEOPLE, known=media // 10)))
    if engine.dialect.name == "sqlite":
        refresh_statistics(engine)
    else:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM (ANALYZE)"))


@contextmanager
def database(dialect: str, folder: Path) -> Iterator[str]:
    """Give the URL of an empty database."""
    if dialect == "sqlite":
        yield f"sqlite:///{folder / 'archive.db'}"
        return
    server = PostgresChild(folder / "server", free_port())
    try:
        yield server.url
    finally:
        server.process.stop(timeout_s=15.0)


def main() -> None:
    """Run it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--media", type=int, default=MEDIA)
    arguments.add_argument("--dialect", choices=["sqlite", "postgres"], default="postgres")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name, database(chosen.dialect, Path(name)) as url:
        Path(name).chmod(0o755)  # the server runs as another user
        upgrade(url)
        engine = open_engine(url)
        fill(engine, media=chosen.media)
        label_the_rest(engine, chosen.media)
        with engine.connect() as connection:
            before, after = load_labelling(connection, 1), load_labelling(connection, 2)
        for title, views in (
            ("without views", None),
            ("with views", ((key_of(n), float(n * 7919 % 100_003)) for n in range(1, chosen.media + 1))),
        ):
            server = backend(engine)
            started_s, started_cpu_s = time.perf_counter(), time.process_time() + cpu_s(server)
            diff = compare_labellings(engine, before, after, views=views)
            took_s, took_cpu_s = time.perf_counter() - started_s, time.process_time() + cpu_s(server) - started_cpu_s
            print(
                f"{chosen.dialect}, {title}: {took_s:.1f} s, of the processor {took_cpu_s:.1f} s, for {diff.contents:,}"
                f" contents: adds {diff.added:,}, drops {diff.dropped:,}, flips {diff.flipped:,} of {diff.named:,}"
            )
        peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"memory of this process: {peak_kb / 1024:.0f} MiB at most")
        engine.dispose()


if __name__ == "__main__":
    main()
