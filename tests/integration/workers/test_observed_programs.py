"""What a real worker and a real beat show and write: metrics over HTTP, logs as JSON, no secret in either."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert

from annotator.stack.child import free_port
from annotator.stack.local import LocalStack
from annotator.store.connection import open_engine, writing
from annotator.store.queue.chunks import ChunkLimits, Piece, add_chunks, pack
from annotator.store.queue.counts import recount
from annotator.store.registry import register_network
from annotator.store.tables import media, sources, work
from tests.fixtures_database import PostgresForTests
from tests.integration.workers.system import broker_beside

HERE = Path(__file__).parent
MEDIA = 40
TIMEOUT_S = 90.0
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
pytestmark = [pytest.mark.servers, pytest.mark.slow]


class Programs:
    """A backlog on real servers, and programs that show what they do."""

    def __init__(self, stack: LocalStack, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            **stack.urls.environment,
            "PYTHONPATH": str(HERE),
            "ANNOTATOR_LOG__FORMAT": "json",
            "ANNOTATOR_LOG__LEVEL": "INFO",
            "ANNOTATOR_WORKER__HEARTBEAT_S": "0.5",
            "ANNOTATOR_WORKER__FEED_EVERY_S": "0.2",
        }
        self.ports: dict[str, int] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        engine = open_engine(stack.urls.database_url)
        pieces = [Piece(number, f"{number}.gif", 1) for number in range(1, MEDIA + 1)]
        with writing(engine) as connection:
            network_id = register_network(connection, {"name": "fake"})
            connection.execute(insert(sources).values(id=1, uri="s3://clips/"))
            rows = [{"id": p.media_id, "source_id": 1, "key": p.key, "etag": "1", "size_bytes": 1} for p in pieces]
            connection.execute(insert(media), rows)
            connection.execute(insert(work), [{"network_id": network_id, "media_id": one.media_id} for one in pieces])
            add_chunks(connection, network_id, pack(pieces, limits=ChunkLimits(media=10)))
            recount(connection)
        engine.dispose()

    def start(self, name: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        self.ports[name] = int(environment.get("ANNOTATOR_METRICS__PORT") or free_port())
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "observed_app", *arguments],
                env={**self.environment, "ANNOTATOR_METRICS__PORT": str(self.ports[name]), **environment},
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        return self.processes[name]

    def scrape(self, name: str) -> Samples:
        """Return what a program shows; nothing where it does not answer yet."""
        url = f"http://127.0.0.1:{self.ports[name]}/metrics"
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            text = urllib.request.urlopen(url, timeout=10).read().decode()
            return {
                (sample.name, frozenset(sample.labels.items())): sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
            }
        return {}

    def wait_until(self, name: str, holds: Callable[[Samples], bool]) -> Samples:
        """Ask again and again, as long as the program runs and not for ever."""
        until_s = time.monotonic() + TIMEOUT_S
        while time.monotonic() < until_s:
            found = self.scrape(name)
            if found and holds(found):
                return found
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"{name} has ended ({self.processes[name].wait(0.2)}): {self.log(name)[-3000:]}")
        pytest.fail(f"{self.scrape(name)} {self.log(name)[-2000:]}")

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Return what was logged; what Python itself says before logging is set up is no line of ours."""
        return [json.loads(line) for line in self.log(name).splitlines() if line.startswith("{")]

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def programs(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresForTests, postgres_template: str
) -> Iterator[Programs]:
    folder = tmp_path_factory.mktemp("observed")
    name = f"observed_{uuid4().hex}"
    url = postgres_server.create(name, template=postgres_template)
    with pytest.MonkeyPatch.context() as patch:
        for variable in [variable for variable in os.environ if variable.startswith("ANNOTATOR_")]:
            patch.delenv(variable)
        with broker_beside(url, folder / "stack") as stack:
            made = Programs(stack, folder)
            made.start("beat", "beat")
            made.start("worker", "worker", "-Q", "gpu")
            yield made
            made.end()
    postgres_server.drop(name)


def value(samples: Samples, series: str, /, **labels: str) -> float | None:
    return samples.get((series, frozenset(labels.items())))


def through(samples: Samples) -> float:
    outcomes = {"annotated", "failed"}
    return sum(
        count
        for (name, labels), count in samples.items()
        if name == "annotator_media_total" and dict(labels)["outcome"] in outcomes
    )


