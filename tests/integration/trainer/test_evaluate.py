"""`trainer evaluate` and `trainer compare` as typed, on real photographs of people whom the starter model knows."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from trainer.cli import run

pytestmark = pytest.mark.shared

PEOPLE = ("Halle_Berry", "Tom_Hanks", "Will_Smith")
STRANGERS = 100


@pytest.fixture
def folders(tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with photographs of three people, four each, and of a hundred strangers."""
    people = shared_data / "people"
    for person in PEOPLE:
        (tmp_path / "people" / person).mkdir(parents=True)
        for path in sorted((people / "glint24" / person).glob("*.jpg"))[:4]:
            shutil.copy2(path, tmp_path / "people" / person)
    (tmp_path / "strangers").mkdir()
    for path in sorted((people / "strangers").glob("*.jpg"))[:STRANGERS]:
        shutil.copy2(path, tmp_path / "strangers")
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    return tmp_path


def evaluate(*options: str) -> int:
    return run(["evaluate", "--model", "starter", "--faces", "people", "--sizes", "none", *options])


def read(path: Path) -> dict[str, object]:
    document: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return document


def test_the_starter_model_is_measured_on_photographs_strangers_and_clips(
    folders: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (folders / "truth.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["file", "people"], ["ace-ventura.gif", "Jim Carrey"]])
    clips = ("--clips", str(shared_data / "clips"), "--truth", "truth.csv")
    assert evaluate("--strangers", "strangers", *clips, "--out", "before") == 0
    told = capsys.readouterr().out
    assert "right person first, 12 photographs" in told
    assert "1 right, 0 wrong, 0 missed" in told
    document = read(folders / "before" / "report.json")
    measures = document["measures"]
    assert measures["closed_set"]["top_1"][0] == 1.0
    assert measures["open_set"]["strangers"]["strangers"] == STRANGERS
    assert measures["open_set"]["strangers"]["tpir_at_0.01"][0] > 0.8
    assert measures["open_set"]["strangers"]["tpir_at_0.001"] is None  # of a hundred strangers none can be told
    assert measures["open_set"]["left_out"]["strangers"] == 12
    assert document["clips"]["right"] == 1
    page = (folders / "before" / "report.html").read_text(encoding="utf-8")
    assert "Coverage and precision" in page

    # The same photographs, two of them under the wrong name: who is worse is told, with exit code 1 where it is asked.
    for path in sorted((folders / "people" / "Tom_Hanks").glob("*.jpg")):
        content = next((shared_data / "people" / "glint24" / "Kate_Winslet").glob("*.jpg")).read_bytes()
        path.write_bytes(content)
    assert evaluate("--out", "after") == 0
    assert run(["compare", "before", "before/report.json", "--require", "not-worse"]) == 0
    assert run(["compare", "before", "after", "--out", "verdict"]) == 0
    assert run(["compare", "before", "after", "--require", "not-worse", "--out", "verdict"]) == 3
    assert (
        "Tom Hanks is found on none of 4 photographs, on 4 before"
        in read(folders / "verdict" / "comparison.json")["worse"]
    )
    assert "is worse" in (folders / "verdict" / "comparison.html").read_text(encoding="utf-8")


def test_what_cannot_be_is_one_line_and_exit_code_2(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folders / "empty").mkdir()
    assert evaluate("--strangers", "empty") == 2
    assert "empty holds no strangers" in capsys.readouterr().err
    assert evaluate("--clips", "people") == 2
    assert "both --clips and --truth" in capsys.readouterr().err
    assert run(["evaluate", "--model", "starter", "--faces", "empty"]) == 2
    assert run(["evaluate", "--model", "starter", "--faces", "people", "--sizes", "200"]) == 2
    assert run(["compare", "nothing", "starter", "--faces", "people"]) == 2
    assert not (folders / "evaluation").exists()


def test_a_model_that_knows_nobody_shown_is_one_line(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for person in PEOPLE:
        (folders / "people" / person).rename(folders / "people" / f"Not {person}")
    assert evaluate() == 2
    assert "knows nobody of the people shown" in capsys.readouterr().err
