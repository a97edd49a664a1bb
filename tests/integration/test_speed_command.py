"""``python -m benchmarks.speed``, as it is started from a shell."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.speed.results import FIELDS

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "benchmarks" / "peers"
RESULTS = ROOT / "benchmarks" / "results.json"


def told(*options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "benchmarks.speed", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)


def test_the_lines_are_listed_with_what_they_measure() -> None:
    listed = told("--list").stdout.splitlines()
    assert [line.split()[0] for line in listed][:3] == ["detect-20px", "detect-time", "time-effect"]
    assert all(len(line.split()) > 3 for line in listed)


def test_a_line_that_is_not_there_is_refused_by_its_name() -> None:
    done = told("--only", "embed,speed")
    assert done.returncode == 2
    assert "there is no line speed" in done.stderr


def test_without_clips_it_ends_with_the_remedy_before_the_peers_are_made(tmp_path: Path) -> None:
    done = told("--clips", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == f"There are no clips in {tmp_path}: put GIFs there, or say --clips FOLDER.\n"


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.usefixtures("shared_data")
def test_a_trial_of_one_line_is_written_only_where_it_is_told_to(tmp_path: Path) -> None:
    if not (PEERS / ".venv" / "made-from").exists():
        pytest.skip("the peers' environment is not made: benchmarks/peers/setup.sh")
    before = RESULTS.read_bytes() if RESULTS.exists() else None
    done = told("--quick", "--runs", "1", "--only", "embed", "--output", str(tmp_path / "trial.json"))
    assert done.returncode == 0, done.stderr
    assert "`embed` (a trial)" in done.stdout
    assert (RESULTS.read_bytes() if RESULTS.exists() else None) == before
    (line,) = json.loads((tmp_path / "trial.json").read_text())["lines"].values()
    assert line.keys() >= set(FIELDS)
    assert line["quick"]
    assert all(len(side["seconds"]) == 1 for side in line["sides"].values())
