"""Interrupt `trainer fit` again and again, and compare what it ends with to an unbroken run, bit for bit.

    python benchmarks/fit_interrupted.py              # ../shared/data/people/sports5
    python benchmarks/fit_interrupted.py PHOTOGRAPHS --only arcface,resnet50-half --times 10 --seed 1

PHOTOGRAPHS is a folder for each person. The programs are those that a user types. Each network and loss is fitted once
unbroken; then once more, and ended at random steps by SIGTERM, SIGINT and SIGKILL in turns, the same command typed
again after each. Compared are the checkpoint with everything that a step changes, the best network, and the history.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
STOPPED = 130
STEP = re.compile(r"epoch (\d+)/\d+, step (\d+)/(\d+):")
LARGEST_SHARE = 0.9
"""The last interruption comes before this share of the steps: it takes effect a step or two after it was sent."""

EXPERIMENT = """\
from trainer.experiment import ArcFace, Augmentation, CentreLoss, CrossEntropy, Experiment, Network, Schedule

experiment = Experiment({parts})
"""
HEAD = "augmentation=Augmentation(copies=2), schedule=Schedule(epochs=10, batch=16, {often})"
WHOLE = "schedule=Schedule(epochs=3, batch=4, {often})"
OFTEN = "log_every_steps=1, save_every_steps=10"
VARIANTS = {
    "trained-centres": f'network=Network("sface-head"), loss=CentreLoss(centres="trained"), {HEAD}',
    "running-centres": f'network=Network("sface-head"), loss=CentreLoss(centres="running"), {HEAD}',
    "arcface": f'network=Network("sface-head", head="cosine"), loss=ArcFace(), {HEAD}',
    "cross-entropy": f'network=Network("sface-head"), loss=CrossEntropy(), {HEAD}',
    "resnet50-half": f'network=Network("resnet50-half", side_px=48), loss=CentreLoss(), {WHOLE}',
}
FEW_PHOTOGRAPHS = 6
"""Of each person, for the networks of convolutions: their steps take seconds."""

Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Part:
    """What one process has done: the signal that ended it, or None, and the last step that it told, from 1."""

    signal: signal.Signals | None
    step: int


class Place:
    """A folder in which `trainer` is typed; the experiment is called as the folder."""

    def __init__(self, folder: Path, crops: Path, parts: str) -> None:
        """Lay out experiment and crops."""
        self.folder = folder
        self.home = folder / "workdir" / folder.name
        self.home.parent.mkdir(parents=True)
        shutil.copytree(crops, self.home)
        (folder / "experiments").mkdir()
        text = EXPERIMENT.format(parts=parts.format(often=OFTEN))
        (folder / "experiments" / f"{folder.name}.py").write_text(text, encoding="utf-8")

    def fit(self, *, threads: int, end: tuple[int, signal.Signals] | None = None) -> tuple[Part, int]:
        """Type `trainer fit`; send the signal of ``end`` once its step is told.

        Returns:
            What it did, and how many steps the whole run has.

        """
        command = ["trainer", "fit", self.folder.name, "--workdir", "workdir", "--threads", str(threads)]
        said, step, steps, sent = [], 0, 0, None
        with start(command, self.folder) as program:
            for line in program.stderr or ():
                said.append(line)
                if told := STEP.search(line):
                    epoch, step_of_epoch, steps_of_epoch = map(int, told.groups())
                    step = (epoch - 1) * steps_of_epoch + step_of_epoch
                    steps = int(line.partition("/")[2].partition(",")[0]) * steps_of_epoch
                    if end is not None and sent is None and step >= end[0]:
                        sent = end[1]
                        program.send_signal(sent)
        wanted = 0 if sent is None else -sent if sent == signal.SIGKILL else STOPPED
        if program.returncode != wanted:
            raise SystemExit(f"ended with {program.returncode} instead of {wanted}:\n{''.join(said[-20:])}")
        return Part(sent, step), steps

    def results(self) -> Arrays:
        """Return all numbers that the fit has left, by file and name."""
        with np.load(self.home / "model" / "last.npz") as archive:
            found: Arrays = {f"last.npz/{name}": archive[name] for name in archive.files}
        with h5py.File(self.home / "model" / "best.weights.h5") as file:
            file.visititems(
                lambda name, one: found.update({f"best/{name}": one[()]}) if isinstance(one, h5py.Dataset) else None
            )
        found["history.csv"] = np.frombuffer((self.home / "history.csv").read_bytes(), np.uint8)
        return found


def start(command: Sequence[str], folder: Path) -> "subprocess.Popen[str]":
    """Start a program of this environment as a shell in a folder would."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANNOTATOR_")}
    program = str(Path(sys.executable).with_name(command[0]))
    return subprocess.Popen(
        [program, *command[1:]],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def prepared(photographs: Path, folder: Path, *, limit: int | None) -> Path:
    """Cut the faces out by `trainer prepare`, of at most so many photographs of each person.

    Returns:
        The experiment's folder.

    """
    home = folder / "workdir" / "prepared"
    for person in sorted(path for path in photographs.iterdir() if path.is_dir()):
        target = home / "raw_dataset" / person.name
        target.mkdir(parents=True)
        for path in sorted(person.iterdir())[:limit]:
            shutil.copy(path, target)
    for words in (["check", "prepared", "--write-labels"], ["prepare", "prepared"]):
        with start(["trainer", *words, "--workdir", "workdir"], folder) as program:
            _, said = program.communicate()
        if program.returncode:
            raise SystemExit(said)
    shutil.rmtree(home / "raw_dataset")
    return home


def measure(name: str, crops: Path, folder: Path, *, times: int, seed: int, threads: int) -> bool:
    """Fit unbroken and broken, print where it was broken, and return whether the results are the same."""
    began_s = time.monotonic()
    unbroken = Place(folder / f"{name}-unbroken", crops, VARIANTS[name])
    _, steps = unbroken.fit(threads=threads)
    broken = Place(folder / f"{name}-broken", crops, VARIANTS[name])
    chosen = random.Random(f"{seed} {name}").sample(range(1, int(steps * LARGEST_SHARE)), times)  # noqa: S311 - no secret
    ends = zip(sorted(chosen), islice(cycle(SIGNALS), times), strict=True)
    parts = [broken.fit(threads=threads, end=end)[0] for end in ends]
    broken.fit(threads=threads)
    given, wanted = broken.results(), unbroken.results()
    differing = sorted(
        key for key in given | wanted if key not in given or key not in wanted or not same(given[key], wanted[key])
    )
    places = ", ".join(f"{part.step} {part.signal.name}" for part in parts if part.signal)
    interrupted = sum(part.signal is not None for part in parts)
    print(f"{name}: {steps} steps, ended {interrupted} times: {places}")
    print(f"  {len(wanted)} arrays, {sum(one.size for one in wanted.values()):,} numbers: ", end="")
    print(f"{len(differing)} arrays differ {differing[:5]}" if differing else "all the same, bit for bit", end="")
    print(f" ({time.monotonic() - began_s:.0f} s)", flush=True)
    return interrupted == times and not differing


def same(one: NDArray[np.generic], other: NDArray[np.generic]) -> bool:
    """Whether two arrays hold the same bits."""
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def main() -> None:
    """Measure what was asked for; the exit code is 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = ROOT / ".." / "shared" / "data" / "people" / "sports5"
    parser.add_argument("photographs", nargs="?", type=Path, default=default)
    parser.add_argument("--only", default=",".join(VARIANTS), help="some of " + ", ".join(VARIANTS))
    parser.add_argument("--times", type=int, default=10, help="interruptions of each")
    parser.add_argument("--seed", type=int, default=0, help="decides at which steps")
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    names = chosen.only.split(",")
    if unknown := set(names) - set(VARIANTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    are_same = []
    with tempfile.TemporaryDirectory() as folder:
        crops: dict[bool, Path] = {}
        for name in names:
            is_whole = WHOLE in VARIANTS[name]
            if is_whole not in crops:
                home = Path(folder) / ("few" if is_whole else "all")
                home.mkdir()
                crops[is_whole] = prepared(chosen.photographs, home, limit=FEW_PHOTOGRAPHS if is_whole else None)
            how = {"times": chosen.times, "seed": chosen.seed, "threads": chosen.threads}
            are_same.append(measure(name, crops[is_whole], Path(folder), **how))
    sys.exit(0 if all(are_same) else 1)


if __name__ == "__main__":
    main()
