"""docs/capacity.md shows what ``benchmarks/capacity.py`` works out, and nothing else."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_tables_of_the_document_are_those_of_the_command() -> None:
    command = [sys.executable, "benchmarks/capacity.py"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    assert printed.strip() in (ROOT / "docs" / "capacity.md").read_text(encoding="utf-8"), "put its output there"
