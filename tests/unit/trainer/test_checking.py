import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.errors import ConfigError
from trainer.checking import check_experiment
from trainer.cli import run
from trainer.problems import ProblemsError
from trainer.workdir import Experiment, open_experiment


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    """Return an experiment of two people with a photograph each."""
    places = Experiment("example", tmp_path / "workdir")
    for number, name in enumerate(("Brad_Pitt", "Lenna")):
        folder = places.raw_dataset / name
        folder.mkdir(parents=True)
        noise = np.random.default_rng(number).integers(0, 255, (90, 120, 3), np.uint8)
        Image.fromarray(noise).save(folder / "image1.jpg")
    places.labels_file.write_text("Label,Index\nBrad_Pitt,0\nLenna,1\n")
    return places


def problems_of(experiment: Experiment) -> list[str]:
    with pytest.raises(ProblemsError) as raised:
        check_experiment(experiment)
    return [str(problem) for problem in raised.value.problems]


def test_an_experiment_in_order_is_told_so(experiment: Experiment, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "example.py", "--workdir", str(experiment.workdir)]) == 0
    assert "2 photographs of 2 people, 2 labels" in capsys.readouterr().err.replace("\n", "")


def test_all_that_is_wrong_is_told_in_one_go_with_exit_code_2(
    experiment: Experiment, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment.labels_file.write_text("Label,Index\nBrad_Pitt,0\nBrad_Pitt,1\n")
    (experiment.raw_dataset / "Nobody").mkdir()
    whole = (experiment.raw_dataset / "Lenna" / "image1.jpg").read_bytes()
    (experiment.raw_dataset / "Lenna" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (experiment.raw_dataset / "Lenna" / "text.png").write_text("no picture")
    (experiment.workdir / "face_detection").mkdir()
    (experiment.workdir / "face_detection" / "det1.npy").write_bytes(b"nothing")
    assert run(["check", "example", "--workdir", str(experiment.workdir)]) == 2
    told = capsys.readouterr().err.splitlines()
    for place in ("labels.csv:3:", "Nobody:", "cut.jpg:", "text.png:", "det1.npy:", "det2.npy:", "det3.npy:"):
        assert any(place in line for line in told), place
    assert "7 problems" in told[-1]


def test_labels_without_folders_and_folders_without_labels_are_remarked(
    experiment: Experiment, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment.labels_file.write_text("Label,Index\nBrad_Pitt,0\nGrace_Kelly,4\n")
    check_experiment(experiment)
    told = capsys.readouterr().err
    assert "Grace_Kelly has no folder" in told
    assert "Lenna: labels.csv does not name it" in told


def test_a_damaged_photograph_is_found_though_it_is_decoded_small(experiment: Experiment) -> None:
    path = experiment.raw_dataset / "Lenna" / "image1.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (900, 1200, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-20000])
    assert [str(path) in told for told in problems_of(experiment)] == [True]


def test_labels_are_written_where_there_are_none_and_never_over_others(experiment: Experiment) -> None:
    before = experiment.labels_file.read_text()
    check_experiment(experiment, writes_labels=True)
    assert experiment.labels_file.read_text() == before
    experiment.labels_file.unlink()
    check_experiment(experiment, writes_labels=True)
    assert experiment.labels_file.read_text() == "Label,Index\nBrad_Pitt,0\nLenna,1\n"


def test_an_experiment_that_is_not_there_is_told_with_those_that_are(experiment: Experiment, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there: example\)"):
        open_experiment("exmple", experiment.workdir)
    with pytest.raises(ConfigError, match="--workdir"):
        open_experiment("example", tmp_path / "none")


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    probe = (
        "import sys; from trainer.cli import run; run(['--help']);"
        "print(sorted({'cv2', 'keras', 'tensorflow', 'openvino', 'numpy', 'sqlalchemy'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.splitlines()[-1] == "[]"
