"""A system of its own for each test: a database with a listed backlog, a broker, a bucket, programs, and its end."""

import itertools
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from annotator.store import upgrade
from tests.faults.programs import CELERY, PRODUCER, Program
from tests.faults.rows import EXACT, Rows, assert_same_rows, find_leftovers, read_rows
from tests.faults.s3_proxy import FaultyS3, put_object
from tests.faults.servers import TIMEOUT_S, Servers, wait_until
from tests.faults.tcp_proxy import FaultyProxy

if TYPE_CHECKING:
    from redis import Redis

SESSION_TIMEOUT_S: Final = 3.0
# Short times, so that a test takes seconds. What is sent again by the hour stays long: no test is saved by it unseen.
_SETTINGS: Final[Mapping[str, str]] = {
    "ANNOTATOR_MODEL": "doubles@1",
    "ANNOTATOR_S3_REGION": "us-east-1",
    "ANNOTATOR_S3_ACCESS_KEY_ID": "faults",
    "ANNOTATOR_S3_SECRET_ACCESS_KEY": "faults",
    "ANNOTATOR_WORKER__HEARTBEAT_S": "0.5",
    "ANNOTATOR_WORKER__SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S),
    "ANNOTATOR_WORKER__SWEEP_EVERY_S": "0.5",
    "ANNOTATOR_WORKER__FEED_EVERY_S": "0.2",
    "ANNOTATOR_WORKER__CHUNK_MEDIA": "4",
    "ANNOTATOR_WORKER__CONCURRENCY": "2",
    "ANNOTATOR_WORKER__DRAIN_S": "3",
}
_BROKER_DATABASES: Final = 16
_numbers = itertools.count()
MakeSystem = Callable[..., "System"]
MakeBacklog = Callable[[Mapping[str, bytes]], "Backlog"]


@dataclass(frozen=True, slots=True)
class Backlog:
    """Media in a bucket, listed in a database that is copied for each test, and what an undisturbed run makes of them.

    Attributes:
        bucket: where they are.
        clips: their bytes, by key.
        template: the name of the database.
        rows: of the undisturbed run.

    """

    bucket: str
    clips: Mapping[str, bytes]
    template: str
    rows: Rows

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/"


