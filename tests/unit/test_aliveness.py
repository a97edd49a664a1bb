"""A picture that is moved about does not change inside; a face whose mouth or eyes move does.

A picture in a clip is one that does not change while the frame around it does.
"""

import cv2
import numpy as np
import pytest

from annotator.aliveness import frame_change, inner_change, is_picture
from annotator.types import U8

SIDE = 112
PICTURES = range(6)


def large_face(seed: int) -> U8:
    """Draw something with detail at all sizes, less of it the finer, as faces have: u8 (448, 448, 3)."""
    rng = np.random.default_rng(seed)
    picture = np.full((448, 448, 3), 128.0)
    for side in (7, 14, 28, 56, 112):
        picture += cv2.resize(rng.normal(0, 350 / side, (side, side, 3)), (448, 448), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 255).astype(np.uint8)


def crop(
    face: U8,
    *,
    shift_px: float = 0.0,
    turn_deg: float = 0.0,
    zoom: float = 1.0,
    shear: float = 0.0,
    light: tuple[float, float] = (1.0, 0.0),
    noise: float = 0.0,
) -> U8:
    """Return the crop of a picture that is seen anew: moved, lit otherwise, with a camera's noise."""
    turn = np.deg2rad(turn_deg)
    linear = zoom / 4 * np.array([[np.cos(turn), -np.sin(turn) + shear], [np.sin(turn), np.cos(turn)]])
    shift = np.full(2, (SIDE - 1) / 2 + shift_px) - linear @ np.full(2, 223.5)
    seen = cv2.warpAffine(face, np.hstack([linear, shift[:, None]]), (SIDE, SIDE), flags=cv2.INTER_AREA)
    lit = seen * light[0] + light[1] + np.random.default_rng(9).normal(0, noise, seen.shape)
    return np.clip(lit, 0, 255).astype(np.uint8)


def with_open_mouth(face: U8) -> U8:
    """Return the picture with a dark place where a mouth may be."""
    opened = face.copy()
    cv2.ellipse(opened, (224, 340), (70, 40), 0, 0, 360, (40, 20, 20), -1)
    return opened


def change(first: U8, *others: U8) -> float:
    measured = inner_change(np.stack([first, *others]))
    assert measured is not None
    return measured


@pytest.mark.parametrize("seed", PICTURES)
def test_equal_faces_do_not_change(seed: int) -> None:
    face = crop(large_face(seed))
    assert change(face, face, face) < 0.002


@pytest.mark.parametrize("seed", PICTURES)
@pytest.mark.parametrize(
    "seen", [{"shift_px": 2.5}, {"turn_deg": 4.0}, {"zoom": 1.06}, {"shear": 0.05}, {"light": (0.6, 40.0)}]
)
def test_a_picture_that_is_moved_or_lit_otherwise_hardly_changes(seed: int, seen: dict[str, float]) -> None:
    face = large_face(seed)
    moved = crop(face, **seen)  # type: ignore[arg-type]  # one name of several types
    plain = np.abs(crop(face).astype(float) - moved).std() / crop(face).astype(float).std()
    assert change(crop(face), moved) < min(0.06, 0.3 * plain)


@pytest.mark.parametrize("seed", PICTURES)
def test_a_mouth_that_opens_is_a_change_even_of_a_face_that_is_moved_as_well(seed: int) -> None:
    face = large_face(seed)
    assert change(crop(face), crop(with_open_mouth(face))) > 0.2
    assert change(crop(face), crop(with_open_mouth(face), shift_px=1.5, turn_deg=3.0)) > 0.2


def test_more_noise_is_more_change() -> None:
    face = large_face(1)
    changes = [change(crop(face), crop(face, noise=noise)) for noise in (0.0, 4.0, 20.0)]
    assert changes == sorted(changes)
    assert changes[1] < 0.06 < changes[2]


def test_the_face_that_differs_most_counts() -> None:
    face = large_face(2)
    still, opened = crop(face, shift_px=1.0), crop(with_open_mouth(face))
    assert change(crop(face), still, opened, still) == pytest.approx(change(crop(face), opened), abs=1e-5)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_faces_cannot_tell(count: int) -> None:
    assert inner_change(np.zeros((count, SIDE, SIDE, 3), np.uint8)) is None


