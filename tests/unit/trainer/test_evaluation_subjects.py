"""Faces that are cut in another way than the network takes them are refused before any work."""

from pathlib import Path

import cv2
import pytest

from annotator.recognition.crops import ALIGNED, FaceCrop
from tests.made_up_faces import face_of
from trainer.cli import run
from trainer.dataset.cutting import crop_text
from trainer.dataset.listing import Sample, samples_text
from trainer.fitting.places import fitted_crop, keep_crop
from trainer.workdir import Experiment

BOX = FaceCrop("box", 224, 0.1)


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """An experiment with a crop to evaluate on, to which nothing is fitted; and strangers beside it."""
    places = Experiment("made_up", tmp_path / "workdir")
    crop = places.val_dataset / "Ada" / "1.png"
    for path in (crop, tmp_path / "strangers" / "1.png"):
        path.parent.mkdir(parents=True)
        cv2.imwrite(str(path), face_of(1))
    name = crop.relative_to(places.folder).as_posix()
    places.dataset_file.write_text(samples_text([Sample(name, "val", "Ada", 0, "1.png", "0", "1", 0, 112.0, None)]))
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    return places


def test_a_network_is_not_shown_crops_that_are_cut_otherwise_than_those_it_was_fitted_to(
    experiment: Experiment, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment.crop_file.write_text(crop_text(BOX))
    (experiment.folder / "model").mkdir()
    keep_crop(experiment)
    assert fitted_crop(experiment) == BOX
    experiment.crop_file.write_text(crop_text(ALIGNED))
    assert run(["evaluate", experiment.name, "--workdir", str(experiment.workdir)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "faces are cut as «aligned» with a margin of 0, and «box» with 0.1 is what the network takes" in said
    experiment.crop_file.unlink()
    keep_crop(experiment)
    assert fitted_crop(experiment) is None, "crops that were put there by hand"


@pytest.mark.parametrize(
    ("crop", "options", "message"),
    [
        (BOX, ["--strangers", "strangers"], "leave --strangers out"),
        (FaceCrop("aligned", 112, 0.2), ["--strangers", "strangers"], "leave --strangers out"),
        (BOX, [], "run `trainer fit` first"),
        (ALIGNED, ["--strangers", "strangers"], "run `trainer fit` first"),
        (BOX, ["--model", "starter"], "show it faces that are cut so"),
    ],
)
def test_crops_that_the_network_does_not_take_are_told_before_it_is_looked_for(
    experiment: Experiment, capsys: pytest.CaptureFixture[str], *, crop: FaceCrop, options: list[str], message: str
) -> None:
    experiment.crop_file.write_text(crop_text(crop))
    assert run(["evaluate", experiment.name, "--workdir", str(experiment.workdir), *options]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
