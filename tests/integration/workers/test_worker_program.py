"""``celery -A … worker -Q gpu`` and ``celery -A … beat`` as programs, with real servers and an annotator double."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import func, select

from annotator.store.tables import WorkState, annotations, chunks, work, worker_sessions
from tests.integration.workers.system import MEDIA, System, broker_beside

pytestmark = [pytest.mark.servers, pytest.mark.slow]


@pytest.fixture
def system(tmp_path: Path, make_database: Callable[..., str]) -> Iterator[System]:
    """A fresh database, and a broker of its own."""
    with broker_beside(make_database("postgres"), tmp_path / "stack") as stack:
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
    broker = Redis.from_url(system.environment["ANNOTATOR_BROKER_URL"])
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
