"""`trainer doctor` on real photographs that have been spoilt in every way."""

import json
import re
import shutil
from pathlib import Path

import pytest

from trainer.cli import run
from trainer.workdir import Experiment

pytestmark = pytest.mark.shared

ATHLETES = ("Lionel_Messi", "Roger_Federer", "Virat_Kohli")


@pytest.fixture
def experiment(tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """Return an experiment of seven photographs of three people, in order."""
    places = Experiment("athletes", tmp_path / "workdir")
    for athlete in ATHLETES:
        folder = places.raw_dataset / athlete
        folder.mkdir(parents=True)
        for number in ("000", "001", "002", "004", "006", "007", "008"):
            shutil.copy2(shared_data / "people" / "sports5" / athlete / f"{number}.jpg", folder)
    lines = [f"{athlete},{index}" for index, athlete in enumerate(ATHLETES)]
    places.labels_file.write_text("\n".join(["Label,Index", *lines, ""]))
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    return places


def doctor(experiment: Experiment, *options: str) -> int:
    return run(["doctor", experiment.name, "--workdir", str(experiment.workdir), *options])


def findings(experiment: Experiment) -> list[tuple[str, tuple[str, ...]]]:
    report = json.loads((experiment.folder / "doctor" / "report.json").read_text())
    return [(one["kind"], tuple(one["moved_aside_by_fix"])) for one in report["findings"]]


def spoil(experiment: Experiment, shared_data: Path) -> None:
    """Put a stranger, a copy, a damaged file, a picture without a face and one person twice into it."""
    raw, people = experiment.raw_dataset, shared_data / "people" / "sports5"
    shutil.copy(people / "Virat_Kohli" / "016.jpg", raw / "Virat_Kohli" / "stranger.jpg")
    shutil.copy(people / "Roger_Federer" / "009.jpg", raw / "Lionel_Messi" / "federer.jpg")
    shutil.copy(raw / "Roger_Federer" / "000.jpg", raw / "Roger_Federer" / "copy.jpg")
    shutil.copy(people / "Maria_Sharapova" / "014.jpg", raw / "Lionel_Messi" / "no_face.jpg")
    (raw / "Lionel_Messi" / "cut.jpg").write_bytes((raw / "Lionel_Messi" / "000.jpg").read_bytes()[:9000])
    (raw / "The_Maestro").mkdir()
    for number in ("010", "012", "013", "014", "015"):
        shutil.copy(people / "Roger_Federer" / f"{number}.jpg", raw / "The_Maestro")


def test_photographs_in_order_are_told_so_with_exit_code_0(
    experiment: Experiment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor(experiment) == 0
    assert "0 errors, 0 warnings" in capsys.readouterr().out
    assert "Nothing was found" in (experiment.folder / "doctor" / "report.html").read_text()


def test_all_that_was_spoilt_is_found_moved_aside_and_found_no_more(
    experiment: Experiment, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(experiment, shared_data)
    before = sum(path.suffix == ".jpg" for path in experiment.folder.rglob("*"))
    assert doctor(experiment) == 3
    assert findings(experiment) == [
        ("unreadable", ("raw_dataset/Lionel_Messi/cut.jpg",)),
        ("wrong_person", ("raw_dataset/Lionel_Messi/federer.jpg",)),
        ("wrong_person", ("raw_dataset/Virat_Kohli/stranger.jpg",)),
        ("two_names", ()),
        ("folder_without_label", ()),
        ("duplicate", ("raw_dataset/Roger_Federer/copy.jpg",)),
        ("no_face", ("raw_dataset/Lionel_Messi/no_face.jpg",)),
    ]
    assert "it looks like The_Maestro" in capsys.readouterr().out
    assert not experiment.set_aside.exists()
    assert doctor(experiment, "--fix") == 3  # nobody but a person can say which name is right
    assert doctor(experiment) == 3
    assert findings(experiment) == [("two_names", ()), ("folder_without_label", ())]
    assert sum(path.suffix == ".jpg" for path in experiment.folder.rglob("*")) == before


def test_a_finding_that_was_accepted_counts_no_more_is_not_moved_and_counts_again_without_its_line(
    experiment: Experiment, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger = experiment.raw_dataset / "Virat_Kohli" / "stranger.jpg"
    shutil.copy(shared_data / "people" / "sports5" / "Virat_Kohli" / "016.jpg", stranger)
    assert doctor(experiment) == 3
    found = re.search(r"\[(\w+)\] Virat_Kohli/stranger.jpg", capsys.readouterr().out)
    assert found is not None
    accepted = experiment.folder / "doctor" / "accepted.csv"
    assert doctor(experiment, "--accept", found[1], "--accept", "0123456789ab", "--accept", "x") == 2
    said = capsys.readouterr().err
    assert "0123456789ab" in said
    assert "id x" in said
    assert not accepted.exists()
    assert doctor(experiment, "--accept", found[1]) == 0
    assert "0 errors, 0 warnings, 1 accepted" in capsys.readouterr().out
    assert "Accepted (1)" in (experiment.folder / "doctor" / "report.html").read_text()
    stranger.rename(stranger.with_name("renamed.jpg"))
    assert doctor(experiment, "--fix") == 0
    assert stranger.with_name("renamed.jpg").exists()
    header, line = accepted.read_text().splitlines()
    assert line.startswith(f"{found[1]},wrong_person,")
    accepted.write_text(f"{header}\n")
    assert doctor(experiment) == 3
    accepted.write_text(f"{header}\nabc,no_such_kind,text\nabc\n")
    capsys.readouterr()
    assert doctor(experiment) == 2
    told = capsys.readouterr().err
    assert "accepted.csv:2:" in told
    assert "accepted.csv:3:" in told


def test_what_is_on_both_sides_is_a_leak(experiment: Experiment) -> None:
    assert run(["prepare", experiment.name, "--workdir", str(experiment.workdir)]) == 0
    assert doctor(experiment) == 0
    crop = next(experiment.val_dataset.glob("*/*.jpg"))
    shutil.copy(crop, experiment.train_dataset / crop.parent.name / "by_hand.jpg")
    assert doctor(experiment) == 3
    assert findings(experiment) == [("leak", (str(crop.relative_to(experiment.folder)),))]


def test_labels_that_are_wrong_are_a_finding_and_keep_nothing_from_being_looked_at(experiment: Experiment) -> None:
    experiment.labels_file.write_text("Label,Index\nLionel_Messi,0\nRoger_Federer,0\nVirat_Kohli,2\n")
    assert doctor(experiment, "--json") == 3
    assert [kind for kind, _ in findings(experiment)] == ["labels", "folder_without_label"]
