"""Changes to training photographs."""

import numpy as np
import pytest

from annotator.errors import ConfigError
from annotator.types import U8
from trainer.augmentation import _CHANGES, Augmentation, augment


def _picture(side_px: int = 112) -> U8:
    picture = np.random.default_rng(7).integers(0, 256, (side_px, side_px, 3), np.uint8)
    picture[: side_px // 2] //= 2
    return picture


def _augment(augmentation: Augmentation, seed: int, picture: U8 | None = None) -> U8:
    return augment(_picture() if picture is None else picture, augmentation, np.random.default_rng(seed))


def test_the_same_seed_changes_a_picture_in_the_same_way_and_another_one_differently() -> None:
    always = Augmentation(rate=1.0)

    assert np.array_equal(_augment(always, 3), _augment(always, 3))
    assert not np.array_equal(_augment(always, 3), _augment(always, 4))


def test_the_rate_is_the_share_of_pictures_that_are_changed() -> None:
    changed = sum(not np.array_equal(_augment(Augmentation(rate=0.3), seed), _picture()) for seed in range(300))

    assert 60 <= changed <= 120


def test_a_rate_of_zero_leaves_all_pictures() -> None:
    assert all(np.array_equal(_augment(Augmentation(rate=0.0), seed), _picture()) for seed in range(20))


@pytest.mark.parametrize("side_px", [1, 2, 31, 112, 224])
def test_changes_keep_shape_and_type_at_any_size(side_px: int) -> None:
    for seed in range(20):
        changed = _augment(Augmentation(rate=1.0, changes=(7, 7)), seed, _picture(side_px))

        assert (changed.shape, changed.dtype) == ((side_px, side_px, 3), np.uint8)


@pytest.mark.parametrize("index", range(7))
def test_each_change_changes_something_and_leaves_the_picture_that_it_was_given(index: int) -> None:
    picture = _picture().astype(np.float32)
    before = picture.copy()

    results = [_CHANGES[index](picture, Augmentation(), np.random.default_rng(seed)) for seed in range(20)]

    assert any(not np.array_equal(result, before) for result in results)
    assert np.array_equal(picture, before)


def test_a_picture_is_turned_by_ten_degrees_at_most() -> None:
    # A point far from the centre of a turned picture moves along a circle.
    picture = np.zeros((201, 201, 3), np.float32)
    picture[100, 190] = 255.0
    angles = []
    for seed in range(100):
        row, column = np.unravel_index(
            _CHANGES[0](picture, Augmentation(), np.random.default_rng(seed))[..., 0].argmax(), (201, 201)
        )
        angles.append(abs(np.degrees(np.arctan2(100 - row, column - 100))))

    assert 8 < max(angles) < 10.7  # half a pixel at a distance of 90 is 0.3 degrees


def test_impossible_ranges_are_refused() -> None:
    with pytest.raises(ConfigError, match="rate of augmentation"):
        Augmentation(rate=1.5)
    with pytest.raises(ConfigError, match="two ascending numbers"):
        Augmentation(changes=(5, 4))