class System:
    """Servers, programs and proxies of one test.

    Attributes:
        s3: the bucket as the programs see it.
        engine: of the database, past all proxies.
        broker: the broker, past all proxies.

    """

    def __init__(
        self,
        servers: Servers,
        folder: Path,
        *,
        bucket: str,
        template: str,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self.servers = servers
        self.bucket = bucket
        self.database = f"faults_{uuid4().hex}"
        self._folder = folder
        self._settings = dict(settings or {})
        self.programs: list[Program] = []
        servers.create_database(self.database, template=template)
        url = make_url(servers.database_url(self.database)).set(drivername="postgresql+psycopg2")
        self.engine: Engine = create_engine(url, pool_pre_ping=True)
        self._broker_number = next(_numbers) % _BROKER_DATABASES
        self.broker: Redis[bytes] = servers.redis(self._broker_number)
        self.broker.flushdb()
        self.s3 = FaultyS3(servers.s3_port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for program in self.programs:
            program.close()
        self.s3.close()
        self.servers.mend()
        self.broker.close()
        self.engine.dispose()
        self.servers.drop_database(self.database)

    # -------------------------------------------------------------------------------------------------------- programs

    def worker(self, *, queues: str = "gpu", **settings: object) -> Program:
        """Return a worker that is not started yet. Settings are those of ``annotator.settings``, e.g.
        ``worker__concurrency=1``."""
        return self._program("worker", [*CELERY, "worker", "-Q", queues, "--loglevel", "INFO"], settings)

    def beat(self, **settings: object) -> Program:
        """Return a beat that is not started yet: the real one, which annotates nothing and needs no doubles."""
        command = [sys.executable, "-m", "celery", "-A", "workers", "beat", "--loglevel", "INFO", "--pidfile="]
        return self._program("beat", command, settings)

    def producer(self, *arguments: str, **settings: object) -> Program:
        """Return an ``annotate-backlog`` that is not started yet, by default for the whole bucket."""
        return self._program("producer", [*PRODUCER, *(arguments or [f"s3://{self.bucket}/"])], settings)

    def start_worker(self, *, queues: str = "gpu", **settings: object) -> Program:
        worker = self.worker(queues=queues, **settings)
        worker.start()
        return worker

    def start_beat(self, **settings: object) -> Program:
        beat = self.beat(**settings)
        beat.start()
        return beat

    def produce(self, *arguments: str, **settings: object) -> None:
        """Run ``annotate-backlog`` to its end."""
        producer = self.producer(*arguments, **settings)
        producer.start()
        code = producer.wait_for_end()
        assert code == 0, producer.log_tail()

    def _program(self, kind: str, command: Sequence[str], settings: Mapping[str, object]) -> Program:
        number = 1 + sum(program.name.startswith(kind) for program in self.programs)
        postgres, broker = FaultyProxy(self.servers.postgres_port), FaultyProxy(self.servers.broker_port)
        chosen = {f"ANNOTATOR_{name.upper()}": str(value) for name, value in {**self._settings, **settings}.items()}
        environment = {
            **_SETTINGS,
            "ANNOTATOR_DATA_DIR": str(self._folder / "data"),
            "ANNOTATOR_CACHE_DIR": str(self._folder / "cache"),
            "ANNOTATOR_DATABASE_URL": self.servers.database_url(self.database, port=postgres.port),
            "ANNOTATOR_BROKER_URL": f"redis://127.0.0.1:{broker.port}/{self._broker_number}",
            "ANNOTATOR_S3_ENDPOINT_URL": self.s3.url,
            **chosen,
        }
        program = Program(
            f"{kind}-{number}", command, folder=self._folder, environment=environment, postgres=postgres, broker=broker
        )
        self.programs.append(program)
        return program

    # ---------------------------------------------------------------------------------------------------- what there is

    def query(self, statement: str, **bound: object) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement), bound)]

    def execute(self, statement: str, **bound: object) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement), bound)

    def count(self, table: str, condition: str = "true") -> int:
        """Return how many rows of a table fulfil a condition."""
        return int(self.query(f"SELECT count(*) FROM {table} WHERE {condition}")[0][0])

    def media_id(self, key: str) -> int:
        return int(self.query("SELECT id FROM media WHERE key = :key", key=key)[0][0])

    def messages(self, queue: str = "gpu") -> int:
        """Return how many messages lie in a queue of the broker."""
        return int(self.broker.llen(queue))  # type: ignore[arg-type]  # not asynchronous here

    def unacknowledged(self) -> int:
        """Return how many messages workers have in hand."""
        return int(self.broker.hlen("unacked"))  # type: ignore[arg-type]  # not asynchronous here

    def copy_message(self, message: bytes, *, times: int, queue: str = "gpu") -> None:
        """Append copies of a message to a queue, as a broker would that delivers it again and again."""
        parsed = json.loads(message)
        for start in range(0, times, 1000):
            copies = []
            for _ in range(min(1000, times - start)):
                parsed["properties"]["delivery_tag"] = uuid4().hex
                copies.append(json.dumps(parsed))
            self.broker.lpush(queue, *copies)

    def let_visibility_timeout_pass(self) -> None:
        """Let the broker believe that unacknowledged messages were delivered long ago."""
        for tag in self.broker.zrange("unacked_index", 0, -1):
            self.broker.zadd("unacked_index", {tag: 1.0})

    # ------------------------------------------------------------------------------------------------------------ waits

    def wait_until(self, holds: Callable[[], bool], *, what: str, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until something holds; no program may end meanwhile that was not told to."""
        wait_until(lambda: self._failed() is not None or holds(), what=what, timeout_s=timeout_s)
        failed = self._failed()
        if failed is not None:
            pytest.fail(f"{failed.name} has ended ({failed.child.returncode()}): {failed.log_tail()}")

    def wait_for_ready(self, worker: Program) -> None:
        """Wait until a worker has opened a session."""
        of_process = "SELECT id FROM worker_sessions WHERE worker LIKE :worker AND ended_at IS NULL"
        self.wait_until(
            lambda: bool(self.query(of_process, worker=f"%:{worker.child.pid}")), what=f"{worker.name} is ready"
        )

    def wait_for_rows(self, table: str, condition: str, *, at_least: int = 1) -> None:
        """Wait until so many rows of a table fulfil a condition."""
        what = f"{at_least} rows of {table} where {condition}"
        self.wait_until(lambda: self.count(table, condition) >= at_least, what=what)

    def let_waits_pass(self) -> None:
        """Let what waits for a later time (``not_before``) be due now."""
        self.execute("UPDATE chunks SET not_before = NULL WHERE not_before IS NOT NULL")

    def wait_for_end(self, *, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until all media are settled and no chunk is left."""
        self.wait_until(
            lambda: self.count("work", "state < 2") == 0 and self.count("chunks") == 0,
            what="the backlog is done",
            timeout_s=timeout_s,
        )

    # --------------------------------------------------------------------------------------------------------- the end

    def assert_ends_as(self, expected: Rows, *, tolerance: float = EXACT, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until the backlog is done and compare: the rows of the undisturbed run, and nothing left over."""
        self.wait_for_end(timeout_s=timeout_s)
        assert_same_rows(read_rows(self.engine), expected, tolerance=tolerance)
        leftovers = find_leftovers(self.engine)
        assert not leftovers, leftovers

    def _failed(self) -> Program | None:
        return next((program for program in self.programs if program.has_failed()), None)


def prepare_backlog(servers: Servers, folder: Path, clips: Mapping[str, bytes], **settings: object) -> Backlog:
    """Put clips into a bucket, list them by the real producer, and let an undisturbed system annotate them.

    Settings are those of its worker.
    """
    name = uuid4().hex
    bucket, empty, template = f"bucket-{name}", f"empty_{name}", f"listed_{name}"
    for key, body in clips.items():
        put_object(servers.s3_port, bucket, key, body)
    upgrade(servers.create_database(empty))
    with System(servers, folder, bucket=bucket, template=empty) as producing:
        producing.produce()
        assert producing.count("media") == len(clips)
        producing.engine.dispose()
        servers.create_database(template, template=producing.database)
    with System(servers, folder, bucket=bucket, template=template) as undisturbed:
        undisturbed.start_beat(worker__session_timeout_s=60)  # a machine that is busy elsewhere disturbs nothing
        worker = undisturbed.start_worker(**settings)
        undisturbed.wait_for_end(timeout_s=2 * TIMEOUT_S)
        rows = read_rows(undisturbed.engine)
        leftovers = find_leftovers(undisturbed.engine)
        assert not leftovers, leftovers
        assert all(reads == 1 for reads in undisturbed.s3.reads.values()), undisturbed.s3.reads
        worker.signal(signal.SIGTERM)
    return Backlog(bucket, dict(clips), template, rows)
