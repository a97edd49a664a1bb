"""docs/accuracy.md and its plots are what ``benchmarks.accuracy`` makes of benchmarks/accuracy.json."""

import json
from pathlib import Path
from typing import Any

import pytest

from annotator.accuracy.scenes import plan_scene
from annotator.accuracy.subjects import HeldOut, Subject
from annotator.accuracy.tracks import SeenFace, SeenTrack, ShownClip
from annotator.accuracy.trial import Trial
from annotator.recognition.calibration import Calibration
from annotator.starter import STARTER_CALIBRATION, load_starter
from benchmarks.accuracy.drawn import known_by_that_source_alone, without
from benchmarks.accuracy.page import not_counted, page, plots, real_rates
from tests.made_up_bundles import identity_of, track_of, write_made_up_bundle

ROOT = Path(__file__).resolve().parents[3]
MEASURED: dict[str, Any] = json.loads((ROOT / "benchmarks" / "accuracy.json").read_text(encoding="utf-8"))


def test_the_page_is_what_is_made_of_the_results() -> None:
    written = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8")
    assert written == page(MEASURED), "make it anew: python -m benchmarks.accuracy.page"


def test_no_place_of_the_template_stays_empty() -> None:
    assert "{{" not in page(MEASURED)


@pytest.mark.parametrize("name", ["calibration", "sizes"])
def test_the_plots_are_what_is_made_of_the_results(name: str) -> None:
    written = (ROOT / "docs" / "images" / "accuracy" / f"{name}.svg").read_text(encoding="utf-8")
    assert written == plots(MEASURED)[name]
    assert written.startswith("<svg xmlns=")


def test_the_starter_model_has_the_calibration_that_was_fitted() -> None:
    told = json.loads(STARTER_CALIBRATION.read_text(encoding="utf-8"))
    bundle = load_starter()
    assert bundle.calibration == Calibration.from_json(told["calibration"])
    assert bundle.manifest["calibrated"] == told["calibrated"]


def test_names_are_as_right_as_their_confidence_says() -> None:
    """What the README promises is what was measured."""
    for row in MEASURED["test"]["precision"]:
        least = float(row["what"].split("at least ")[1].split("%")[0]) / 100
        precision = row["values"]["precision"]
        assert precision is not None
        assert precision[0] >= least, row["what"]
        assert row["values"]["calibration error"][0] <= 0.02, row["what"]


def test_people_whom_the_gallery_knows_by_the_other_source_alone_are_no_measure_of_another_source() -> None:
    alone = known_by_that_source_alone()
    assert sorted(alone) == [
        "James Spader",
        "Lindsay Lohan",
        "Mark Ruffalo",
        "Simon Cowell",
        "Tina Fey",
        "Victoria Beckham",
    ]
    assert "James Spader, Lindsay Lohan" in not_counted(sorted(alone))
    assert not_counted([]) == ""


def test_faces_of_people_who_do_not_count_are_in_no_figure(tmp_path: Path) -> None:
    people = {number: identity_of(number).name for number in range(3)}
    subjects = {number: Subject(name, name, 5, "glint24") for number, name in people.items()}
    held = HeldOut(write_made_up_bundle(tmp_path / "bundle"), {}, subjects)
    scene = plan_scene("clip", [0, 1, 2], others=[], seed=1)
    faces = tuple(SeenFace("clip", 0, number, "live", 80.0, (0, 1000)) for number in people)
    shown = [*people, None]  # and one track on nothing that was drawn
    tracks = tuple(
        SeenTrack("clip", 0, number, None if number is None else "live", track_of(number or 0), ((0, 1000),))
        for number in shown
    )
    trial = without(Trial(held, [ShownClip(scene, faces, tracks)]), {people[1]})
    assert [face.photograph for face in trial.clips[0].faces] == [0, 2]
    assert [track.photograph for track in trial.tracks] == [0, 2, None]
    assert set(trial.folds.subjects) == {people[0], people[2]}


def test_real_clips_are_told_at_each_rate() -> None:
    counts = {"right": 19, "wrong": 0, "missed": 3, "recall": [0.9, 0.8, 0.95]}
    table = real_rates({"0.003": counts, "0.001": counts | {"right": 17}}).splitlines()
    assert table[2:] == ["| 0.3% | 19 | 0 | 3 | 90.0 (80.0 to 95.0) |", "| 0.1% | 17 | 0 | 3 | 90.0 (80.0 to 95.0) |"]
