"""Measure our speed beside what a user would pick instead, and write docs/performance.md from it.

    make bench                                            # all lines, about two hours
    python -m benchmarks.speed --only detect-20px,embed   # these two anew, the others stay
    python -m benchmarks.speed --quick --only embed       # a trial: smaller, and nothing is written
    python -m benchmarks.speed --clips FOLDER             # other clips than those beside the project

Both sides get the same processors and as many threads, each in a process of its own environment that is ready and warm;
they run in turn, and the ratio is the median of the pairs. Keep the machine free of other work.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.speed.lines import FEWER_RUNS, LINES, RUNS, Scope, check_clips
from benchmarks.speed.machine import stamp
from benchmarks.speed.page import page, table
from benchmarks.speed.places import CLIPS, OTHER_RESULTS, PAGE, PEERS_PYTHON, PEERS_SETUP, PICTURES, RESULTS, ROOT
from benchmarks.speed.results import load, merge
from benchmarks.speed.sides import say

QUICK_RUNS = 2
PROCESSORS = 2


def main() -> None:
    """Measure what was asked for."""
    chosen = options()
    if chosen.list:
        for name, measure in LINES.items():
            print(f"{name:14}{(measure.__doc__ or '').splitlines()[0]}")
        return
    check_clips(chosen.only, Scope(1, chosen.quick, chosen.clips))
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:PROCESSORS])
    subprocess.run([str(PEERS_SETUP), "--if-outdated"], check=True, env={**os.environ, "PYTHON": sys.executable})
    lines = {}
    for name in chosen.only:
        runs = chosen.runs or (QUICK_RUNS if chosen.quick else FEWER_RUNS.get(name, RUNS))
        say(f"{name}: {(LINES[name].__doc__ or '').splitlines()[0]}")
        lines[name] = {
            **stamp(with_peers=True),
            "runs": runs,
            "quick": chosen.quick,
            **LINES[name](Scope(runs, chosen.quick, chosen.clips)),
        }
        keep({name: lines[name]}, chosen)
    print(table(lines))


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(LINES), help="some lines, with commas between them")
    parser.add_argument(
        "--runs",
        type=int,
        help=f"that count, of each side (default: {RUNS}, fewer: {', '.join(FEWER_RUNS)}; {QUICK_RUNS} with --quick)",
    )
    parser.add_argument("--quick", action="store_true", help="smaller, as a trial; writes only where --output says")
    parser.add_argument("--output", type=Path, help=f"default: {RESULTS.relative_to(ROOT)}, with pictures and page")
    parser.add_argument("--clips", type=Path, default=CLIPS, metavar="FOLDER", help="of GIFs and films")
    parser.add_argument("--list", action="store_true", help="list the lines")
    chosen = parser.parse_args()
    chosen.clips = chosen.clips.resolve()
    chosen.only = [name for name in chosen.only.split(",") if name]
    if unknown := sorted(set(chosen.only) - set(LINES)):
        parser.error(f"there is no line {', '.join(unknown)}: --list lists them")
    if chosen.runs is not None and chosen.runs < 1:
        parser.error("--runs must be at least 1")
    return chosen


def keep(lines: dict[str, Any], chosen: argparse.Namespace) -> None:
    """Write the results; where they are those of the project, its pictures and its page, too."""
    if chosen.output is not None:
        merge(chosen.output, lines, list(LINES))
    elif not chosen.quick:
        kept = merge(RESULTS, lines, list(LINES))
        draw(RESULTS, PICTURES)
        PAGE.write_text(page(kept, load(OTHER_RESULTS)), encoding="utf-8")


def draw(results: Path, folder: Path) -> None:
    """Draw the plots, in the environment that has what it takes."""
    command = [str(PEERS_PYTHON), "-m", "benchmarks.speed.peer_figures", str(results), str(folder)]
    with tempfile.TemporaryDirectory() as cache:
        subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "MPLCONFIGDIR": cache})


if __name__ == "__main__":
    sys.exit(main())
