"""How long the pages of ``annotator web`` take on an archive of a million media, asked by several people at once.

    python benchmarks/web_load.py                          # SQLite, then Postgres
    python benchmarks/web_load.py --only sqlite --media 1e5 --requests 50

It makes the archive first (a minute or two each), in a temporary folder, with its own Postgres, and starts the web
application as a process of its own, which two connections ask for one page after the other, each with other values.
Printed are the median, the 95th percentile and the worst time of each page in milliseconds, the client's part
included; the processor time of application and database for each, which does not depend on what else the machine does;
and the largest answer in bytes. Not in it: media, and pictures that are cut out of them. Exit status 1 where the
95th percentile of a page is over 100 ms. Linux only.
"""

import argparse
import http.client
import itertools
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import numpy as np
from sqlalchemy import Connection, Engine, text

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the archive is that of the tests

from annotator.stack.child import free_port
from annotator.stack.postgres import PostgresChild
from annotator.store import upgrade
from annotator.store.codec import StoredBoxes, encode_boxes
from annotator.store.connection import open_engine, refresh_statistics, writing
from annotator.store.dialect import is_postgres, now
from annotator.store.review.scanning import scan_all
from annotator.store.rollups import roll_up
from tests.million import PEOPLE, fill

AT_ONCE: Final = 2
REACH_MS: Final = 100
_MOST_MISSING: Final = 0.1  # of what is asked for: the sources of some media are gone
DEEP_PAGES: Final = 20
"""So many pages on is what is asked for as the page of a search that somebody has turned over and over."""

# Whoever is second in a media is on a track of their own, in the same shot in every other media.
_SECOND_TRACKS: Final = """
INSERT INTO tracks (network_id, content_id, track_no, shot_no, first_ms, last_ms, screen_ms, faces, face_px,
 quality, boxes)
SELECT network_id, content_id, 1, (content_id / 16) % 2, 0, 1000, 1000, 5, face_px, quality, boxes
FROM tracks WHERE content_id % 16 = 0
"""
_SECOND_NAMES: Final = """
INSERT INTO track_labels (labelling_id, content_id, track_no, identity_id, confidence, score)
SELECT c.labelling_id, c.content_id, 1, c.identity_id, c.confidence, 0.6 FROM content_labels_by c
JOIN track_labels t ON t.labelling_id = c.labelling_id AND t.content_id = c.content_id
WHERE t.identity_id <> c.identity_id AND c.content_id % 16 = 0
"""
# Each track is in a group: of a person where it has a name, else every tenth too, else of a stranger; the groups of
# strangers are as uneven as fame is: of a million media the largest one has 13,550 tracks, and there are 39,987 groups.
_PERSON: Final = "CAST(pow(1200, CAST((content_id * 48271 % 1000003) + 0.5 AS double precision) / 1000003) AS integer)"
_STRANGER: Final = (
    "CAST(pow(100000, CAST((content_id * 69621 % 999983) + 0.5 AS double precision) / 999983) AS integer)"
)
_GROUPED: Final = f"""
INSERT INTO grouped_tracks (network_id, content_id, track_no, group_no)
SELECT 1, content_id, 0, CASE WHEN content_id % 4 = 0 OR content_id % 40 = 2 THEN {_PERSON} ELSE 1200 + {_STRANGER} END
FROM tracks WHERE network_id = 1 AND track_no = 0
"""  # noqa: S608 - made of constants
_GROUPS: Final = """
INSERT INTO track_groups (network_id, group_no, tracks, total)
SELECT 1, group_no, count(*), {nothing} FROM grouped_tracks GROUP BY group_no
"""
_GROUPING: Final = """
INSERT INTO groupings (network_id, rule, founded, next_no, changes)
SELECT 1, 'made up', count(*), max(group_no) + 1, 1 FROM track_groups
"""
# A tenth of the media were tried by whoever sits at the machine; there was a retraining on each of two hundred days.
_JOBS: Final = """
INSERT INTO web_jobs (id, owner, uri, name, state, created_at, finished_at, media_id)
SELECT id, 'this machine', 'file:///uploads/' || id || '.gif', id || '.gif', 'done', {now}, {now}, id FROM media
WHERE id % 10 = 0
"""
_RETRAININGS: Final = """
INSERT INTO retrainings (id, experiment, cause, started_at, finished_at, tries, done, news, model, outcome)
SELECT id, 'faces', 'schedule', {now}, {now}, 1, '[]', '{{}}', 'million@' || id, 'held' FROM media WHERE id <= 200
"""
# The sources of all that was too large are gone.
_GONE: Final = "UPDATE media SET deleted_at = {now} WHERE id % 500 = 0"
_OTHERS: Final = (_JOBS, _RETRAININGS, _GONE)


