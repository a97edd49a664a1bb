"""Lines that measure whole processes, start included."""

import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from PIL import Image

from benchmarks.speed.places import OUR_PYTHON, PEERS_PYTHON, ROOT
from benchmarks.speed.sides import OURS, environment, say

FIRST: Final = "jlaw-nods.gif"
"""A clip in which somebody is named."""

_NAME: Final = b'"identity": "'


def annotate_seconds(clips: list[str], runs: int) -> list[float]:
    """Return the seconds of ``annotator annotate`` on some clips, each time into a new database."""
    seconds = []
    for run in range(runs + 1):
        with tempfile.TemporaryDirectory() as folder:
            command = [str(OUR_PYTHON.with_name("annotator")), "annotate", *clips, "--json"]
            command += ["--database", f"sqlite:///{folder}/rows.db"]
            began_s = time.perf_counter()
            done = subprocess.run(command, check=False, capture_output=True, env=environment(), cwd=ROOT)
            taken_s = time.perf_counter() - began_s
        if done.returncode not in {0, 1}:
            raise SystemExit(done.stderr.decode())
        if run:  # the first one warms the caches
            seconds.append(round(taken_s, 4))
    say(f"    whole process: {', '.join(f'{one:.2f}' for one in seconds)} s")
    return seconds


def start_seconds(clip: Path, runs: int) -> dict[str, dict[str, Any]]:
    """Return, as ``in_turn`` does, the seconds until the first name in a clip, and those of an import of TensorFlow."""
    found: dict[str, list[float]] = {OURS: [], "import": []}
    for run in range(runs + 1):
        first_s, import_s = _first_name_s(clip), _import_s()
        if run:
            found[OURS].append(round(first_s, 4))
            found["import"].append(round(import_s, 4))
            say(f"    run {run} of {runs}: first name {first_s:.2f} s, import {import_s:.2f} s")
    labels = {OURS: "annotator", "import": '`python -c "import tensorflow"`'}
    return {name: {"label": labels[name], "seconds": seconds} for name, seconds in found.items()}


def _first_name_s(clip: Path) -> float:
    command = [str(OUR_PYTHON.with_name("annotator")), "annotate", str(clip), "--no-save", "--json"]
    pipe, none = subprocess.PIPE, subprocess.DEVNULL
    began_s = time.perf_counter()
    with subprocess.Popen(command, stdout=pipe, stderr=none, env=environment(), cwd=ROOT) as process:
        told_s = next((time.perf_counter() - began_s for line in process.stdout or () if _NAME in line), None)
    if told_s is None:
        raise SystemExit(f"nobody was named in {clip.name}: name another clip in benchmarks/speed/whole.py")
    return told_s


def _import_s() -> float:
    began_s = time.perf_counter()
    command = [str(PEERS_PYTHON), "-c", "import tensorflow"]
    subprocess.run(command, check=True, capture_output=True, env=environment(), timeout=300)
    return time.perf_counter() - began_s


def long_side_px(path: str) -> int:
    """Return the longer side of a GIF."""
    with Image.open(path) as picture:
        return max(picture.size)
