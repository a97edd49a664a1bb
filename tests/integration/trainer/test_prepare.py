"""`trainer prepare` on real photographs: athletes among others, incremental, killed on the way."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.recognition.crops import FaceCrop
from annotator.recognition.photographs import read_picture
from trainer.cli import run
from trainer.dataset.listing import read_samples
from trainer.dataset.preparing import Prepared, PrepareParams, prepare
from trainer.dataset.splitting import Side, sides_text
from trainer.problems import ProblemsError
from trainer.workdir import Experiment

pytestmark = pytest.mark.shared

# Photographs with one face, with several, with two of which the person's is the smaller, without any, and one twice.
CHOSEN = {
    "Maria_Sharapova": ("000", "001", "002", "009", "010", "014", "016", "017"),
    "Roger_Federer": ("000", "003", "005", "006", "007", "020"),
}
ATHLETES = tuple(CHOSEN)
PROGRAM = "from trainer.cli import main; main()"

Make = Callable[[str], Experiment]


@pytest.fixture
def make(tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return what makes an experiment of a few photographs; networks are converted once for all tests."""

    def made(name: str) -> Experiment:
        experiment = Experiment(name, tmp_path / "workdir")
        for athlete, numbers in CHOSEN.items():
            folder = experiment.raw_dataset / athlete
            folder.mkdir(parents=True)
            for number in numbers:
                shutil.copy2(shared_data / "people" / "sports5" / athlete / f"{number}.jpg", folder)
        experiment.labels_file.write_text("Label,Index\nMaria_Sharapova,0\nRoger_Federer,4\n")
        return experiment

    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    return made


def prepared(experiment: Experiment, **params: object) -> Prepared:
    return prepare(experiment, PrepareParams(**params), device="cpu")  # type: ignore[arg-type] - of the tests


def everything(experiment: Experiment) -> dict[str, str]:
    """Return the digests of all crops and lists."""
    files = [
        *experiment.folder.glob("*_dataset/*/*.jpg"),
        *(experiment.split_file, experiment.dataset_file, experiment.left_out_file),
    ]
    return {
        str(path.relative_to(experiment.folder)): sha256(path.read_bytes()).hexdigest()
        for path in files
        if "raw_dataset" not in path.parts
    }


def test_everybody_gets_crops_on_both_sides_and_nobody_elses_face_is_taken(make: Make) -> None:
    experiment = make("athletes")
    done = prepared(experiment)
    samples = read_samples(experiment)
    assert done.looked_at == 13  # one of the 14 is the same file twice
    assert {(sample.label, sample.index) for sample in samples} == {("Maria_Sharapova", 0), ("Roger_Federer", 4)}
    assert {(sample.label, sample.side) for sample in samples} == {(n, s) for n in ATHLETES for s in ("train", "val")}
    by_photograph = {sample.photograph: sample for sample in samples}
    beside_another = by_photograph["Maria_Sharapova/009.jpg"]
    assert beside_another.face == 1  # a larger face is somebody else's
    assert beside_another.agreement is not None
    assert beside_another.agreement > 0.5
    left_out = {one.photograph: one.why for one in done.plan.left_out}
    assert left_out == {"Maria_Sharapova/014.jpg": "no clear face", "Roger_Federer/020.jpg": "repeated"}
    assert all(read_picture(experiment.folder / sample.crop).shape == (112, 112, 3) for sample in samples)
    assert {str(path.relative_to(experiment.folder)) for path in experiment.folder.glob("[tv]*_dataset/*/*")} == {
        sample.crop for sample in samples
    }


def test_only_what_is_new_is_looked_at_and_a_photograph_keeps_its_side(make: Make) -> None:
    experiment = make("athletes")
    late = experiment.raw_dataset / "Maria_Sharapova" / "000.jpg"
    late.rename(experiment.folder / "late.jpg")
    prepared(experiment)
    before = {sample.sha256: sample.side for sample in read_samples(experiment)}
    again = prepared(experiment)
    assert (again.looked_at, again.written, again.removed) == (0, 0, 0)
    (experiment.folder / "late.jpg").rename(late)
    late.with_name("001.jpg").rename(late.with_name("renamed.jpg"))
    third = prepared(experiment)
    assert third.looked_at == 1
    after = {sample.sha256: sample.side for sample in read_samples(experiment)}
    assert before.items() <= after.items()
    assert (third.written, third.removed) == (2, 1)  # the new one, and the renamed one under its new name
    turned: dict[str, Side] = {one: "train" if side == "val" else "val" for one, side in after.items()}
    experiment.split_file.write_text(sides_text(turned))  # what the file says holds, whatever the contents would give
    prepared(experiment)
    assert {sample.sha256: sample.side for sample in read_samples(experiment)} == turned


