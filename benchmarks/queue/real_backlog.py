"""Annotate a real backlog twice, undisturbed and with workers being killed, and compare every row.

    python benchmarks/queue/real_backlog.py ../shared/data/clips --media 1000 --kill-every 20

Each clip is put into the embedded S3 endpoint many times, each time with other bytes and the same frames (a comment
in a GIF, a free box in an MP4), so every copy is a content of its own. Servers, producer, beat and workers are the
programs that users run. First the backlog is forecast (``annotate-backlog --dry-run``) and annotated undisturbed, by
one worker: that is what the forecast speaks of, a worker that has this machine to itself. Then once more into a fresh
database by two workers, one of which, chosen at random, is killed by SIGKILL again and again and started anew. Exit
code 0 when the rows are the same and the undisturbed run took within 20 % of its forecast. ``--kill-every 0`` leaves
the second run out.
"""

import argparse
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config
from sqlalchemy import create_engine, text

from annotator.stack.broker import BrokerChild
from annotator.stack.child import ChildProcess, free_port, is_port_open
from annotator.stack.postgres import PostgresChild
from annotator.store import Store

PROGRAMS: Final = Path(sys.executable).parent
BUCKET: Final = "clips"
CONFIDENCE_TOLERANCE: Final = 0.02  # batches differ between runs; last bits move
FORECAST_TOLERANCE: Final = 0.2
POLL_S: Final = 1.0


def with_other_bytes(data: bytes, number: int) -> bytes:
    """Return a clip of other bytes and the same frames."""
    note = f"copy {number}".encode()
    if data.startswith(b"GIF8"):
        palette = 3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0
        start = 13 + palette
        return data[:start] + b"\x21\xfe" + bytes([len(note)]) + note + b"\x00" + data[start:]
    if data[4:8] == b"ftyp":
        return data + struct.pack(">I4s", 8 + len(note), b"free") + note
    raise SystemExit("only GIF and MP4 are multiplied")


class Servers:
    """Postgres, broker and S3 endpoint in a folder."""

    def __init__(self, folder: Path) -> None:
        """Start them."""
        self.postgres = PostgresChild(folder / "postgres", free_port())
        self.broker = BrokerChild(folder / "broker", free_port())
        (folder / "s3").mkdir()
        port = free_port()
        command = [sys.executable, "-m", "annotator.stack.s3_server", str(folder / "s3"), str(port)]
        self.s3 = ChildProcess("S3 endpoint", command, log_path=folder / "s3.log")
        self.s3.wait_until(lambda: is_port_open(port), timeout_s=30)
        self.s3_url = f"http://127.0.0.1:{port}"

    def fill(self, clips: Path, count: int) -> None:
        """Put the clips into the bucket, each many times."""
        client = boto3.client(
            "s3",
            endpoint_url=self.s3_url,
            aws_access_key_id="key",
            aws_secret_access_key="secret",  # noqa: S106  (the endpoint knows no keys)
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )
        client.create_bucket(Bucket=BUCKET)
        sources = sorted(path for path in clips.iterdir() if path.is_file())
        for number in range(count):
            source = sources[number % len(sources)]
            data = with_other_bytes(source.read_bytes(), number)
            client.put_object(Bucket=BUCKET, Key=f"{number // len(sources):03d}/{source.name}", Body=data)

    def new_database(self, name: str) -> str:
        """Make a database with the tables and return its URL."""
        admin = create_engine(self.postgres.url.replace("postgresql:", "postgresql+psycopg2:"))
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        admin.dispose()
        url = self.postgres.url.rpartition("/")[0] + "/" + name
        Store.open(url, upgrade=True).close()
        return url

    def stop(self) -> None:
        """Stop them."""
        for process in (self.s3, self.broker.process, self.postgres.process):
            process.stop(timeout_s=30)


