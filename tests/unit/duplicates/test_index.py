"""Among many clips those that may be one are found, however the index has grown."""

import numpy as np
import pytest

from annotator.duplicates.index import DuplicateIndex, kept_codes
from annotator.types import U8
from tests.drawn_scenes import drawn_scene, pictures_of


def _add(index: DuplicateIndex, clip: int, pictures: U8) -> None:
    codes = kept_codes(pictures)
    index.add(np.full(len(codes), clip), codes)


@pytest.fixture(scope="module")
def index() -> DuplicateIndex:
    """An index that has put some of its codes in order, more than once, and others not."""
    random = np.random.default_rng(0)
    found = DuplicateIndex()
    for clip in range(600):
        if clip % 50 == 0:
            _add(found, clip, pictures_of(drawn_scene(clip)))
        else:
            found.add(np.full(9, clip), random.integers(1 << 63, size=9, dtype=np.uint64))
    return found


@pytest.mark.parametrize("clip", range(0, 600, 50))
def test_a_changed_clip_is_found_first(index: DuplicateIndex, clip: int) -> None:
    scene = drawn_scene(clip)
    changed = {
        "same": scene,
        "mirrored": np.ascontiguousarray(scene[:, ::-1]),
        "cropped": scene[20:164, 30:286],
        "smaller": scene[::3, ::3],
        "cropped to another shape": scene[24:156, 20:276],
    }
    for name, picture in changed.items():
        nearby = index.find(pictures_of(picture))
        assert nearby[0] == clip, name


def test_codes_count_whether_in_order_or_waiting(index: DuplicateIndex) -> None:
    assert len(index) == 12 * len(kept_codes(pictures_of(drawn_scene(0)))) + 588 * 9


def test_a_clip_that_shows_nothing_is_near_none(index: DuplicateIndex) -> None:
    assert index.find(np.zeros((0, 18, 32), np.uint8)) == []
    assert DuplicateIndex().find(pictures_of(drawn_scene(1))) == []
