"""Better faces measure better."""

import cv2
import numpy as np
import pytest

from annotator.quality import SHARP_DETAIL, face_quality, frontality, quality_parts, sharpness, visible_share
from annotator.types import F32, U8

FRONTAL = np.array([[38, 51], [74, 51], [56, 72], [41, 92], [71, 92]], np.float32)


def portrait() -> U8:
    """Draw something with detail at all sizes, less of it the finer, as pictures have."""
    rng = np.random.default_rng(5)
    picture = np.full((112, 112, 3), 128.0)
    for side in (7, 14, 28, 56, 112):
        detail = rng.normal(0, 500 / side, (side, side, 3)).astype(np.float32)
        picture += cv2.resize(detail, (112, 112))
    return np.clip(picture, 0, 255).astype(np.uint8)


def enlarged_from(side_px: int) -> U8:
    small = cv2.resize(portrait(), (side_px, side_px), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (112, 112), interpolation=cv2.INTER_LINEAR), np.uint8)


def turned(nose_shift_px: float) -> F32:
    landmarks = FRONTAL.copy()
    landmarks[2, 0] += nose_shift_px
    return landmarks


def quality_of(face: U8, *, face_px: float = 112, landmarks: F32 = FRONTAL, score: float = 1.0) -> float:
    return float(
        face_quality(
            face[None],
            face_px=np.array([face_px], np.float32),
            landmarks_xy=landmarks[None],
            scores=np.array([score], np.float32),
        )[0]
    )


def test_the_smaller_the_original_the_lower_the_sharpness() -> None:
    measured = sharpness(np.stack([enlarged_from(side) for side in (112, 64, 48, 32, 24)]))
    assert (np.diff(measured) < 0).all()


def test_sharpness_does_not_depend_on_light_and_contrast() -> None:
    face = enlarged_from(40)
    pale = (face * 0.6 + 60).astype(np.uint8)
    plain, changed = sharpness(np.stack([face, pale]))
    assert changed == pytest.approx(plain, rel=0.1)


def test_many_faces_measure_as_each_alone() -> None:
    faces = np.stack([enlarged_from(side) for side in (112, 24, 64)])
    np.testing.assert_array_equal(sharpness(faces), np.concatenate([sharpness(face[None]) for face in faces]))


def test_detail_is_what_a_blur_of_the_face_alone_removes() -> None:
    face = enlarged_from(64)
    face[:20] = 255 - face[:20]  # an edge near the border of what is looked at
    luma = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)[16:96, 16:96].astype(np.float32)
    detail = (luma - cv2.GaussianBlur(luma, (5, 5), 0)).std() / luma.std()
    assert sharpness(face[None])[0] == pytest.approx(min(detail / SHARP_DETAIL, 1), abs=1e-6)
    assert 0 < detail < SHARP_DETAIL


def test_a_flat_picture_is_not_sharp() -> None:
    assert sharpness(np.full((1, 112, 112, 3), 128, np.uint8))[0] == 0


def test_a_turned_head_is_less_frontal_whichever_way_it_turns() -> None:
    values = frontality(np.stack([turned(shift) for shift in (-40, -15, 0, 15, 40)]))
    assert values[2] == 1
    assert values[0] == values[4] == 0
    assert values[1] == pytest.approx(values[3], abs=0.05)
    assert 0 < values[1] < 1


def test_frontality_does_not_depend_on_roll_and_scale() -> None:
    angle = np.deg2rad(30)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    shifted = turned(15)
    assert frontality((shifted @ rotation.T * 3)[None])[0] == pytest.approx(frontality(shifted[None])[0], abs=1e-4)


@pytest.mark.parametrize(
    "worse",
    [
        {"face_px": 40.0},
        {"landmarks": turned(20)},
        {"score": 0.7},
    ],
)
def test_each_measure_lowers_the_quality(worse: dict[str, float]) -> None:
    assert quality_of(portrait(), **worse) < quality_of(portrait())  # type: ignore[arg-type]


def test_quality_is_between_zero_and_one_and_empty_for_no_faces() -> None:
    assert 0 < quality_of(portrait()) <= 1
    none = face_quality(
        np.zeros((0, 112, 112, 3), np.uint8),
        face_px=np.zeros(0, np.float32),
        landmarks_xy=np.zeros((0, 5, 2), np.float32),
        scores=np.zeros(0, np.float32),
    )
    assert none.shape == (0,)


def test_a_face_cut_off_by_the_border_is_less_visible_and_poorer() -> None:
    boxes = np.array([[10, 10, 50, 50], [-20, 10, 20, 50], [90, 90, 130, 130], [200, 200, 240, 240]], np.float32)
    visible = visible_share(boxes, width_px=100, height_px=100)
    assert visible.tolist() == pytest.approx([1, 0.5, 1 / 16, 0])
    whole, cut = face_quality(
        np.stack([portrait()] * 2),
        face_px=np.full(2, 112, np.float32),
        landmarks_xy=np.stack([FRONTAL] * 2),
        scores=np.ones(2, np.float32),
        visible=visible[:2],
    )
    assert cut < whole


def test_the_quality_is_the_fourth_root_of_the_product_of_its_parts() -> None:
    parts = quality_parts(
        np.stack([portrait(), enlarged_from(40)]),
        face_px=np.array([200, 40], np.float32),
        landmarks_xy=np.stack([FRONTAL, turned(20)]),
        scores=np.array([0.98, 0.8], np.float32),
        visible=np.array([1.0, 0.5], np.float32),
    )
    assert parts.size.tolist() == [1.0, pytest.approx(40 / 112)]
    assert parts.score.tolist() == pytest.approx([0.98, 0.8])
    assert parts.visible.tolist() == [1.0, 0.5]
    assert 0.2 < parts.pose[1] < parts.pose[0] == 1
    product = parts.size * parts.sharpness * parts.pose * parts.visible * parts.score
    assert parts.quality.tolist() == pytest.approx((product**0.25).tolist())
