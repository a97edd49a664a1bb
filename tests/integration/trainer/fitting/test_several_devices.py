"""Several devices share a batch and learn what one would."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.optional import import_optional

import_optional("tensorflow")

TOLERANCE = 1e-5  # sums are made in another order


@pytest.mark.slow  # TensorFlow's devices are set once for a process, so it has one of its own
def test_two_devices_learn_what_one_learns() -> None:
    program = Path(__file__).with_name("two_devices.py")

    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=300, check=False)

    results = [json.loads(line.split(" ", 1)[1]) for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert len(results) == 2, done.stderr
    for result in results:
        assert result["replicas"] == 2
        assert result["told_by_two"] == pytest.approx(result["told"], abs=TOLERANCE)
        assert result["apart"] < TOLERANCE
    assert "WHOLE " in done.stdout, done.stderr
    assert json.loads(done.stdout.split("WHOLE ")[1]) == {"embedding": [1, 8], "logits": [1, 3], "copies": 2}
