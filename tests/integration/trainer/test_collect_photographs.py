"""The command on real photographs, with the real networks."""

import csv
import shutil
from pathlib import Path

import pytest

from annotator.errors import BusyError, ConfigError
from tests.integration.trainer.wikimedia_server import Wikimedia, serving
from trainer.collect.client import Pace
from trainer.collect.running import CollectOptions, collect_photographs, read_wanted
from trainer.labels import read_label_table
from trainer.problems import ProblemsError
from trainer.workdir import Experiment

QUICK = Pace(api_interval_s=0.0, picture_interval_s=0.0, tries=2, first_wait_s=0.01)


@pytest.mark.shared
@pytest.mark.slow
def test_the_right_face_of_real_photographs_is_taken_and_strays_of_others_are_refused(
    shared_data: Path, tmp_path: Path
) -> None:
    people = {name: shared_data / "people" / "sports5" / name for name in ("Roger_Federer", "Serena_Williams")}
    with serving(Wikimedia()) as wikimedia:
        for number, (label, folder) in enumerate(people.items()):
            name = label.replace("_", " ")
            wikimedia.add_person(f"Q{number + 1}", name, category=name, picture=f"{name} 0.jpg")
            for index, path in enumerate(sorted(folder.iterdir())[:6]):
                wikimedia.add_file(f"File:{name} {index}.jpg", path.read_bytes(), name)
        for index, path in enumerate(sorted(people["Serena_Williams"].iterdir())[6:8]):
            wikimedia.add_file(f"File:Stray {index}.jpg", path.read_bytes(), "Roger Federer")
        options = CollectOptions("jane@museum.nl", services=wikimedia.services(), pace=QUICK)
        experiment = Experiment("mine", tmp_path)
        assert collect_photographs(["Roger Federer", "Serena Williams"], experiment, options)
    with (experiment.folder / "credits.csv").open(encoding="utf-8", newline="") as file:
        credited = list(csv.DictReader(file))
    assert {row["label"] for row in credited} == set(people)
    assert len(credited) >= 10
    assert not any("Stray" in row["title"] for row in credited)
    assert all(float(row["agreement"]) >= 0.3 for row in credited)
    assert {label.text for label in read_label_table(experiment.labels_file).labels} == set(people)
    assert len(experiment.people_folders()) == 2


@pytest.mark.shared
def test_the_list_of_2306_labels_is_read_whole(shared_data: Path) -> None:
    table, people = read_wanted([str(shared_data / "giphy_labels.csv")])
    assert table is not None
    assert len(people) == 2306
    assert sum(one.kg_id is not None for one in people) == 2306


def test_all_that_is_wrong_with_a_list_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("Label,Index\nJane_Doe,x\n../../etc,1\n.hidden,2\nA|B,3\n")
    with pytest.raises(ProblemsError) as caught:
        read_wanted([str(path)])
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4, 5]


def test_a_person_named_twice_is_one_person() -> None:
    _, people = read_wanted(["Jane Doe", "Jane_Doe"])
    assert [one.label for one in people] == ["Jane_Doe"]


@pytest.mark.parametrize("contact", [None, "", "me", "jane@", "jane@example.com", "http://x", "a@b.nl\r\nX-Evil: 1"])
def test_without_an_address_of_the_user_nothing_is_begun(tmp_path: Path, contact: str | None) -> None:
    with pytest.raises(ConfigError, match="--contact"):
        collect_photographs(["Jane Doe"], Experiment("mine", tmp_path), CollectOptions(contact))
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_in_the_same_place_is_turned_away(tmp_path: Path) -> None:
    import fcntl  # noqa: PLC0415 - only here

    (tmp_path / "mine" / "collect").mkdir(parents=True)
    with (tmp_path / "mine" / "collect" / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="another process works in"):
            collect_photographs(["Jane Doe"], Experiment("mine", tmp_path), CollectOptions("jane@museum.nl"))
    shutil.rmtree(tmp_path / "mine")
