"""Faces that are cut in another way than the network takes them are refused before any work."""

from pathlib import Path

import cv2
import pytest

from annotator.errors import ConfigError
from annotator.recognition.crops import ALIGNED, FaceCrop
from tests.made_up_faces import face_of
from trainer.cli import run
from trainer.dataset.cutting import crop_text
from trainer.dataset.listing import Sample, samples_text
from trainer.export.faces import crop_of
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


def test_a_network_fitted_to_crops_cut_by_hand_is_not_shown_boxes_that_are_prepared_later(
    experiment: Experiment, capsys: pytest.CaptureFixture[str]
) -> None:
    (experiment.folder / "model").mkdir()
    keep_crop(experiment)
    assert fitted_crop(experiment) == ALIGNED
    assert crop_of(experiment, is_head=False) == ALIGNED
    experiment.crop_file.write_text(crop_text(BOX))
    assert run(["evaluate", experiment.name, "--workdir", str(experiment.workdir)]) == 2
    assert "«aligned» with 0 is what the network takes" in " ".join(capsys.readouterr().err.split())
    for is_head in (False, True):
        with pytest.raises(ConfigError, match="was fitted to «aligned» of 112 with 0: fit it again"):
            crop_of(experiment, is_head=is_head)


def test_the_note_beside_the_network_counts_where_that_of_the_crops_is_gone(experiment: Experiment) -> None:
    experiment.crop_file.write_text(crop_text(BOX))
    (experiment.folder / "model").mkdir()
    keep_crop(experiment)
    experiment.crop_file.unlink()
    assert crop_of(experiment, is_head=False) == BOX
    with pytest.raises(ConfigError, match="needs aligned crops without a margin"):
        crop_of(experiment, is_head=True)


def test_a_network_of_which_nothing_says_how_its_crops_were_cut_is_to_be_fitted_again(experiment: Experiment) -> None:
    with pytest.raises(ConfigError, match="run `trainer fit made_up --fresh`"):
        crop_of(experiment, is_head=False)
    assert crop_of(experiment, is_head=True) == ALIGNED


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
