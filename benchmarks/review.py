"""How long the queue for reviewers takes on an archive of a million media: to be filled, and to give an item.

    python benchmarks/review.py             # SQLite and Postgres
    python benchmarks/review.py --media 1e5 --plan

Every media has views, so that the sums are looked up, too; a quarter of the media has a label. An item is given to 200
reviewers, one after the other, all of whom keep theirs; the last ones pass by what the others have in hand. Printed are
the median and the 95th percentile, with --plan how the database looks for the item. Linux only.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from saving import backend, cpu_s
from sqlalchemy import Engine, event, func, insert, select, text

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the archive is that of the tests

from annotator.stack.child import free_port
from annotator.stack.postgres import PostgresChild
from annotator.store import upgrade
from annotator.store.connection import open_engine, reading, refresh_statistics, writing
from annotator.store.review.leasing import lease_item, progress_of
from annotator.store.review.scanning import scan_all
from annotator.store.tables import media, media_views, review_items
from tests.million import fill

REVIEWERS = 200


def main() -> None:
    """Make both archives and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=float, default=1e6)
    parser.add_argument("--plan", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = PostgresChild(folder / "postgres", free_port())
        try:
            measure(server.url, int(chosen.media), has_plan=chosen.plan)
        finally:
            server.process.stop(timeout_s=15.0)
        measure(f"sqlite:///{folder / 'million.db'}", int(chosen.media), has_plan=chosen.plan)


def measure(url: str, count: int, *, has_plan: bool) -> None:
    """Fill a database and print what the queue takes."""
    upgrade(url)
    engine = open_engine(url)
    fill(engine, media=count)
    with writing(engine) as connection:
        views = select(media.c.id, (media.c.id * 7919) % 1000)
        connection.execute(insert(media_views).from_select(["media_id", "views"], views))
    print(f"\n{engine.dialect.name}, {count:,} media")
    server = backend(engine)
    began, spent = time.perf_counter(), time.process_time() + cpu_s(server)
    scan_all(engine)
    took, spent = time.perf_counter() - began, time.process_time() + cpu_s(server) - spent
    if engine.dialect.name == "sqlite":
        refresh_statistics(engine)
    else:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE review_items"))
    with reading(engine) as connection:
        waiting = connection.execute(select(func.count()).select_from(review_items)).scalar_one()
    print(f"filled with {waiting:,} items: {took:.1f} s, of the processor {spent:.1f} s")
    now = datetime.now(UTC)
    tell("an item is given", [lease_ms(engine, f"reviewer {number}", now) for number in range(REVIEWERS)])
    tell("the same one again", [lease_ms(engine, f"reviewer {number}", now) for number in range(REVIEWERS)])
    tell("progress of the day", [progress_ms(engine, now) for _ in range(20)])
    if has_plan:
        for line in plans(engine, now):
            print(line)
    engine.dispose()


def tell(what: str, times_ms: list[float]) -> None:
    """Print median and 95th percentile."""
    ordered = sorted(times_ms)
    print(f"{what:24} {statistics.median(ordered):6.2f} ms   95 %: {ordered[int(0.95 * len(ordered))]:6.2f} ms")


def lease_ms(engine: Engine, reviewer: str, now: datetime) -> float:
    """Give a reviewer an item, and return how long that took."""
    began = time.perf_counter()
    with writing(engine) as connection:
        item = lease_item(connection, reviewer, now=now)
    if item is None:
        raise RuntimeError("nothing is left")
    return 1000 * (time.perf_counter() - began)


def progress_ms(engine: Engine, now: datetime) -> float:
    """Count what was done and what waits, and return how long that took."""
    began = time.perf_counter()
    with reading(engine) as connection:
        progress_of(connection, "reviewer 1", now=now)
    return 1000 * (time.perf_counter() - began)


def plans(engine: Engine, now: datetime) -> list[str]:
    """Return how the database looks for the item that somebody new is given."""
    with _statements(engine) as seen, writing(engine) as connection:
        lease_item(connection, "somebody new", now=now)
    explain = "EXPLAIN (ANALYZE, COSTS OFF) " if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
    lines = []
    for statement, parameters in seen:
        if "FROM review_items" in statement and "ORDER BY review_items.worth" in statement:
            with writing(engine) as connection:
                rows = connection.exec_driver_sql(explain + statement, parameters)
                lines += [f"  {row[-1]}" for row in rows]
    return lines


@contextmanager
def _statements(engine: Engine) -> Iterator[list[tuple[str, object]]]:
    seen: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        seen.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


if __name__ == "__main__":
    main()
