"""`annotator evaluate` on a few photographs, in this process."""

import json
import shutil
from pathlib import Path

import pytest

from annotator.cli import run_command

pytestmark = [pytest.mark.shared, pytest.mark.slow]

PEOPLE, STRANGERS, CLIPS = 16, 16, 4


@pytest.fixture
def photographs(shared_data: Path, tmp_path: Path) -> Path:
    """A folder with people whom the starter model knows, and one with strangers."""
    for folder in sorted((shared_data / "people" / "glint24").iterdir())[:PEOPLE]:
        mine = tmp_path / "people" / folder.name
        mine.mkdir(parents=True)
        for path in sorted(folder.iterdir())[:2]:
            shutil.copyfile(path, mine / path.name)
    (tmp_path / "strangers").mkdir()
    for path in sorted((shared_data / "people" / "strangers").iterdir())[:STRANGERS]:
        shutil.copyfile(path, tmp_path / "strangers" / path.name)
    return tmp_path


def test_it_says_how_right_names_are(
    photographs: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(photographs)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    names = [folder.name.replace("_", " ") for folder in (photographs / "people").iterdir()]
    lines = [f"{name},{'a' if number % 2 else 'b'}" for number, name in enumerate(sorted(names))]
    Path("groups.csv").write_text("\n".join(["name,region", *lines]) + "\n")
    asked = ["people", "--strangers", "strangers", "--clips", CLIPS, "--groups", "groups.csv", "--out", "report"]
    code = run_command(["evaluate", *map(str, asked), "--json"])
    said = capsys.readouterr()
    assert code == 0, said.err
    values = json.loads(said.out)
    assert values == json.loads(Path("report/report.json").read_text())
    assert values["clips"] == {"development": CLIPS, "test": CLIPS}
    assert values["precision"][0]["what"] == "50.0%, at least 98% sure"
    assert {row["what"].split(":")[0] for row in values["groups"]} == {"region"}
    found = {row["what"]: row["values"]["found"] for row in values["detection"]}
    assert found["all"][0] > 0.6
    report = Path("report/report.md").read_text()
    assert report.startswith("# How sure the names of starter@1 are")
    assert "| region: " in report
    assert "report/report.md" in said.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--strangers", "strangers"], "there is no folder nowhere"),
        (["strangers", "--strangers", "strangers"], "holds no folder"),
        (["people", "--strangers", "nowhere"], "nowhere must be a folder of photographs"),
        (["people", "--strangers", "people"], "without folders in it"),
        (["people", "--strangers", "strangers", "--groups", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_what_is_missing_is_told(
    photographs: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(photographs)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    assert run_command(["evaluate", *arguments]) != 0
    assert message in capsys.readouterr().err
