"""The commands of docs/trainer.md, typed as they stand there, one after the other, on real photographs."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from trainer.cli import run

pytestmark = pytest.mark.shared

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "trainer.md"
TYPED = re.findall(r"^    (trainer .*?)(?:   .*)?$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
PHOTOGRAPHS = {
    "Roger_Federer": ("000", "001", "002", "004", "006"),
    "Virat_Kohli": ("000", "001", "002", "004", "006", "016"),  # the last shows somebody else
}


def test_what_is_shown_does_what_is_told(
    tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = tmp_path / "workdir" / "example_experiment"
    for person, numbers in PHOTOGRAPHS.items():
        (experiment / "raw_dataset" / person).mkdir(parents=True)
        for number in numbers:
            shutil.copy(
                shared_data / "people" / "sports5" / person / f"{number}.jpg", experiment / "raw_dataset" / person
            )
    (experiment / "labels.csv").write_text("Label,Index\nRoger_Federer,0\nVirat_Kohli,1\n")
    monkeypatch.chdir(tmp_path)
    check, prepare, doctor, accept = [shlex.split(line)[1:] for line in TYPED]
    assert run(check) == 0
    assert "11 photographs of 2 people, 2 labels" in capsys.readouterr().err.replace("\n", "")
    assert run(prepare) == 0
    assert "11 photographs of 2 people, 11 of them new" in capsys.readouterr().out
    assert run(doctor) == 3
    shown = capsys.readouterr().out
    assert (experiment / "doctor" / "report.html").is_file()
    (found,) = re.findall(r"\[(\w+)\] Virat_Kohli/016\.jpg is unlike", shown)
    *start, _example = accept
    assert start[-1] == "--accept"
    assert run([*start, found]) == 0
