"""What is kept of a clip: its most different frames, without bars, whatever their light."""

import numpy as np
import pytest

from annotator.duplicates.glimpses import Glimpses
from annotator.duplicates.pictures import pack, unpack
from annotator.types import U8, Fingerprint
from tests.drawn_scenes import as_thumbnails, drawn_scene


def _fingerprint(thumbnails: U8) -> Fingerprint:
    glimpses = Glimpses()
    for number, one in enumerate(thumbnails):
        glimpses.add(one, 100 * number)
    return glimpses.fingerprint()


def test_a_still_scene_has_one_picture_and_a_clip_of_two_scenes_has_two() -> None:
    first, second = drawn_scene(1), drawn_scene(2)
    assert len(_fingerprint(as_thumbnails([first] * 9)).pictures) == 1
    both = _fingerprint(as_thumbnails([first] * 5 + [second] * 4))
    assert len(both.pictures) == 2
    assert both.pts_ms[1] >= 500 > both.pts_ms[0]


def test_what_shows_nothing_is_no_picture() -> None:
    flat = np.full((3, 36, 64, 3), 128, np.uint8)
    assert len(_fingerprint(flat).pictures) == 0
    assert len(Glimpses().fingerprint().pictures) == 0


@pytest.mark.parametrize("light", [0, 255])
def test_bars_above_and_below_are_cut_off(light: int) -> None:
    scene = drawn_scene(3)
    height = scene.shape[0] // 6
    bar = np.full((height, *scene.shape[1:]), light, np.uint8)
    plain = _fingerprint(as_thumbnails([scene])).pictures[0].astype(int)
    barred = _fingerprint(as_thumbnails([np.concatenate([bar, scene, bar])])).pictures[0].astype(int)
    assert np.corrcoef(plain.ravel(), barred.ravel())[0, 1] > 0.95


def test_light_and_contrast_do_not_change_pictures() -> None:
    scene = drawn_scene(4)
    dim = (scene // 2 + 60).astype(np.uint8)
    plain, dimmed = (_fingerprint(as_thumbnails([one])).pictures.astype(int) for one in (scene, dim))
    assert np.abs(plain - dimmed).max() <= 1


def test_a_long_film_keeps_few_samples_and_its_end() -> None:
    scenes = as_thumbnails([drawn_scene(seed) for seed in range(3)])
    glimpses = Glimpses()
    for number in range(1500):
        glimpses.add(scenes[number // 500], number)
    fingerprint = glimpses.fingerprint()
    assert len(fingerprint.pictures) == 3
    assert fingerprint.pts_ms[-1] >= 1000


def test_pictures_come_back_as_they_were_packed() -> None:
    pictures = _fingerprint(as_thumbnails([drawn_scene(5), drawn_scene(6)])).pictures
    assert len(pack(pictures)) == 2 * 288
    np.testing.assert_array_equal(unpack(pack(pictures)), pictures)
    assert unpack(b"").shape == (0, 18, 32)