class Backlog:
    """One run of the backlog in a database of its own."""

    def __init__(self, servers: Servers, name: str, folder: Path, *, workers: int) -> None:
        """Make the database and the environment of the programs."""
        self.url = servers.new_database(name)
        self._size = workers
        self.workers: list[subprocess.Popen[bytes]] = []
        self._log = (folder / f"{name}.log").open("wb")
        self._number = 0
        self._environment = {
            **os.environ,
            "ANNOTATOR_DATABASE_URL": self.url,
            "ANNOTATOR_BROKER_URL": servers.broker.url.removesuffix("/0") + ("/1" if name == "disturbed" else "/0"),
            "ANNOTATOR_S3_ENDPOINT_URL": servers.s3_url,
            "ANNOTATOR_S3_ACCESS_KEY_ID": "key",
            "ANNOTATOR_S3_SECRET_ACCESS_KEY": "secret",
            "ANNOTATOR_S3_REGION": "us-east-1",
        }
        self._engine = create_engine(self.url.replace("postgresql:", "postgresql+psycopg2:"))

    def produce(self, *options: str) -> str:
        """Run the producer and return its output."""
        command = [PROGRAMS / "annotate-backlog", f"s3://{BUCKET}/", *options]
        done = subprocess.run(command, env=self._environment, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"annotate-backlog has failed ({done.returncode})")
        return done.stdout

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [PROGRAMS / "celery", "-A", "workers", *arguments, "--loglevel", "INFO"]
        return subprocess.Popen(command, env=self._environment, stdout=self._log, stderr=self._log)

    def _start_worker(self) -> subprocess.Popen[bytes]:
        self._number += 1
        return self._start("worker", "-Q", "gpu", "-n", f"w{self._number}@%h")

    def run(self, *, kill_every_s: float | None, seed: int) -> tuple[float, int]:
        """Annotate all; return the seconds from the first ready worker to the end, and how many workers were killed."""
        dice = random.Random(seed)  # noqa: S311  (no secret)
        beat = self._start("beat")
        workers = self.workers = [self._start_worker() for _ in range(self._size)]
        kills = 0
        while not self.count("SELECT count(*) FROM worker_sessions"):
            time.sleep(POLL_S)
        began_s = killed_s = time.monotonic()
        try:
            while self.count("SELECT count(*) FROM work WHERE state < 2"):
                time.sleep(POLL_S)
                if kill_every_s is not None and time.monotonic() - killed_s >= kill_every_s:
                    killed_s = time.monotonic()
                    victim = dice.randrange(len(workers))
                    workers[victim].kill()
                    workers[victim].wait()
                    workers[victim] = self._start_worker()
                    kills += 1
                    left = self.count("SELECT count(*) FROM work WHERE state < 2")
                    print(f"{kills} killed, {left} media left", file=sys.stderr, flush=True)
            return time.monotonic() - began_s, kills
        finally:
            for process in [beat, *workers]:
                process.send_signal(signal.SIGTERM)
            for process in [beat, *workers]:
                process.wait(30)

    def count(self, statement: str) -> int:
        """Return the number that a statement gives."""
        with self._engine.connect() as connection:
            return int(connection.execute(text(statement)).scalar_one())

    def rows(self) -> dict[str, Any]:
        """Return what is known of each media, by key: its state, and its tracks with the names."""
        statement = """
            SELECT m.key, w.state, w.reason, t.track_no, t.shot_no, t.first_ms, t.last_ms, t.screen_ms, t.faces,
                   i.name, l.confidence
            FROM media m JOIN work w ON w.media_id = m.id
            LEFT JOIN tracks t ON t.content_id = m.content_id AND t.network_id = w.network_id
            LEFT JOIN track_labels l ON l.content_id = t.content_id AND l.track_no = t.track_no
            LEFT JOIN identities i ON i.id = l.identity_id
            ORDER BY m.key, t.track_no"""
        found: dict[str, Any] = defaultdict(list)
        with self._engine.connect() as connection:
            for key, *rest in connection.execute(text(statement)):
                found[key].append(tuple(rest))
        return found


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return the keys whose rows differ, with what differs."""
    told = [f"{key}: only in one run" for key in sorted(expected.keys() ^ found.keys())]
    for key in sorted(expected.keys() & found.keys()):
        same = len(expected[key]) == len(found[key]) and all(
            one[:-1] == other[:-1] and abs((one[-1] or 0.0) - (other[-1] or 0.0)) <= CONFIDENCE_TOLERANCE
            for one, other in zip(expected[key], found[key], strict=True)
        )
        if not same:
            told.append(f"{key}: {expected[key]} against {found[key]}")
    return told


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--media", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2, help="of the run in which they are killed")
    parser.add_argument("--kill-every", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        servers = Servers(Path(name))
        try:
            sys.exit(compare(servers, Path(name), options))
        finally:
            servers.stop()


def compare(servers: Servers, folder: Path, options: argparse.Namespace) -> int:
    """Run the backlog twice and print what was found; return the exit code."""
    servers.fill(options.clips, options.media)
    calm = Backlog(servers, "undisturbed", folder, workers=1)
    forecast = json.loads(calm.produce("--dry-run", "--json"))["forecast"]
    calm.produce()
    calm_s, _ = calm.run(kill_every_s=None, seed=options.seed)
    named = sum(row[8] is not None for rows in calm.rows().values() for row in rows)
    print(f"undisturbed: {options.media} media in {calm_s:.0f} s with one worker, {named} tracks named")
    expected_s, low_s, high_s = forecast["finish_s"]["1"]
    error = expected_s / calm_s - 1
    print(f"forecast: {expected_s:.0f} s ({low_s:.0f} to {high_s:.0f}) from {forecast['sampled']} media: {error:+.1%}")
    is_right = abs(error) <= FORECAST_TOLERANCE
    print(json.dumps({"undisturbed_s": calm_s, "forecast": forecast}))
    if not options.kill_every:
        return int(not is_right)
    rough = Backlog(servers, "disturbed", folder, workers=options.workers)
    rough.produce()
    rough_s, kills = rough.run(kill_every_s=options.kill_every, seed=options.seed)
    told = differences(calm.rows(), rough.rows())
    print(f"disturbed: {rough_s:.0f} s, {kills} workers killed, {len(told)} media with other rows")
    print("\n".join(told[:20]))
    return int(bool(told) or not is_right)


if __name__ == "__main__":
    main()
