"""``celery -A … worker -Q gpu`` and ``celery -A … beat`` as programs, with real servers and an annotator double."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import func, insert, select

from annotator.settings import load_settings
from annotator.stack.local import LocalStack
from annotator.store.chunks import ChunkLimits, Piece, add_chunks, pack
from annotator.store.store import Store
from annotator.store.tables import WorkState, annotations, chunks, media, sources, work, worker_sessions

HERE = Path(__file__).parent
MEDIA = 120
TIMEOUT_S = 60.0
pytestmark = [pytest.mark.servers, pytest.mark.slow]


class System:
    """Servers, a backlog, and programs on them."""

    def __init__(self, stack: LocalStack, folder: Path) -> None:
        self.store = Store.open(stack.urls.database_url)
        self.folder = folder
        self._environment = {
            **os.environ,
            **stack.urls.environment,
            "PYTHONPATH": str(HERE),
            "ANNOTATOR_WORKER__HEARTBEAT_S": "0.5",
            "ANNOTATOR_WORKER__SESSION_TIMEOUT_S": "2",
            "ANNOTATOR_WORKER__SWEEP_EVERY_S": "0.5",
            "ANNOTATOR_WORKER__FEED_EVERY_S": "0.2",
        }
        self._started: list[subprocess.Popen[bytes]] = []
        network_id = self.store.register_network({"name": "fake"})
        pieces = [Piece(number, f"{number}.gif", 1) for number in range(1, MEDIA + 1)]
        with self.store.writing() as connection:
            connection.execute(insert(sources).values(id=1, uri="s3://clips/"))
            connection.execute(
                insert(media), [{"id": one.media_id, "source_id": 1, "key": one.key, "size_bytes": 1} for one in pieces]
            )
            connection.execute(insert(work), [{"network_id": network_id, "media_id": one.media_id} for one in pieces])
            add_chunks(connection, network_id, pack(pieces, limits=ChunkLimits(media=20)))

    def start(self, *arguments: str, media_s: float = 0.0) -> subprocess.Popen[bytes]:
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "fake_worker_app", *arguments, "--loglevel", "INFO"],
                env={**self._environment, "FAKE_MEDIA_S": str(media_s)},
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

    def end(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()
        self.store.close()


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with LocalStack(load_settings(env_file=None), data_dir=tmp_path / "stack", with_worker=False) as stack:
        made = System(stack, tmp_path)
        yield made
        made.end()


def is_done(states: dict[int, int]) -> bool:
    return states == {WorkState.DONE: MEDIA}


def some_done(states: dict[int, int]) -> bool:
    return states.get(WorkState.DONE, 0) >= 10


def rows_of(system: System) -> int:
    with system.store.reading() as connection:
        return connection.execute(select(func.count()).select_from(annotations)).scalar_one()


def test_a_backlog_is_done_and_sigterm_in_the_middle_loses_and_doubles_nothing(system: System) -> None:
    system.start("beat")
    first = system.start("worker", "-Q", "gpu", media_s=0.05)
    system.wait_until(some_done, first)
    first.send_signal(signal.SIGTERM)
    assert first.wait(20) == 0
    assert WorkState.CLAIMED not in system.states()
    with system.store.reading() as connection:
        assert connection.execute(select(worker_sessions.c.ended_at)).scalar_one() is not None
    second = system.start("worker", "-Q", "gpu")
    system.wait_until(is_done, second)
    second.send_signal(signal.SIGTERM)
    assert second.wait(20) == 0
    assert rows_of(system) == MEDIA
    with system.store.reading() as connection:
        assert connection.execute(select(func.max(work.c.attempts))).scalar_one() <= 2
        assert connection.execute(select(func.count()).where(work.c.suspect)).scalar_one() == 0
    assert "Traceback" not in system.log("worker") + system.log("beat")


def test_sigkill_in_the_middle_ends_with_the_rows_of_an_undisturbed_run(system: System) -> None:
    system.start("beat")
    first = system.start("worker", "-Q", "gpu", media_s=0.05)
    system.wait_until(some_done, first)
    first.kill()
    first.wait()
    second = system.start("worker", "-Q", "gpu")
    system.wait_until(is_done, second)
    assert rows_of(system) == MEDIA
    with system.store.reading() as connection:
        assert connection.execute(select(func.sum(work.c.losses))).scalar_one() > 0
        assert connection.execute(select(func.sum(work.c.deaths))).scalar_one() == 0


def test_a_broker_that_has_lost_everything_is_fed_again(system: System) -> None:
    system.start("beat")
    broker = Redis.from_url(system._environment["ANNOTATOR_BROKER_URL"])
    for _ in range(600):
        if broker.llen("gpu") == MEDIA // 20:
            break
        with pytest.raises(subprocess.TimeoutExpired):
            system._started[0].wait(0.1)
    assert broker.llen("gpu") == MEDIA // 20
    broker.flushall()
    broker.close()
    worker = system.start("worker", "-Q", "gpu")
    system.wait_until(is_done, worker)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    with system.store.reading() as connection:
        assert connection.execute(select(func.count()).select_from(chunks)).scalar_one() == 0
