import csv
from pathlib import Path

from trainer.doctor.findings import Finding
from trainer.doctor.fixing import move_aside
from trainer.workdir import Experiment


def placed(folder: Path, *names: str) -> Experiment:
    experiment = Experiment("example", folder)
    for name in names:
        path = experiment.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return experiment


def test_files_are_moved_under_their_folders_and_a_list_says_from_where(tmp_path: Path) -> None:
    experiment = placed(tmp_path, "raw_dataset/A/1.jpg", "raw_dataset/B/1.jpg", "raw_dataset/B/2.jpg")
    findings = [
        Finding("wrong_person", "why", aside=("raw_dataset/A/1.jpg",)),
        Finding(
            "duplicate", "why, too", aside=("raw_dataset/B/1.jpg", "raw_dataset/A/1.jpg", "raw_dataset/B/gone.jpg")
        ),
    ]
    moves = move_aside(experiment, findings)
    assert moves == [
        ("raw_dataset/A/1.jpg", "set_aside/wrong_person/A/1.jpg"),
        ("raw_dataset/B/1.jpg", "set_aside/duplicate/B/1.jpg"),
    ]
    assert (experiment.set_aside / "wrong_person/A/1.jpg").read_text() == "raw_dataset/A/1.jpg"
    assert (experiment.raw_dataset / "B/2.jpg").exists()
    with (experiment.set_aside / "moved.csv").open(newline="") as file:
        assert [(row["from"], row["to"]) for row in csv.DictReader(file)] == moves


def test_what_was_moved_before_is_never_written_over(tmp_path: Path) -> None:
    experiment = placed(tmp_path, "raw_dataset/A/1.jpg", "set_aside/no_face/A/1.jpg")
    ((_, target),) = move_aside(experiment, [Finding("no_face", "why", aside=("raw_dataset/A/1.jpg",))])
    assert target == "set_aside/no_face/A/1_1.jpg"
    assert (experiment.folder / "set_aside/no_face/A/1.jpg").read_text() == "set_aside/no_face/A/1.jpg"
