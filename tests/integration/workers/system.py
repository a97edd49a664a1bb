"""Servers, a backlog, and the programs of the queue on them, with an annotator double."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import func, insert, select

from annotator.settings import load_settings
from annotator.stack.local import LocalStack
from annotator.store.queue.chunks import ChunkLimits, Piece, add_chunks, pack
from annotator.store.store import Store
from annotator.store.tables import media, sources, work

HERE = Path(__file__).parent
MEDIA = 120
TIMEOUT_S = 60.0


def broker_beside(database_url: str, data_dir: Path) -> LocalStack:
    """Return a stack, to be entered, that starts a broker alone: nobody here reads from the bucket."""
    settings = load_settings(env_file=None, database_url=database_url, s3_endpoint_url="http://127.0.0.1:9")
    return LocalStack(settings, data_dir=data_dir, with_worker=False)


class System:
    """Servers, a backlog, and programs on them."""

    def __init__(
        self, stack: LocalStack, folder: Path, *, media_count: int = MEDIA, database_url: str | None = None
    ) -> None:
        """Register a backlog in a database with the newest schema; the broker begins empty."""
        database_url = database_url or stack.urls.database_url
        self.store = Store.open(database_url)
        self.folder = folder
        self.media_count = media_count
        self.environment = {
            **os.environ,
            **stack.urls.environment,
            "ANNOTATOR_DATABASE_URL": database_url,
            "PYTHONPATH": str(HERE),
            "ANNOTATOR_WORKER__HEARTBEAT_S": "0.5",
            "ANNOTATOR_WORKER__SESSION_TIMEOUT_S": "2",
            "ANNOTATOR_WORKER__SWEEP_EVERY_S": "0.5",
            "ANNOTATOR_WORKER__FEED_EVERY_S": "0.2",
            "ANNOTATOR_WORKER__ALIVE_FILE": str(folder / "alive"),
        }
        self._started: list[subprocess.Popen[bytes]] = []
        with Redis.from_url(stack.urls.broker_url) as broker:
            broker.flushall()
        network_id = self.store.register_network({"name": "fake"})
        pieces = [Piece(number, f"{number}.gif", 1) for number in range(1, media_count + 1)]
        with self.store.writing() as connection:
            connection.execute(insert(sources).values(id=1, uri="s3://clips/"))
            connection.execute(
                insert(media), [{"id": one.media_id, "source_id": 1, "key": one.key, "size_bytes": 1} for one in pieces]
            )
            connection.execute(insert(work), [{"network_id": network_id, "media_id": one.media_id} for one in pieces])
            add_chunks(connection, network_id, pack(pieces, limits=ChunkLimits(media=20)))

    def start(
        self, *arguments: str, media_s: float = 0.0, app: str = "fake_worker_app", **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start a program of Celery.

        Args:
            arguments: of the program.
            media_s: how long the double takes for a media.
            app: where Celery finds the application.
            environment: variables added to those of all programs.

        """
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", app, *arguments, "--loglevel", "INFO"],
                env={**self.environment, "FAKE_MEDIA_S": str(media_s), **environment},
                stdout=log,
                stderr=log,
            )
        self._started.append(process)
        return process

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def states(self) -> dict[int, int]:
        with self.store.reading() as connection:
            rows = connection.execute(select(work.c.state, func.count()).group_by(work.c.state)).all()
        return {row[0]: row[1] for row in rows}

    def wait_until(self, holds: Callable[[dict[int, int]], bool], process: subprocess.Popen[bytes]) -> None:
        """Look at the rows again and again, as long as the program runs and not for ever."""
        for _ in range(int(TIMEOUT_S / 0.1)):
            if holds(self.states()):
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"the worker has ended ({process.wait(0.1)}): {self.log('worker')[-2000:]}")
        pytest.fail(f"{self.states()} {self.log('worker')[-2000:]} {self.log('beat')[-1000:]}")

    def ask(self, word: str) -> tuple[int, str]:
        """Ask ``annotator worker`` how it is."""
        code = "import sys; from annotator.cli import run_command; sys.exit(run_command(sys.argv[1:]))"
        command = [sys.executable, "-c", code, "worker", word]
        ran = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=60)
        return ran.returncode, ran.stdout + ran.stderr

    def row(self, media_id: int) -> Any:
        with self.store.reading() as connection:
            return connection.execute(select(work).where(work.c.media_id == media_id)).one()

    def end(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()
        self.store.close()
