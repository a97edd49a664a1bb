"""The watchdog: when the supervisor is told that the worker lives, and when the process leaves."""

import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from annotator.liveness import AliveFile, read_sign
from annotator.types import MediaRef
from workers.annotating.media_queue import Begun
from workers.annotating.watchdog import Watchdog

TIMEOUT_S = 10.0
GIF = Begun(MediaRef("1.gif", "s3://clips/1.gif"), is_film=False, since_s=0.0)
FILM = Begun(MediaRef("1.mp4", "s3://clips/1.mp4"), is_film=True, since_s=0.0)


class Watched:
    """A worker that is watched."""

    def __init__(self, path: Path, **deadlines: float) -> None:
        self.begun: tuple[Begun, ...] = ()
        self.silent_s = 0.0
        self.hung: queue.Queue[Begun] = queue.Queue()
        self.path = path
        self.turns = threading.Semaphore(0)
        self.watchdog = Watchdog(
            every_s=0.01,
            silent_s=lambda: self.silent_s,
            state=lambda: "ready",
            alive=AliveFile(path),
            begun=lambda: self.begun,
            deadlines={"gif": 0.3, "film": 1000.0} | deadlines,  # type: ignore[arg-type]
            on_hang=self.hung.put,
            on_turn=self.turns.release,
        )

    def live_through(self, turns: int) -> None:
        for _ in range(turns):
            assert self.turns.acquire(timeout=TIMEOUT_S)

    def beats(self) -> bool:
        self.live_through(self.turns._value + 3)  # a beat may be under way
        before = read_sign(self.path)
        self.live_through(self.turns._value + 3)
        return read_sign(self.path) != before


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path / "alive")
    made.watchdog.start()
    yield made
    made.watchdog.close()


def test_a_worker_with_nothing_in_hand_lives(watched: Watched) -> None:
    assert watched.beats()
    assert watched.hung.empty()


def test_a_media_past_its_deadline_lets_the_process_leave_and_no_sign_of_life_comes_any_more(watched: Watched) -> None:
    watched.begun = (FILM, GIF)
    assert watched.hung.get(timeout=TIMEOUT_S) == GIF
    said = read_sign(watched.path)
    time.sleep(0.05)
    assert read_sign(watched.path) == said


def test_a_film_has_its_own_time(watched: Watched) -> None:
    watched.begun = (FILM,)
    watched.live_through(50)
    assert watched.hung.empty()
    assert watched.beats()


def test_media_that_come_and_go_are_no_hang(watched: Watched) -> None:
    for number in range(60):
        watched.begun = (Begun(GIF.media, is_film=False, since_s=float(number)),)
        watched.live_through(1)
    assert watched.hung.empty()


def test_a_process_that_was_frozen_has_not_hung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, *(1000.0 * number for number in range(1, 10_000))])
    monkeypatch.setattr("workers.annotating.watchdog.time.monotonic", lambda: next(clock))
    watched = Watched(tmp_path / "alive", gif=100.0)
    watched.begun = (GIF,)
    watched.watchdog.start()
    watched.live_through(20)
    assert watched.hung.empty()
    watched.watchdog.close()


def test_a_heart_that_waits_for_the_database_for_minutes_is_no_life(watched: Watched) -> None:
    watched.silent_s = 200.0
    assert watched.beats()
    watched.silent_s = 400.0
    assert not watched.beats()


def test_a_file_that_cannot_be_written_harms_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched(tmp_path / "no" / "such" / "folder")
    watched.watchdog.start()
    watched.live_through(5)
    watched.watchdog.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_who_leaves_takes_the_sign_of_life_away(watched: Watched) -> None:
    assert watched.path.exists()
    watched.watchdog.close()
    assert not watched.path.exists()
