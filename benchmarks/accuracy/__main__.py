"""Measure how sure names are, and write docs/accuracy.md from it.

    make accuracy                             # everything, half an hour to three quarters
    python -m benchmarks.accuracy --clips 40  # a trial: few clips, and nothing is written
    python -m benchmarks.accuracy --calibrate # the starter model's calibration anew, from development people
    python -m benchmarks.accuracy --known-tracks # how often known people are nearest, into the starter model's manifest
    python -m benchmarks.accuracy.page        # the page anew, from what was measured

The gallery is the starter model's without some photographs of most people. These, strangers and photographs of other
sources are drawn into clips, each of one photograph a face, which go the whole way of any clip. What is drawn and found
is kept in the cache, a few clips at a time, so that a run that was interrupted goes on, and one that changes only
judging draws nothing; --fresh draws all anew.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from annotator.accuracy.calibrating import calibrate
from annotator.accuracy.enrolling import enrolled_rows
from annotator.accuracy.evaluation import precision_rows, strangers_of, tables_of, thresholds
from annotator.accuracy.kept import KeptClips
from annotator.accuracy.measures import PRIORS, calibration_curve
from annotator.accuracy.priors import prior_rows
from annotator.accuracy.trial import Trial
from annotator.settings import load_settings
from annotator.starter import load_starter
from benchmarks.accuracy.drawn import SEED, held_out, known_by_that_source_alone, trials
from benchmarks.accuracy.page import write_page
from benchmarks.accuracy.places import DATA, PAGE, PICTURES, RESULTS, ROOT
from benchmarks.accuracy.real import real_clips
from benchmarks.accuracy.recalibrating import recalibrated, said_of, write_known_tracks, write_starter
from benchmarks.accuracy.sheets import write_sheets
from benchmarks.speed.machine import stamp

PARTS_TOLD = ("test", "other sources")
"""What is reported; development people only give the thresholds."""


def main() -> None:
    """Draw, annotate, measure, write."""
    chosen = options()
    settings = load_settings(env_file=None, device="cpu")
    folder = settings.cache_dir / "accuracy"
    folder.mkdir(parents=True, exist_ok=True)
    began_s = time.monotonic()
    print(f"Crops, embeddings and what is found in clips are kept in {folder}.", flush=True)
    held = held_out(chosen.data, settings, folder)
    print(
        f"{len(held.photographs):,} photographs are held out, {len(held.bundle.identities):,} people stay", flush=True
    )
    kept = KeptClips(folder / "clips", is_fresh=chosen.fresh)
    found = trials(held, settings, kept, most=chosen.clips)
    if chosen.calibrate:
        calibration = calibrate(found["development"])
        found = {name: recalibrated(trial, calibration) for name, trial in found.items()}
        rows = [row.to_json() for row in precision_rows(found["test"].folds)]
        write_starter(calibration, said_of(found["development"], rows))
        print("The starter model is calibrated anew.", flush=True)
    elif chosen.known_tracks:
        write_known_tracks(found["development"])
        print("The starter model says how often known people are nearest.", flush=True)
        told = load_starter().manifest
        found = {
            name: replace(trial, held=replace(trial.held, bundle=replace(trial.held.bundle, manifest=told)))
            for name, trial in found.items()
        }
    results = {
        **stamp(with_peers=False),
        "model": held.bundle.model,
        "clips": {name: len(trial.clips) for name, trial in found.items()},
        "other people": len(set(found["other sources"].folds.subjects)),
        "not counted": sorted(known_by_that_source_alone()),
        "real": real_clips(chosen.data, settings),
        **measures(found),
    }
    if chosen.sheets is not None:
        write_sheets(chosen.sheets, found["test"], thresholds(found["development"]))
        print(f"Wrong names and misses are shown in {chosen.sheets}", flush=True)
    if chosen.clips is None:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        write_page(results)
        print(f"{PAGE.relative_to(ROOT)} and {PICTURES.relative_to(ROOT)} are written", flush=True)
    else:
        json.dump(results, sys.stdout, indent=1)
    print(f"It took {(time.monotonic() - began_s) / 60:.0f} minutes.", file=sys.stderr)


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="photographs and clips (default: %(default)s)")
    parser.add_argument("--clips", type=int, help="so many of each kind, as a trial; nothing is written")
    parser.add_argument(
        "--fresh", action="store_true", help="draw and annotate all clips anew, also those that are kept"
    )
    parser.add_argument("--calibrate", action="store_true", help="fit the starter model's calibration, and write it")
    parser.add_argument(
        "--known-tracks", action="store_true", help="measure how often known people are nearest, and write it"
    )
    parser.add_argument("--sheets", type=Path, metavar="DIR", help="pictures of all wrong names, and of misses")
    chosen = parser.parse_args()
    if chosen.clips is not None and chosen.clips < 1:
        parser.error("--clips must be at least 1")
    if chosen.clips is not None and (chosen.calibrate or chosen.known_tracks):
        parser.error("--calibrate and --known-tracks take all clips: leave --clips out")
    if not (chosen.data / "people" / "gallery").is_dir():
        parser.error(f"there are no photographs in {chosen.data}: say where they are with --data")
    return chosen


def measures(found: dict[str, Trial]) -> dict[str, Any]:
    """Return all rows, as JSON values."""
    limits = thresholds(found["development"])
    told: dict[str, Any] = {"thresholds": {f"{rate:g}": round(limit, 4) for rate, limit in limits.items()}}
    told["enrolled"] = [row.to_json() for row in enrolled_rows(found["development"], found["test"])]
    for name in PARTS_TOLD:
        trial = found[name]
        if name == "test":
            told["curves"] = {
                f"{prior:g}": [(p.said, p.precision, p.share) for p in calibration_curve(trial.folds, prior=prior)]
                for prior in PRIORS
            }
            told["strangers"] = strangers_of(trial.folds)
        tables = tables_of(trial, limits, seed=SEED)
        tables["prior"] = prior_rows(trial)
        told[name] = {table: [row.to_json() for row in rows] for table, rows in tables.items()}
        print(f"  {name}: measured", flush=True)
    return told


if __name__ == "__main__":
    main()