def test_near_duplicates_are_never_on_both_sides(make: Make) -> None:
    experiment = make("athletes")
    prepared(experiment)
    (val, *_) = (sample for sample in read_samples(experiment, side="val") if sample.label == "Roger_Federer")
    picture = read_picture(experiment.raw_dataset / val.photograph)
    mirrored = Image.fromarray(np.ascontiguousarray(picture[:, ::-1]))
    mirrored.resize((mirrored.width // 2, mirrored.height // 2)).save(
        experiment.raw_dataset / "Roger_Federer" / "near.jpg", quality=70
    )
    prepared(experiment)
    near = {sample.photograph: sample for sample in read_samples(experiment)}["Roger_Federer/near.jpg"]
    assert near.side == "val"


def test_a_crop_that_is_made_another_way_is_made_again_and_none_that_a_person_put_there_goes(make: Make) -> None:
    experiment = make("athletes")
    first = prepared(experiment)
    own = experiment.train_dataset / "Roger_Federer" / "by_hand.jpg"
    shutil.copy(experiment.raw_dataset / "Roger_Federer" / "000.jpg", own)
    boxes = prepared(experiment, crop=FaceCrop("box", 224, 0.1), takes_all_faces=True)
    assert boxes.looked_at == 0
    assert boxes.written == len(boxes.plan.samples) > len(first.plan.samples)
    assert read_picture(experiment.folder / boxes.plan.samples[0].crop).shape == (224, 224, 3)
    experiment.labels_file.write_text("Label,Index\nMaria_Sharapova,0\n")
    alone = prepared(experiment)
    assert {sample.label for sample in alone.plan.samples} == {"Maria_Sharapova"}
    assert list(own.parent.iterdir()) == [own]


def test_all_that_is_wrong_is_told_before_any_photograph_is_looked_at(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = make("athletes")
    experiment.labels_file.write_text("Label,Index\nMaria_Sharapova,x\n")
    (experiment.raw_dataset / "Roger_Federer" / "000.jpg").write_bytes(b"no picture")
    with pytest.raises(ProblemsError) as raised:
        prepared(experiment)
    assert [problem.path.name for problem in raised.value.problems] == ["labels.csv", "000.jpg"]
    assert not experiment.train_dataset.exists()
    assert run(["prepare", "athletes", "--workdir", str(experiment.workdir)]) == 2
    assert "labels.csv:2:" in capsys.readouterr().err


def test_a_kill_at_any_point_loses_nothing_and_the_next_run_comes_to_the_same(make: Make) -> None:
    undisturbed, killed = make("undisturbed"), make("killed")
    prepared(undisturbed)
    points: tuple[Callable[[], bool], ...] = (
        killed.findings_file.exists,  # before a photograph is looked at
        lambda: _known(killed) > 0,  # looked at, no crop yet
        lambda: any(killed.train_dataset.glob("*/*.jpg")),  # the first crop is there
    )
    for is_reached in points:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "prepare", "killed", "--workdir", str(killed.workdir)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
            stdout=subprocess.DEVNULL,
        )
        until_s = time.monotonic() + 300  # loading the networks takes a second, on a busy machine a minute
        while not is_reached() and process.poll() is None and time.monotonic() < until_s:
            time.sleep(0.005)
        assert is_reached()
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    prepared(killed)
    assert everything(killed) == everything(undisturbed)


def test_what_a_killed_run_left_half_written_goes_with_the_next_one(make: Make) -> None:
    experiment = make("athletes")
    done = prepared(experiment)
    crop = experiment.folder / done.plan.samples[0].crop
    half = crop.with_name(".0123456789abcdef.part.jpg")
    half.write_bytes(b"")
    with closing(sqlite3.connect(experiment.findings_file)) as connection, connection:
        connection.execute("UPDATE crops SET recipe = '' WHERE path = ?", (done.plan.samples[0].crop,))
    assert prepared(experiment).written == 1
    assert not half.exists()


def _known(experiment: Experiment) -> int:
    """Return how many contents have been looked at."""
    if not experiment.findings_file.exists():
        return 0
    with closing(sqlite3.connect(f"file:{experiment.findings_file}?mode=ro", uri=True)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM contents").fetchone()[0])
        except sqlite3.OperationalError:  # the tables are just being made
            return 0
