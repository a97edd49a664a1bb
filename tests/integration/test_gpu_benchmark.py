"""``python -m benchmarks.speed.gpu``, as it is started from a shell."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.speed.gpu_page import WORK
from benchmarks.speed.places import GPU_PAGE, GPU_RESULTS, ROOT
from tests.optional import import_optional

pytestmark = [pytest.mark.shared, pytest.mark.slow, pytest.mark.usefixtures("shared_data")]


def told(*options: str) -> "subprocess.CompletedProcess[str]":
    import_optional("tensorflow")
    command = [sys.executable, "-m", "benchmarks.speed.gpu", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


def test_a_trial_runs_all_lines_on_processors_and_is_written_only_where_it_is_told_to(tmp_path: Path) -> None:
    before = [path.read_bytes() if path.exists() else None for path in (GPU_RESULTS, GPU_PAGE)]
    done = told("--device", "cpu", "--quick", "--output", str(tmp_path / "trial.json"))
    assert done.returncode == 0, done.stderr
    assert [path.read_bytes() if path.exists() else None for path in (GPU_RESULTS, GPU_PAGE)] == before
    results = json.loads((tmp_path / "trial.json").read_text())
    assert results["lines"].keys() == WORK.keys()
    assert all(line["per_s"] > 0 and line["cores"] > 0 for line in results["lines"].values())
    (together,) = results["side_by_side"]["lines"]
    assert (together["processes"], together["count"]) == (1, 1)
    assert together["per_s"] > 0
    search, decode = results["lines"]["detect_clips"], results["lines"]["decode"]
    assert results["decode_cores"] == round(search["per_s"] / decode["per_s"], 1), "0.0 on a machine with other work"
    assert "processors must decode for one worker on such a GPU" in done.stdout


def test_without_a_gpu_it_ends_with_the_remedy(tmp_path: Path) -> None:
    if import_optional("tensorflow").config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    done = told("--output", str(tmp_path / "none.json"))
    assert done.returncode == 1
    assert "TensorFlow sees no GPU" in done.stderr
    assert "`--device cpu --quick`" in done.stderr
    assert not (tmp_path / "none.json").exists()
