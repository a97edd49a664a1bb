"""The outer end of a side, and how two or more are measured in turn."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.speed.places import OUR_PYTHON, PEERS_PYTHON, ROOT

THREAD_VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)
OURS: Final = "ours"
FACENET: Final = "facenet-pytorch"
MTCNN: Final = "mtcnn"
LOOP: Final = "plain loop"
GIPHY: Final = "giphy"
"""What sides are called in the results."""

GIPHY_OPTIONS: Final = {"detection": {"min_face_fraction": 0.2}}
"""Beside the way of GIPHY's release, which looks for faces from a fifth of the frame's shorter side."""


@dataclass(frozen=True, slots=True)
class SideSpec:
    """A side to be measured.

    Attributes:
        label: what readers call it, with its version.
        module: of ``benchmarks.speed``, that serves it; its name says which environment runs it.
        work: which of the module's works.
        arguments: of the work.

    """

    label: str
    module: str
    work: str
    arguments: Mapping[str, Any]

    @property
    def command(self) -> list[str]:
        """What starts the process."""
        python = PEERS_PYTHON if self.module.startswith("peer") else OUR_PYTHON
        words = [str(python), "-W", "ignore", "-m", f"benchmarks.speed.{self.module}"]
        return [*words, self.work, json.dumps(dict(self.arguments))]


class Side:
    """A process that runs a work whenever it is told."""

    def __init__(self, process: "subprocess.Popen[str]", spec: SideSpec) -> None:
        """Take a process that has been started; wait until it is ready."""
        self._process = process
        self._spec = spec
        self._answer()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def run(self) -> dict[str, Any]:
        """Let it work once; return seconds, processor seconds and what was found."""
        assert self._process.stdin  # noqa: S101 - it is a pipe
        self._process.stdin.write("run\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout  # noqa: S101 - it is a pipe
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._spec.label} ended early: {' '.join(self._spec.command)}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def environment() -> dict[str, str]:
    """Return the environment of both sides: as many threads as processors, and no settings of the user's."""
    threads = str(len(os.sched_getaffinity(0)))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANNOTATOR_")}
    return {**kept, **dict.fromkeys(THREAD_VARIABLES, threads), "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}


@contextmanager
def started(spec: SideSpec) -> Iterator[Side]:
    """Start a side, on the processors of this process, and end it afterwards."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(spec.command, stdin=pipe, stdout=pipe, text=True, env=environment(), cwd=ROOT)
    try:
        yield Side(process, spec)
    finally:
        with contextlib.suppress(OSError):
            process.stdin.close()  # type: ignore[union-attr]
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def in_turn(specs: Mapping[str, SideSpec], runs: int) -> dict[str, dict[str, Any]]:
    """Run all sides in turn, A B C A B C ..., after one run each that does not count.

    Args:
        specs: by the name in the results; the first one is ours.
        runs: of each that count.

    Returns:
        For each side its label, seconds and processor seconds of all runs, the numbers that each run found, and all
        that the last one found.

    """
    with ExitStack() as stack:
        sides = {name: stack.enter_context(started(spec)) for name, spec in specs.items()}
        for name, side in sides.items():
            say(f"    {name}: warm in {side.run()['seconds']:.2f} s")
        measured: dict[str, list[dict[str, Any]]] = {name: [] for name in specs}
        for turn in range(runs):
            for name, side in sides.items():
                measured[name].append(side.run())
            told = ", ".join(f"{name} {answers[-1]['seconds']:.2f} s" for name, answers in measured.items())
            say(f"    run {turn + 1} of {runs}: {told}")
    return {
        name: {
            "label": specs[name].label,
            "seconds": [round(answer["seconds"], 4) for answer in answers],
            "processor_seconds": [round(answer["processor_seconds"], 3) for answer in answers],
            "series": _series([answer["found"] for answer in answers]),
            "found": answers[-1]["found"],
        }
        for name, answers in measured.items()
    }


def _series(found: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Return the numbers that all runs found, by name."""
    names = [name for name, value in found[0].items() if isinstance(value, int | float)]
    return {name: [round(one[name], 4) for one in found] for name in names}


def spread(values: list[float]) -> dict[str, float]:
    """Return median, least and greatest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratio(sides: Mapping[str, Mapping[str, Any]], peer: str, *, scale: float = 1.0) -> dict[str, float]:
    """Return how many times as long a peer takes, pair by pair.

    Args:
        sides: what ``in_turn`` returned.
        peer: which.
        scale: multiplies the peer's time, where it did a part of the work only.

    """
    pairs = zip(sides[OURS]["seconds"], sides[peer]["seconds"], strict=True)
    return {name: round(value, 3) for name, value in spread([scale * theirs / ours for ours, theirs in pairs]).items()}


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)
