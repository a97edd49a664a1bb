"""Sharp faces are made to look as in a clip."""

from dataclasses import replace

import numpy as np

from annotator.quality import sharpness
from annotator.recognition.degradation import Degradation, degrade_faces
from tests.made_up_faces import face_of

FACES = np.stack([face_of(person) for person in range(6)])
STILL = Degradation(112, max_blur_px=0, max_turn_deg=0, max_scale=0, max_shift=0)


def test_the_same_seed_gives_the_same_pictures_and_another_others() -> None:
    first, again, other = (degrade_faces(FACES, degradation=Degradation(48), seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_face_does_not_depend_on_those_before_it() -> None:
    few = degrade_faces(FACES[:2], degradation=Degradation(48), seed=1)
    np.testing.assert_array_equal(few, degrade_faces(FACES, degradation=Degradation(48), seed=1)[:2])


def test_smaller_faces_have_less_detail() -> None:
    noisy = np.clip(FACES + np.random.default_rng(1).normal(0, 20, FACES.shape), 0, 255).astype(np.uint8)
    detail = [
        sharpness(degrade_faces(noisy, degradation=replace(STILL, face_px=size), seed=1)).mean()
        for size in (96, 48, 24)
    ]
    assert detail[0] > detail[1] > detail[2]


def test_without_errors_of_alignment_the_face_stays_in_place() -> None:
    for size in (112, 56):
        degraded = degrade_faces(FACES, degradation=replace(STILL, face_px=size), seed=1)
        assert np.abs(degraded.astype(int) - FACES).mean() < 12


def test_the_input_is_left_alone() -> None:
    before = FACES.copy()
    degrade_faces(FACES, degradation=Degradation(48), seed=1)
    np.testing.assert_array_equal(FACES, before)
