"""Faces are cut out so that their landmarks lie on the template."""

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from annotator.recognition.alignment import (
    ARCFACE_TEMPLATE_XY,
    FACE_SIDE_PX,
    align_faces,
    alignment_matrices,
    face_sizes_px,
)


def moved_template(scale: float, turn: float, shift_x: float, shift_y: float) -> np.ndarray:
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = scale * ARCFACE_TEMPLATE_XY @ rotation.T + (shift_x, shift_y)
    return moved.astype(np.float32)


@given(st.floats(0.2, 8), st.floats(-3, 3), st.floats(-500, 500), st.floats(-500, 500))
def test_any_turned_scaled_and_shifted_template_is_brought_back(
    scale: float, turn: float, shift_x: float, shift_y: float
) -> None:
    landmarks = moved_template(scale, turn, shift_x, shift_y)
    matrices = alignment_matrices(landmarks[None])
    back = landmarks @ matrices[0, :, :2].T + matrices[0, :, 2]
    np.testing.assert_allclose(back, ARCFACE_TEMPLATE_XY, atol=0.02)
    np.testing.assert_allclose(face_sizes_px(matrices), FACE_SIDE_PX * scale, rtol=1e-3)


def test_the_transform_is_the_least_squares_one_of_scikit_image() -> None:
    random = np.random.default_rng(5)
    landmarks = moved_template(1.7, 0.3, 40, 25) + random.normal(0, 3, (5, 2)).astype(np.float32)
    from skimage.transform import SimilarityTransform  # noqa: PLC0415 - slow to import

    expected = SimilarityTransform.from_estimate(landmarks.astype(np.float64), ARCFACE_TEMPLATE_XY.astype(np.float64))
    np.testing.assert_allclose(alignment_matrices(landmarks[None])[0], expected.params[:2], atol=1e-9)


def test_all_faces_of_a_frame_give_what_each_gives_alone() -> None:
    random = np.random.default_rng(1)
    frame = random.integers(0, 255, (200, 300, 3), dtype=np.uint8)
    landmarks = np.stack([moved_template(scale, 0.1, 20 * scale, 10) for scale in (0.5, 1.0, 1.4)])
    faces, sizes = align_faces(frame, landmarks)
    for index in range(3):
        face, size = align_faces(frame, landmarks[index : index + 1])
        np.testing.assert_array_equal(face[0], faces[index])
        assert size[0] == sizes[index]


def test_a_face_already_aligned_stays_as_it_is() -> None:
    random = np.random.default_rng(2)
    frame = random.integers(0, 255, (112, 112, 3), dtype=np.uint8)
    faces, sizes = align_faces(frame, ARCFACE_TEMPLATE_XY[None])
    assert np.abs(faces[0].astype(int) - frame).max() <= 1
    np.testing.assert_allclose(sizes, 112, rtol=1e-5)


def test_a_large_face_is_averaged_and_not_sampled() -> None:
    checkers = np.indices((896, 896)).sum(axis=0) % 2 * 255
    frame = np.repeat(checkers[:, :, None], 3, axis=2).astype(np.uint8)
    faces, _ = align_faces(frame, moved_template(8, 0, 0, 0)[None])
    middle = faces[0, 20:90, 20:90].astype(int)
    assert np.abs(middle - 127).max() <= 2


def test_halving_first_does_not_shift_the_face() -> None:
    picture = np.zeros((500, 500, 3), np.uint8)
    landmarks = moved_template(4, 0, 20, 30)
    for x, y in landmarks:
        cv2.circle(picture, (round(float(x)), round(float(y))), 6, (255, 255, 255), -1)
    faces, _ = align_faces(picture, landmarks[None])
    for x, y in ARCFACE_TEMPLATE_XY:
        patch = faces[0, round(float(y)) - 4 : round(float(y)) + 5, round(float(x)) - 4 : round(float(x)) + 5, 0]
        weights = patch.astype(float) / patch.sum()
        centre = (
            (weights * np.arange(-4, 5)[None]).sum() + round(float(x)),
            (weights * np.arange(-4, 5)[:, None]).sum() + round(float(y)),
        )
        np.testing.assert_allclose(centre, (x, y), atol=0.35)


def test_no_faces_in_none_out() -> None:
    faces, sizes = align_faces(np.zeros((10, 10, 3), np.uint8), np.zeros((0, 5, 2), np.float32))
    assert faces.shape == (0, 112, 112, 3)
    assert sizes.shape == (0,)


def test_odd_landmarks_give_a_crop_and_a_size_that_float16_holds() -> None:
    coinciding = np.full((1, 5, 2), 7, np.float32)
    mirrored = (ARCFACE_TEMPLATE_XY * (-1, 1))[None].astype(np.float32)
    far_outside = moved_template(1, 0, 10000, 10000)[None]
    faces, sizes = align_faces(np.zeros((1, 1, 3), np.uint8), np.concatenate([coinciding, mirrored, far_outside]))
    assert faces.shape == (3, 112, 112, 3)
    assert np.isfinite(sizes.astype(np.float16)).all()
    assert sizes[0] < 5
