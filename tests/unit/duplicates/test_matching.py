"""Clips that are one are told from others, and what was done to them is said."""

import cv2
import numpy as np
import pytest

from annotator.duplicates.faces import faces_agree
from annotator.duplicates.matching import Match, Sought, match_clips
from annotator.types import U8, TrackEvidence
from tests.drawn_scenes import drawn_scene, pictures_of


def _cropped(scene: U8) -> U8:
    return scene[10:154, 50:306]


def _captioned(scene: U8) -> U8:
    written = scene.copy()
    cv2.putText(written, "WHEN YOU SEE IT", (20, 165), cv2.FONT_HERSHEY_DUPLEX, 1.0, (255, 255, 255), 3)
    return written


def _mirrored(scene: U8) -> U8:
    return np.ascontiguousarray(scene[:, ::-1])


@pytest.mark.parametrize("seed", range(10, 20))
def test_what_was_done_to_a_clip_is_found(seed: int) -> None:
    scene = drawn_scene(seed)
    plain = pictures_of(scene)
    changed = {
        (): scene[::2, ::2],
        ("cropped",): _cropped(scene),
        ("mirrored",): _mirrored(scene),
        ("mirrored", "cropped"): _cropped(_mirrored(scene)),
    }
    for changes, picture in changed.items():
        match = match_clips(Sought.of(pictures_of(picture)), plain)
        assert match is not None
        assert match.is_one
        assert match.changes() == changes
        assert match.is_whole == ("cropped" not in changes)


def test_a_crop_says_how_much_of_the_other_it_shows() -> None:
    match = match_clips(Sought.of(pictures_of(_cropped(drawn_scene(1)))), pictures_of(drawn_scene(1)))
    assert match is not None
    assert match.width == pytest.approx(0.8, abs=0.03)
    assert match.height == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("seed", range(5))
def test_a_caption_does_not_make_another_clip(seed: int) -> None:
    match = match_clips(Sought.of(pictures_of(_captioned(drawn_scene(seed)))), pictures_of(drawn_scene(seed)))
    assert match is not None
    assert match.is_one


def _with_a_bar(scene: U8, *, is_above: bool) -> U8:
    """A line on a grey bar: not white enough to be cut off, so that the scene beside it is squeezed."""
    bar = np.full((36, 320, 3), 190, np.uint8)
    cv2.putText(bar, "WHEN YOU SEE IT", (40, 28), cv2.FONT_HERSHEY_DUPLEX, 0.9, (0, 0, 0), 2)
    return np.concatenate([bar, scene] if is_above else [scene, bar])


@pytest.mark.parametrize("is_above", [False, True])
@pytest.mark.parametrize("seed", range(60, 66))
def test_a_bar_with_a_line_on_it_does_not_make_another_clip(seed: int, *, is_above: bool) -> None:
    scene = drawn_scene(seed)
    plain, barred = pictures_of(scene), pictures_of(_with_a_bar(scene, is_above=is_above))
    for one, other, height in ((barred, plain, 1.2), (plain, barred, 1 / 1.2)):
        match = match_clips(Sought.of(one), other)
        assert match is not None
        assert match.is_one
        assert match.height == pytest.approx(height, abs=0.05)
        assert match.width == pytest.approx(1.0, abs=0.05)


def test_clips_that_have_little_in_common_must_be_more_alike() -> None:
    def match(likeness: float, cover: float) -> Match:
        return Match(likeness, False, 1.25, 1.25, cover, 1.0, 1.0)

    assert match(0.925, 0.64).is_one
    assert not match(0.925, 0.4).is_one
    assert match(0.945, 0.4).is_one


def test_other_scenes_are_other_clips() -> None:
    clips = [pictures_of(drawn_scene(seed)) for seed in range(30, 42)]
    matches = [match_clips(Sought.of(one), other) for number, one in enumerate(clips) for other in clips[:number]]
    assert len(matches) == 66
    assert not any(match is not None and match.is_one for match in matches)


def test_half_of_a_clip_is_trimmed_and_is_found_from_both_sides() -> None:
    scenes = [drawn_scene(seed) for seed in range(50, 54)]
    whole, half = pictures_of(*scenes), pictures_of(*scenes[:2])
    for one, other in ((whole, half), (half, whole)):
        match = match_clips(Sought.of(one), other)
        assert match is not None
        assert match.is_one
        assert match.changes() == ("trimmed",)


def test_a_clip_that_shows_nothing_is_no_other() -> None:
    nothing = pictures_of(np.zeros((90, 160, 3), np.uint8))
    assert match_clips(Sought.of(nothing), pictures_of(drawn_scene(1))) is None
    assert match_clips(Sought.of(pictures_of(drawn_scene(1))), nothing) is None


def _track(person: int, *, face_px: float = 80.0) -> TrackEvidence:
    embeddings = np.eye(8, dtype=np.float16)[[person, person]]
    return TrackEvidence(embeddings, np.full(2, face_px, np.float16), np.full(2, 0.8, np.float16))


def test_another_face_speaks_against_it_and_a_missing_one_does_not() -> None:
    assert not faces_agree([_track(0)], [_track(1)], is_whole=True)
    assert not faces_agree([_track(0)], [_track(1)], is_whole=False)
    assert faces_agree([], [_track(1)], is_whole=True)


def test_small_faces_speak_only_where_a_clip_has_no_clear_one() -> None:
    small = _track(1, face_px=20.0)
    assert not faces_agree([_track(0)], [small], is_whole=True)
    assert faces_agree([_track(0), _track(1)], [small], is_whole=True)
    assert faces_agree([_track(0)], [_track(0), small], is_whole=True)
    assert not faces_agree([_track(0), small], [_track(2), small], is_whole=True)


def test_a_face_that_is_like_one_of_a_turning_head_is_enough() -> None:
    turning = TrackEvidence(
        np.eye(8, dtype=np.float16)[[0, 5, 6, 7]], np.full(4, 80.0, np.float16), np.full(4, 0.8, np.float16)
    )
    assert faces_agree([turning], [_track(7)], is_whole=True)
    assert faces_agree([_track(7), _track(1)], [turning, _track(1)], is_whole=True)
    assert not faces_agree([_track(7), _track(1)], [turning, _track(2)], is_whole=True)


def test_of_small_faces_one_that_is_in_both_is_enough() -> None:
    one = [_track(0, face_px=20.0), _track(1, face_px=20.0)]
    other = [_track(1, face_px=20.0), _track(2, face_px=20.0)]
    assert faces_agree(one, other, is_whole=True)


def test_most_clear_faces_of_whole_clips_must_be_in_both() -> None:
    three = [_track(0), _track(1), _track(2)]
    assert faces_agree(three, [_track(0), _track(1), _track(3)], is_whole=True)
    assert not faces_agree(three, [_track(0), _track(3), _track(4)], is_whole=True)
    assert not faces_agree(three[:2], [_track(0), _track(3)], is_whole=True)


def test_faces_that_were_cut_away_speak_against_whole_clips_only() -> None:
    assert not faces_agree([_track(0), _track(1)], [_track(1), _track(2)], is_whole=True)
    assert faces_agree([_track(0), _track(1)], [_track(1), _track(2)], is_whole=False)
