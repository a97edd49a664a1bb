"""The process of beat: whether its feeder gets on, and which runs of a job count as gone well."""

import contextlib
import threading
from collections.abc import Iterator

import pytest

from annotator.settings import load_settings
from workers.app import create_app
from workers.beat import schedule
from workers.beat.schedule import InProcessScheduler, Job, JobContext, JobThread

TIMEOUT_S = 10.0
LOOKS = 245  # two minutes, and a little


class Beat(InProcessScheduler):  # type: ignore[misc]  # Celery has no types
    """One whose first job is given."""

    def __init__(self, job: Job, context: JobContext) -> None:
        self._threads = [JobThread(job, context, jobs=0, on_fatal=self._on_fatal)]
        self._threads[0].start()


@pytest.fixture
def context() -> JobContext:
    options = {"broker_url": "redis://127.0.0.1:1/0", "database_url": "postgresql://127.0.0.1:1/none"}
    return JobContext(create_app(load_settings(env_file=None, **options)))


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    codes: list[int] = []
    monkeypatch.setattr(schedule, "leave_at_once", codes.append)
    return codes


def test_beat_leaves_when_its_feeder_never_returns(
    context: JobContext, left: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    release = threading.Event()
    beat = Beat(Job("feed", 0.01, lambda: release.wait(TIMEOUT_S)), context)
    for _ in range(LOOKS):
        if not left:
            beat.tick()
    context.stopping.set()
    release.set()
    assert left == [1]
    assert "the feeder has not returned for 120 s" in capsys.readouterr().err


def test_a_feeder_that_fails_again_and_again_gets_on(context: JobContext, left: list[int]) -> None:
    turn = threading.Semaphore(0)

    def fail() -> None:
        turn.acquire(timeout=TIMEOUT_S)
        raise schedule.BrokerUnavailableError("the broker is away")

    beat = Beat(Job("feed", 0.0, fail), context)
    (thread,) = beat._threads
    for look in range(2 * LOOKS):
        if look % 100 == 0:
            before = thread.turns
            turn.release()
            while thread.turns == before:
                pass
        beat.tick()
    context.stopping.set()
    turn.release()
    assert left == []


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_job_that_somebody_else_is_at_has_not_gone_well_here(
    context: JobContext, monkeypatch: pytest.MonkeyPatch, *, is_ours: bool
) -> None:
    """Whoever is at it may hang: nobody would ever be told."""

    @contextlib.contextmanager
    def only_one(*_: object) -> Iterator[bool]:
        yield is_ours

    def ignore(*_: object) -> None:
        pass

    monkeypatch.setattr(schedule, "only_one", only_one)
    monkeypatch.setattr(schedule, "_note", ignore)
    monkeypatch.setattr(JobThread, "_is_passed_on", ignore)
    runs: list[str] = []
    thread = JobThread(Job("roll-up", 1.0, lambda: runs.append("run"), slow=True), context, jobs=0, on_fatal=ignore)
    thread._run_once()
    assert len(runs) == is_ours
    succeeded_s = context.metrics.registry.get_sample_value(
        "annotator_job_success_timestamp_seconds", {"name": "roll-up"}
    )
    assert (succeeded_s is not None) == is_ours
