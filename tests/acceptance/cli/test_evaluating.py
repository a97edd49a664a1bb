"""`annotator evaluate` on a few photographs, in this process; one that is interrupted is a process of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from annotator.accuracy import kept as kept_module
from annotator.cli import run_command
from annotator.cli.entry import INTERRUPTED

pytestmark = [pytest.mark.shared, pytest.mark.slow]

PEOPLE, STRANGERS, CLIPS = 16, 16, 4
CLIPS_A_PART = 3
"""Instead of 8: two parts of each half of the people are 8 clips, not 18, and each is drawn two to three times."""
START_S = 500
"""In which a process has loaded its networks and drawn a few clips."""

IN_A_PROCESS = """
import signal, sys
from annotator.accuracy import kept
from annotator.cli import run_command

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets programs beside it ignore SIGINT
kept.CLIPS_A_PART = CLIPS_A_PART
if __name__ == "__main__":  # the processes that draw import this, too
    sys.exit(run_command(sys.argv[1:]))
"""


@pytest.fixture
def photographs(shared_data: Path, tmp_path: Path) -> Path:
    """A folder with people whom the starter model knows, and one with strangers."""
    for folder in sorted((shared_data / "people" / "glint24").iterdir())[:PEOPLE]:
        mine = tmp_path / "people" / folder.name
        mine.mkdir(parents=True)
        for path in sorted(folder.iterdir())[:2]:
            shutil.copyfile(path, mine / path.name)
    (tmp_path / "strangers").mkdir()
    for path in sorted((shared_data / "people" / "strangers").iterdir())[:STRANGERS]:
        shutil.copyfile(path, tmp_path / "strangers" / path.name)
    return tmp_path


def test_it_says_how_right_names_are(
    photographs: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(photographs)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("ANNOTATOR_PRIOR", "0.03")  # is in none of the figures
    names = [folder.name.replace("_", " ") for folder in (photographs / "people").iterdir()]
    lines = [f"{name},{'a' if number % 2 else 'b'}" for number, name in enumerate(sorted(names))]
    Path("groups.csv").write_text("\n".join(["name,region", *lines]) + "\n")
    asked = ["people", "--strangers", "strangers", "--clips", CLIPS, "--groups", "groups.csv", "--out", "report"]
    code = run_command(["evaluate", *map(str, asked), "--json"])
    said = capsys.readouterr()
    assert code == 0, said.err
    values = json.loads(said.out)
    assert values == json.loads(Path("report/report.json").read_text())
    assert values["clips"] == {"development": CLIPS, "test": CLIPS}
    assert values["precision"][0]["what"] == "50.0%, at least 98% sure"
    assert {row["what"].split(":")[0] for row in values["groups"]} == {"region"}
    found = {row["what"]: row["values"]["found"] for row in values["detection"]}
    assert found["all"][0] > 0.6
    report = Path("report/report.md").read_text()
    assert report.startswith("# How sure the names of starter@1 are\n")
    assert "| region: " in report
    assert "report/report.md" in said.err


def test_an_interrupted_run_goes_on_where_it_was(
    photographs: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    networks = cache / "celebrity-annotator" / "networks"
    networks.mkdir(parents=True, exist_ok=True)
    mine = photographs / "cache"
    (mine / "celebrity-annotator").mkdir(parents=True)
    (mine / "celebrity-annotator" / "networks").symlink_to(networks)
    monkeypatch.chdir(photographs)
    monkeypatch.setenv("XDG_CACHE_HOME", str(mine))
    monkeypatch.setattr(kept_module, "CLIPS_A_PART", CLIPS_A_PART)
    kept = mine / "celebrity-annotator" / "accuracy" / "clips"
    asked = ["evaluate", "people", "--strangers", "strangers", "--clips", str(CLIPS_A_PART + 1), "--json"]
    said = interrupted(asked, photographs, once=lambda: any(kept.glob("clips-*.npz")))
    assert "a run that is interrupted goes on there" in said
    assert said.rstrip().endswith("annotator: interrupted")
    assert "Traceback" not in said
    assert not (photographs / "evaluation").exists()
    before = {path: path.stat().st_mtime_ns for path in kept.glob("clips-*.npz")}
    assert 1 <= len(before) < 4

    assert run_command(asked) == 0
    first = capsys.readouterr().out
    after = {path: path.stat().st_mtime_ns for path in kept.glob("clips-*.npz")}
    assert len(after) == 4, "two parts of each half of the people"
    assert before.items() <= after.items()

    assert run_command([*asked, "--fresh"]) == 0
    assert json.loads(capsys.readouterr().out)["clips"] == json.loads(first)["clips"]
    anew = {path: path.stat().st_mtime_ns for path in kept.glob("clips-*.npz")}
    assert anew.keys() == after.keys()
    assert not anew.items() & after.items()


def interrupted(arguments: list[str], folder: Path, *, once: Callable[[], bool]) -> str:
    """Run a command, press Ctrl-C once something is so, and return what it has said on stderr."""
    (folder / "program.py").write_text(IN_A_PROCESS.replace("= CLIPS_A_PART", f"= {CLIPS_A_PART}"))
    with subprocess.Popen(
        [sys.executable, "program.py", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        last_look = time.monotonic() + START_S
        while not once() and child.poll() is None and time.monotonic() < last_look:
            threading.Event().wait(0.05)
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does: all of its processes get it
        said = child.communicate(timeout=120)[1]
    assert child.returncode == INTERRUPTED, said
    return said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--strangers", "strangers"], "there is no folder nowhere"),
        (["strangers", "--strangers", "strangers"], "holds no folder"),
        (["people", "--strangers", "nowhere"], "nowhere must be a folder of photographs"),
        (["people", "--strangers", "people"], "without folders in it"),
        (["people", "--strangers", "strangers", "--groups", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_what_is_missing_is_told(
    photographs: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(photographs)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    assert run_command(["evaluate", *arguments]) != 0
    assert message in capsys.readouterr().err
