"""The command that decodes many media at once and compares."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_stress_decodes_each_media_and_finds_nothing_that_differs() -> None:
    run = subprocess.run(
        [sys.executable, "benchmarks/decoding_stress.py", "--seconds", "0", "--threads", "2", "--busy", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    lines = run.stdout.splitlines()
    assert len(lines) == 5
    assert all(" 2 decoded, " in line and line.endswith(" 0 not as alone") for line in lines)