def test_a_worker_counts_each_media_once(programs: Programs) -> None:
    found = programs.wait_until(
        "worker",
        lambda one: (
            through(one) >= MEDIA - 1
            and (value(one, "annotator_media_retries_total", reason="source_unavailable") or 0) >= 1
        ),
    )
    assert value(found, "annotator_media_total", outcome="annotated", reason="") == MEDIA - 2
    assert value(found, "annotator_media_total", outcome="failed", reason="undecodable") == 1
    assert value(found, "annotator_results_refused_total") == 0
    assert (value(found, "annotator_messages_total", result="ok") or 0) >= MEDIA // 10
    assert (value(found, "annotator_claim_seconds_count") or 0) >= MEDIA // 10
    assert (value(found, "annotator_stage_busy_seconds_total", stage="write") or 0) > 0
    assert value(found, "annotator_worker_ready") == 1
    assert (value(found, "process_resident_memory_bytes") or 0) > 1e6
    assert not any(name.endswith("_created") for name, _ in found)


def test_beat_shows_the_queue_as_the_database_has_it(programs: Programs) -> None:
    def is_known(one: Samples) -> bool:
        done = value(one, "annotator_queue_media", lane="gif", state="done", reason="")
        return done == MEDIA - 2 and value(one, "annotator_workers") == 1

    found = programs.wait_until("beat", is_known)
    assert value(found, "annotator_queue_media", lane="gif", state="failed", reason="undecodable") == 1
    assert value(found, "annotator_queue_workers", queue="gpu") == 1
    assert value(found, "annotator_broker_messages", queue="gpu") == 0
    assert (value(found, "annotator_broker_memory_bytes") or 0) > 0
    assert (value(found, "annotator_database_bytes") or 0) > 0
    for job in ("feed", "sweep", "gauges"):
        assert (value(found, "annotator_job_seconds_count", name=job) or 0) >= 1
        assert time.time() - (value(found, "annotator_job_success_timestamp_seconds", name=job) or 0) < TIMEOUT_S
        assert value(found, "annotator_job_failures_total", name=job, reason="internal") == 0


def test_every_line_of_the_logs_is_an_object_and_failures_name_media_attempt_and_reason(programs: Programs) -> None:
    programs.wait_until("worker", lambda one: through(one) >= MEDIA - 1)
    for name in ("worker", "beat"):
        for line in programs.lines(name):
            assert {"time", "level", "logger", "event", "worker"} <= set(line)
            assert line["worker"].endswith(f":{programs.processes[name].pid}")
    loggers = {line["logger"] for line in programs.lines("worker")}
    assert {"workers.boot", "workers.media"} <= loggers
    assert any(logger.startswith("celery.") for logger in loggers), "Celery's lines come out the same way"
    failed = [line for line in programs.lines("worker") if line["logger"] == "workers.media"]
    undecodable = next(line for line in failed if line["reason"] == "undecodable")
    assert undecodable["media"] == "s3://clips/1.gif"
    assert (undecodable["attempt"], undecodable["state"], undecodable["level"]) == (1, "failed", "warning")
    away = next(line for line in failed if line["reason"] == "source_unavailable")
    assert (away["media"], away["state"], away["level"]) == ("s3://clips/2.gif", "pending", "info")


def test_no_secret_is_in_a_log(programs: Programs) -> None:
    programs.wait_until("worker", lambda one: through(one) >= MEDIA - 1)
    passwords = [
        found.group(1)
        for url in ("ANNOTATOR_BROKER_URL", "ANNOTATOR_DATABASE_URL")
        if (found := re.search(r"://[^:/]*:([^@]+)@", programs.environment[url]))
    ]
    assert passwords, "the servers of the test ask for a password"
    written = programs.log("worker") + programs.log("beat")
    assert "redis://:***@" in written, "the broker's address is there"
    assert "X-Amz-Signature=***" in written
    for secret in [*passwords, "s1gnature", "AKIA"]:
        assert secret not in written


@pytest.mark.parametrize("program", [("worker", "-Q", "gpu"), ("beat",)])
def test_a_program_whose_port_is_taken_says_so_and_does_not_start(programs: Programs, program: tuple[str, ...]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = programs.start("refused", *program, ANNOTATOR_METRICS__PORT=port)
        assert refused.wait(60) == 2
    assert "ANNOTATOR_METRICS__PORT" in programs.log("refused")
    assert "Traceback" not in programs.log("refused")


def test_a_worker_that_stops_stops_answering(programs: Programs) -> None:
    """Another one, so that the tests may run in any order."""
    programs.start("second", "worker", "-Q", "cpu")
    programs.wait_until("second", lambda one: value(one, "annotator_worker_ready") == 1)
    programs.processes["second"].send_signal(signal.SIGTERM)
    assert programs.processes["second"].wait(30) == 0
    assert programs.scrape("second") == {}
