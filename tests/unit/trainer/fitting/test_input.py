"""Which crops there are, in which order they come, and how they are read."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from annotator.errors import InputError
from trainer.augmentation import Augmentation
from trainer.fitting.input import crop_folders, epoch_order, list_crops, read_crop


def _write(path: Path, side_px: int = 112, red: int = 200) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.zeros((side_px, side_px, 3), np.uint8)
    picture[..., 2] = red  # OpenCV writes BGR
    cv2.imwrite(str(path), picture)


def test_people_without_crops_and_hidden_folders_are_no_people(tmp_path: Path) -> None:
    _write(tmp_path / "Zoe" / "1.jpg")
    _write(tmp_path / "Ann" / "1.jpg")
    _write(tmp_path / ".cache" / "1.jpg")
    (tmp_path / "Nobody").mkdir()

    assert crop_folders(tmp_path) == ("Ann", "Zoe")
    assert crop_folders(tmp_path / "absent") == ()


def test_the_class_of_a_crop_is_the_place_of_its_person(tmp_path: Path) -> None:
    for name in ("Ann/2.jpg", "Ann/1.jpg", "Zoe/1.png"):
        _write(tmp_path / name)
    (tmp_path / "Ann" / "notes.txt").write_text("no picture")

    crops = list_crops(tmp_path, ["Zoe", "Absent", "Ann"], side_px=64, augmentation=Augmentation())

    assert [path.name for path in crops.files] == ["1.png", "1.jpg", "2.jpg"]
    assert crops.labels.tolist() == [0, 2, 2]


def test_crops_are_rgb_and_brought_to_the_side_of_the_network(tmp_path: Path) -> None:
    for side_px in (50, 112, 300):
        _write(tmp_path / "1.png", side_px)
        crop = read_crop(tmp_path / "1.png", 112)

        assert crop.shape == (112, 112, 3)
        assert crop[50, 50].tolist() == [200, 0, 0]


def test_what_is_no_picture_is_told_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"no picture")
    (tmp_path / "2.jpg").write_bytes(b"")

    for name in ("1.jpg", "2.jpg", "3.jpg"):
        with pytest.raises(InputError, match=name):
            read_crop(tmp_path / name, 112)


def test_an_epoch_takes_all_samples_in_an_order_that_seed_and_epoch_decide() -> None:
    first = epoch_order(100, seed=1, epoch=0)

    assert sorted(first.tolist()) == list(range(100))
    assert np.array_equal(first, epoch_order(100, seed=1, epoch=0))
    assert not np.array_equal(first, epoch_order(100, seed=1, epoch=1))
    assert not np.array_equal(first, epoch_order(100, seed=2, epoch=0))


def test_a_crop_is_changed_in_the_same_way_in_the_same_epoch_only(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    (tmp_path / "Ann").mkdir()
    cv2.imwrite(str(tmp_path / "Ann" / "1.png"), picture)
    crops = list_crops(tmp_path, ["Ann"], side_px=112, augmentation=Augmentation(rate=1.0))

    assert np.array_equal(crops.read(0, (5, 0)), crops.read(0, (5, 0)))
    assert not np.array_equal(crops.read(0, (5, 0)), crops.read(0, (5, 1)))
    assert np.array_equal(crops.read(0, None), picture[..., ::-1])
