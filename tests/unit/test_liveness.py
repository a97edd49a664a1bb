"""The sign of life of a worker, and what a supervisor is told of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from annotator.cli.entry import run
from annotator.liveness import AliveFile, SignOfLife, read_sign, why_not_alive


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANNOTATOR_WORKER__ALIVE_FILE", str(tmp_path / "alive"))
    return tmp_path / "alive"


def test_what_was_said_is_read_again(path: Path) -> None:
    AliveFile(path, clock=lambda: 17.5).beat("ready")
    assert read_sign(path) == SignOfLife("ready", os.getpid(), 17.5)
    AliveFile(path, clock=lambda: 123456.75).beat("draining")
    assert read_sign(path) == SignOfLife("draining", os.getpid(), 123456.75)


@pytest.mark.parametrize("content", ["", "ready", "ready 1 2 3", "walking 1 2", "ready one 2", "\xff"])
def test_a_file_that_holds_something_else_says_nothing(path: Path, content: str) -> None:
    path.write_text(content)
    assert read_sign(path) is None


def test_the_sign_of_another_worker_is_left_alone(path: Path) -> None:
    AliveFile(path).beat("ready")
    AliveFile(path).remove()
    assert not path.exists()
    AliveFile(path).remove()
    path.write_text("ready 1 5.0\n")
    AliveFile(path).remove()
    assert path.exists()


def test_a_link_that_somebody_has_put_there_is_not_followed(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    path.symlink_to(target)
    with pytest.raises(OSError, match="symbolic link"):
        AliveFile(path).beat("ready")
    assert target.read_text() == "precious"


def ended_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


@pytest.mark.parametrize(
    ("age_s", "pid", "why"),
    [
        (44.0, os.getpid(), None),
        (46.0, os.getpid(), "silent for 46 s"),
        (-1.0, os.getpid(), "before the machine was started"),
        (1.0, ended_process(), "has ended"),
    ],
    ids=["heard of lately", "silent", "of another start", "ended"],  # the numbers of processes differ between runs
)
def test_a_worker_lives_while_its_sign_is_young_and_its_process_is_there(
    age_s: float, pid: int, why: str | None
) -> None:
    told = why_not_alive(SignOfLife("ready", pid, 1000.0 - age_s), timeout_s=45.0, clock=lambda: 1000.0)
    assert told is None if why is None else why in str(told)


def test_a_clock_that_is_set_back_makes_no_dead_worker_look_alive(path: Path) -> None:
    AliveFile(path, clock=lambda: 100.0).beat("ready")
    os.utime(path, (4e9, 4e9))  # the wall clock of the file says nothing
    assert "silent for 900 s" in str(why_not_alive(read_sign(path), timeout_s=45.0, clock=lambda: 1000.0))


def test_the_commands_say_in_one_line_how_it_is(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def ask(word: str) -> tuple[int, str]:
        code = run(["worker", word])
        (line,) = capsys.readouterr().out.splitlines()
        return code, line

    assert ask("ready") == (1, f"not ready: no worker has said that it is ready ({path})")
    AliveFile(path).beat("ready")
    assert ask("ready") == (0, f"ready: process {os.getpid()}")
    assert ask("alive") == (0, f"alive: process {os.getpid()}")
    AliveFile(path).beat("draining")
    assert ask("ready") == (1, f"not ready: process {os.getpid()} is draining ({path})")
    assert ask("alive")[0] == 0
