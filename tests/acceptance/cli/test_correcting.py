"""Corrections on drawn clips with the starter model: the commands of the page, from a name to pictures of a person."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from annotator.cli import run_command
from annotator.recognition.labels import parse_label
from annotator.recognition.photographs import people_folders, read_aligned

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "corrections.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^    annotator (.*?)(?:  .*)?$", PAGE, re.MULTILINE)

pytestmark = [pytest.mark.shared, pytest.mark.slow]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in an empty folder, as a user who has no database yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    def run_it(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run_command([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run_it


def names(said: str) -> list[list[str | None]]:
    """Return who the tracks of each line are."""
    return [[track["identity"] for track in json.loads(line)["tracks"]] for line in said.splitlines()]


def test_the_commands_of_the_page_do_what_it_says(run: Run, clips: Path, tmp_path: Path) -> None:
    shutil.copyfile(clips / "two_people.gif", tmp_path / "clip.gif")
    code, out, _ = run("annotate", "clip.gif", "--json")
    (before,) = names(out)
    assert sorted(map(str, before)) == ["Barack Obama", "Joe Biden"]
    is_biden, is_not_obama, is_collins, withdraw, told, unmatched, export, whole, enroll = map(shlex.split, SHOWN)
    for command in (is_biden, is_not_obama, is_collins):
        code, _, err = run(*command)
        assert code == 0, err
    assert names(run("annotate", "clip.gif", "--json")[1]) == [["Joe Biden", "Eileen Collins"]]
    assert names(run("annotate", "clip.gif", "--json", "--refresh")[1]) == [["Joe Biden", "Eileen Collins"]]
    assert len(run(*told, "--json")[1].splitlines()) == 3
    assert run(*unmatched)[:2] == (0, "")

    code, out, err = run(*export)
    assert code == 0, err
    folders = sorted(path.name for path in (tmp_path / "faces").iterdir())
    assert folders == ["Eileen_Collins", "Joe_Biden_[m.012gx2]"]
    pictures = sorted((tmp_path / "faces").rglob("*.png"))
    assert f"{len(pictures)} faces of 2 people, from 2 tracks" in out
    assert {path.parent for path in pictures} == set(people_folders(tmp_path / "faces")), (
        "as models build --people reads"
    )
    assert read_aligned(pictures).shape == (len(pictures), 112, 112, 3)
    assert [parse_label(folder).name for folder in folders] == ["Eileen Collins", "Joe Biden"]

    code, out, err = run(*whole)
    assert code == 0, err
    raw_dataset = Path(whole[whole.index("--export") + 1])
    assert sorted(path.name for path in raw_dataset.iterdir()) == folders
    assert len(list(raw_dataset.rglob("*.png"))) == 2

    code, out, err = run("explain", "clip.gif", "--json")
    assert code == 0, err
    tracks = json.loads(out)["tracks"]
    assert [track["corrected"]["identity"] for track in tracks] == ["Joe Biden", "Eileen Collins"]
    assert [track["identity"] for track in tracks] == before[0:2]
    said = [[(word["verdict"], word["identity"]) for word in track["corrected"]["words"]] for track in tracks]
    assert said == [[("is", "Joe Biden"), ("is not", "Barack Obama")], [("is", "Eileen Collins")]]

    code, out, err = run(*enroll)
    assert code == 0, err
    assert "2 tracks count as evidence of Eileen Collins, Joe Biden now" in out
    code, out, _ = run(*withdraw)
    assert code == 0
    (tmp_path / "clip.gif").unlink()
    code, _, err = run(*export)
    assert code == 1
    assert "clip.gif" in err