@dataclass(frozen=True, slots=True)
class Asked:
    """A kind of page.

    Attributes:
        what: for who reads the table.
        path: gives the address of the k-th request.
        is_page: is waited for; a file of a whole search comes as it is read, and takes as long as it is large.
        is_found: is answered by more than that nothing is found.

    """

    what: str
    path: Callable[[int], str]
    is_page: bool = True
    is_found: bool = True


def main() -> None:
    """Make both archives, and ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=float, default=1e6)
    parser.add_argument("--requests", type=int, default=200, help="of each page")
    parser.add_argument("--only", choices=("sqlite", "postgres"))
    parser.add_argument("--page", default="", metavar="TEXT", help="only those whose line in the table has it")
    chosen = parser.parse_args()
    media, requests, late = int(chosen.media), chosen.requests, []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        if chosen.only != "postgres":
            late += measure(f"sqlite:///{folder / 'million.db'}", folder, media, requests, page=chosen.page)
        if chosen.only != "sqlite":
            server = PostgresChild(folder / "postgres", free_port())
            try:
                late += measure(server.url, folder, media, requests, page=chosen.page, server=server.process.pid)
            finally:
                server.process.stop(timeout_s=15.0)
    raise SystemExit(f"over the reach of {REACH_MS} ms: {', '.join(late)}" if late else 0)


def measure(
    url: str, folder: Path, media: int, requests: int, *, page: str = "", server: int | None = None
) -> list[str]:
    """Fill a database, start the application and print the times of each page; return what is over the reach.

    Args:
        url: of an empty database.
        folder: for files.
        media: how many.
        requests: of each page.
        page: only pages with this in their line.
        server: process of the database; None is none of its own.

    """
    upgrade(url)
    engine = open_engine(url)
    fill(engine, media=media)
    add_tracks(engine)
    print(f"\n{engine.dialect.name}, {media:,} media, {AT_ONCE} at once, {requests} requests a page")
    engine.dispose()
    over: list[str] = []
    print(f"{'':44} median ms      p95     worst processor    bytes")
    with running(url, folder) as (process, host, cookie):
        for asked in (one for one in pages(media, host, cookie) if page in one.what):
            before = processor_s(process, server)
            times, largest = ask(asked, requests, host, cookie)
            processor = 1000 * (processor_s(process, server) - before) / (len(times) + AT_ONCE)
            median, late, worst = statistics.median(times), times[int(len(times) * 0.95)], times[-1]
            line = f"{asked.what:44} {median:9.1f} {late:8.1f} {worst:9.1f} {processor:9.1f} {largest:8,}"
            if asked.is_page and late > REACH_MS:
                line += "  over the reach"
                over.append(f"{asked.what} ({engine.dialect.name})")
            print(line, flush=True)
    return over


def add_tracks(engine: Engine) -> None:
    """Give tracks boxes that can be drawn, and whoever is second in a media a track."""
    times = np.arange(5, dtype=np.int64)
    ones = np.ones(5, np.float32)
    boxes = np.tile(np.array([100, 60, 200, 180], np.float32), (5, 1))
    stored = encode_boxes(StoredBoxes(times, 200 * times, 200 * times, 0 * times + 200, boxes, ones, ones))
    with writing(engine) as connection:
        connection.execute(text("UPDATE tracks SET boxes = :boxes"), {"boxes": stored})
        connection.execute(text(_SECOND_TRACKS))
        connection.execute(text(_SECOND_NAMES))
        add_what_people_do(connection)
    scan_all(engine)
    refresh(engine)
    roll_up(engine)  # with statistics: without, Postgres takes many minutes
    refresh(engine)


def refresh(engine: Engine) -> None:
    """Give the database statistics of what is there, as autovacuum has them within a minute."""
    if engine.dialect.name == "sqlite":
        refresh_statistics(engine)
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM (ANALYZE)"))


def add_what_people_do(connection: Connection) -> None:
    """Add groups of strangers, media that were tried, retrainings, and sources that are gone."""
    words = {"nothing": "''" if is_postgres(connection) else "x''", "now": now(connection)}
    for statement in (_GROUPED, _GROUPS.format(**words), _GROUPING, *(one.format(**words) for one in _OTHERS)):
        connection.execute(text(statement))


@contextmanager
def running(url: str, folder: Path) -> Iterator[tuple[int, str, str]]:
    """Give the process of the application, its host and port, and the cookie of a session."""
    environment = os.environ | {"ANNOTATOR_DATABASE_URL": url, "ANNOTATOR_DATA_DIR": str(folder / "data")}
    address_file = folder / "address"
    address_file.unlink(missing_ok=True)
    annotator = Path(sys.executable).with_name("annotator")
    command = [str(annotator), "web", "--port", "0", "--address-file", str(address_file)]
    process = subprocess.Popen(command, env=environment, cwd=folder)
    try:
        while not address_file.is_file():
            if process.poll() is not None:
                raise SystemExit("annotator web has ended")
            time.sleep(0.1)
        address = urlsplit(address_file.read_text().strip())
        host = address.netloc
        connection = http.client.HTTPConnection(host)
        connection.request("GET", f"{address.path}?{address.query}")
        cookie = (connection.getresponse().getheader("Set-Cookie") or "").partition(";")[0]
        yield process.pid, host, cookie
    finally:
        process.terminate()
        process.wait()


def processor_s(*processes: int | None) -> float:
    """Return the processor time of processes and of their children, in seconds."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            told = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(stat.parent.name) in processes or int(told[1]) in processes:
            ticks += int(told[11]) + int(told[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def pages(media: int, host: str, cookie: str) -> list[Asked]:
    """Return what is asked for."""
    famous = deep_address("/search?person=Person%201", host, cookie)
    deep_people = deep_address("/people", host, cookie)
    deep_media = deep_address("/api/v1/media?limit=50", host, cookie)
    return [
        Asked("overview", lambda _: "/"),
        Asked("search: the form", lambda _: "/search"),
        Asked("search: one person", lambda k: search(person(k))),
        Asked("search: the most famous", lambda k: search(f"Person {1 + k % 5}")),
        Asked(f"search: the most famous, page {DEEP_PAGES}", lambda _: famous),
        Asked(
            "search: one person, 90 % sure, some days",
            lambda k: search(person(k)) + "&min_confidence=0.9&since=2026-01-03&until=2026-01-08",
        ),
        Asked("search: two people", lambda k: search(person(k), person(k + 3))),
        Asked("search: the two most famous", lambda k: search(f"Person {1 + k % 3}", f"Person {2 + k % 3}")),
        Asked(
            "search: the two most famous, in one shot",
            lambda k: search(f"Person {1 + k % 3}", f"Person {2 + k % 3}") + "&in_one_shot=1",
        ),
        Asked("search: famous and not, in one shot", lambda k: search("Person 1", person(k)) + "&in_one_shot=1"),
        Asked("search: nobody of that name", lambda k: search(f"Persom {k}"), is_found=False),
        Asked("people", lambda _: "/people"),
        Asked(f"people, page {DEEP_PAGES}", lambda _: deep_people),
        Asked("strangers", lambda _: "/strangers"),
        Asked("strangers, as many as are shown", lambda _: "/strangers?limit=192"),
        Asked("a stranger", lambda k: f"/strangers/{1200 + spread(k, 1, max(2, media // 1000))}"),
        Asked("the most seen stranger", lambda _: "/strangers/1201"),
        Asked("review", lambda _: "/review"),
        Asked("try", lambda _: "/try"),
        Asked("a person", lambda k: f"/people/{spread(k, 1, PEOPLE)}"),
        Asked("a person's tracks", lambda k: f"/people/{spread(k, 1, PEOPLE)}/tracks"),
        Asked("the most famous one's tracks", lambda k: f"/people/{1 + k % 3}/tracks"),
        Asked("two who may be one", lambda k: f"/people/{spread(k, 10, 200)}/merge?into=Person%20{1 + k % 5}"),
        Asked("a media", lambda k: f"/media/{16 * spread(k, 1, media // 16)}"),
        Asked("operation", lambda _: "/operation"),
        Asked(
            "operation: failures of a reason",
            lambda k: f"/operation/failures?reason={('too_large', 'undecodable')[k % 2]}",
        ),
        Asked("operation: models", lambda _: "/operation/models"),
        Asked("operation: retrainings", lambda _: "/operation/retraining"),
        Asked("operation: what a model changes", lambda _: "/operation/models/2"),
        Asked("operation: promoting a model", lambda _: "/operation/models/2/promote"),
        Asked("takedowns", lambda _: "/takedowns"),
        Asked("space", lambda _: "/space"),
        Asked("record", lambda _: "/record"),
        Asked("API: people by the beginning of a name", lambda k: f"/api/v1/people?q=person%20{k % 10}"),
        Asked("API: appearances of a person", lambda k: f"/api/v1/appearances?person={quote(person(k))}"),
        Asked("API: media", lambda _: "/api/v1/media?limit=50"),
        Asked(f"API: media, page {DEEP_PAGES}", lambda _: deep_media),
        Asked("API: jobs", lambda _: "/api/v1/jobs"),
        Asked("API: a job", lambda k: f"/api/v1/jobs/{10 * spread(k, 1, media // 10)}"),
        Asked("export: a media, JSON Lines", lambda k: f"/media/{16 * spread(k, 1, media // 16)}/export?shape=jsonl"),
        Asked("export: a media, WebVTT", lambda k: f"/media/{16 * spread(k, 1, media // 16)}/export?shape=webvtt"),
        Asked(
            "export: a search of thousands, CSV",
            lambda k: f"/search/export?person={quote(person(k))}&shape=csv",
            is_page=False,
        ),
        Asked("API: a media", lambda k: f"/api/v1/media/{16 * spread(k, 1, media // 16)}"),
    ]


def deep_address(first: str, host: str, cookie: str) -> str:
    """Return the address of a later page, by turning over page after page."""
    address = first
    connection = http.client.HTTPConnection(host)
    for _ in range(DEEP_PAGES):
        connection.request("GET", address, headers={"Cookie": cookie})
        body = connection.getresponse().read().decode()
        found = re.search(r'cursor=([^"&]+)|"next": ?"([^"]+)"', body)
        if found is None:
            return address
        address = f"{first}{'&' if '?' in first else '?'}cursor={found[1] or quote(found[2])}"
    return address


def ask(asked: Asked, requests: int, host: str, cookie: str) -> tuple[list[float], int]:
    """Return the times of all requests in milliseconds, ascending, and the size of the largest answer."""
    numbers = itertools.count()
    times: list[float] = []
    sizes: list[int] = []
    missing: list[str] = []

    def one_by_one() -> None:
        connection = http.client.HTTPConnection(host)
        while (number := next(numbers)) < requests + AT_ONCE:
            path = asked.path(number)
            status, body, took_ms = answer_to(connection, path, cookie)
            if status == 404:
                missing.append(path)
            if number >= AT_ONCE:  # the first ones open connections and fill caches
                times.append(took_ms)
                sizes.append(len(body))

    with ThreadPoolExecutor(AT_ONCE) as threads:
        for done in [threads.submit(one_by_one) for _ in range(AT_ONCE)]:
            done.result()
    if asked.is_found and len(missing) > requests * _MOST_MISSING:
        raise SystemExit(f"{len(missing)} of {requests} are not there, as {missing[0]}")
    return sorted(times), max(sizes)


def answer_to(connection: http.client.HTTPConnection, path: str, cookie: str) -> tuple[int, bytes, float]:
    """Return the status of an answer, what it says, and how long it took in milliseconds.

    Two connections of one address ask for more than a person would: where it is told to, it waits and asks again.
    """
    while True:
        started = time.perf_counter()
        connection.request("GET", path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        body = answer.read()
        took_ms = 1000 * (time.perf_counter() - started)
        if answer.status in {200, 404}:
            return answer.status, body, took_ms
        if answer.status != 429:
            raise SystemExit(f"{path}: {answer.status} {body[:300]!r}")
        time.sleep(1.0)


def search(*people: str) -> str:
    """Return the address of a search."""
    return "/search?" + "&".join(f"person={quote(one)}" for one in people)


def person(k: int) -> str:
    """Return the name of the k-th person to be asked for: neither the most famous nor always the same."""
    return f"Person {spread(k, 10, 200)}"


def spread(k: int, low: int, high: int) -> int:
    """Return numbers that are spread over a range, the same in each run."""
    return low + k * 7919 % (high - low)


if __name__ == "__main__":
    main()
