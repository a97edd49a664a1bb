"""docs/accuracy.md and its plots are what ``benchmarks.accuracy`` makes of benchmarks/accuracy.json."""

import json
from pathlib import Path
from typing import Any

import pytest

from annotator.recognition.calibration import Calibration
from annotator.starter import STARTER_CALIBRATION, load_starter
from benchmarks.accuracy.page import page, plots

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