@pytest.mark.parametrize(("first", "second"), [(0, 0), (255, 0), (90, 91)])
def test_faces_in_which_nothing_is_seen_do_not_change(first: int, second: int) -> None:
    faces = np.stack([np.full((SIDE, SIDE, 3), value, np.uint8) for value in (first, second)])
    assert change(*faces) == 0.0


def test_a_blank_face_says_nothing_about_another() -> None:
    assert change(np.zeros((SIDE, SIDE, 3), np.uint8), crop(large_face(3))) == pytest.approx(1.0, abs=0.01)


def test_faces_are_not_written_to() -> None:
    faces = np.stack([crop(large_face(4)), crop(large_face(5))])
    faces.flags.writeable = False
    before = faces.copy()
    inner_change(faces)
    np.testing.assert_array_equal(faces, before)


def shown(*frames: U8) -> U8:
    """Return frames made small, as the tracker keeps them: u8 (K, 36, 64, 3)."""
    return np.stack([cv2.resize(frame, (64, 36), interpolation=cv2.INTER_AREA) for frame in frames])


def with_somebody_at(left_px: int, scene: U8) -> U8:
    """Return the scene with somebody dark in it, a sixth of its width wide."""
    peopled = scene.copy()
    peopled[100:, left_px : left_px + 75] = (30, 20, 10)
    return peopled


def with_caption(scene: U8) -> U8:
    """Return the scene with white letters below."""
    written = scene.copy()
    cv2.putText(written, "WHEN YOU SEE IT", (20, 430), cv2.FONT_HERSHEY_DUPLEX, 1.4, (255, 255, 255), 3)
    return written


SCENES = range(10, 14)
POSTER = np.stack([crop(large_face(1), shift_px=shift_px) for shift_px in (0.0, 0.6, -0.8)])
TALKING = np.stack([crop(large_face(1)), crop(with_open_mouth(large_face(1))), crop(large_face(1))])


@pytest.mark.parametrize("seed", SCENES)
def test_a_photograph_that_comes_nearer_or_gets_a_caption_is_a_frame_that_hardly_changes(seed: int) -> None:
    scene = large_face(seed)
    nearer = scene[14:-14, 14:-14]
    assert frame_change(shown(scene, with_caption(scene), nearer)) == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("seed", SCENES)
def test_a_photograph_that_a_camera_goes_far_over_hardly_changes(seed: int) -> None:
    scene = large_face(seed)
    change = frame_change(shown(*(scene[60:330, left_px : left_px + 330] for left_px in (0, 50, 100))))
    assert change == pytest.approx(0.0, abs=0.03)


def test_frames_that_share_too_little_have_changed() -> None:
    assert frame_change(shown(large_face(12), large_face(13))) == pytest.approx(1.0, abs=0.5)


@pytest.mark.parametrize("seed", SCENES)
def test_somebody_who_walks_through_a_scene_changes_the_frame(seed: int) -> None:
    scene = large_face(seed)
    change = frame_change(shown(with_somebody_at(60, scene), with_somebody_at(200, scene)))
    assert change is not None
    assert change > 0.1


def test_one_frame_cannot_tell() -> None:
    assert frame_change(shown(large_face(1))) is None


def test_faces_that_are_one_picture_where_other_things_move_are_a_picture_in_a_clip() -> None:
    walking = shown(*(with_somebody_at(left_px, large_face(11)) for left_px in (60, 150, 240)))
    assert is_picture(POSTER, walking) is True


def test_a_photograph_that_is_shown_as_a_clip_is_no_picture_in_a_clip() -> None:
    scene = large_face(11)
    assert is_picture(POSTER, shown(scene, with_caption(scene), scene)) is False


def test_a_face_that_changes_is_no_picture() -> None:
    walking = shown(*(with_somebody_at(left_px, large_face(11)) for left_px in (60, 150, 240)))
    assert is_picture(TALKING, walking) is False


@pytest.mark.parametrize(("faces", "expected"), [(POSTER[:1], None), (POSTER[:2], None), (TALKING[:2], False)])
def test_two_faces_can_tell_only_that_they_are_no_picture(*, faces: U8, expected: bool | None) -> None:
    walking = shown(*(with_somebody_at(left_px, large_face(11)) for left_px in (60, 150)))
    assert is_picture(faces, walking[: len(faces)]) is expected
