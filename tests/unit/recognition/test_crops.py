"""Faces are cut for a network as its training faces were."""

import numpy as np
import pytest
from PIL import Image

from annotator.errors import ConfigError
from annotator.recognition.alignment import ARCFACE_TEMPLATE_XY, align_faces
from annotator.recognition.crops import ALIGNED, FaceCrop, cut_faces, resized
from annotator.types import U8


def picture() -> U8:
    return np.random.default_rng(0).integers(0, 256, (240, 320, 3)).astype(np.uint8)


def faces() -> tuple[np.ndarray, np.ndarray]:
    boxes = np.array([[40, 30, 101, 120], [-20, 150, 60, 260]], np.float32)
    landmarks = np.stack([ARCFACE_TEMPLATE_XY * 0.6 + [40, 40], ARCFACE_TEMPLATE_XY * 0.8 + [-20, 150]])
    return boxes, landmarks.astype(np.float32)


def test_the_aligned_crops_of_sface_are_the_very_ones_that_quality_looks_at() -> None:
    boxes, landmarks = faces()
    np.testing.assert_array_equal(cut_faces(picture(), boxes, landmarks, ALIGNED), align_faces(picture(), landmarks)[0])


def test_a_clipped_box_is_what_lies_in_the_picture_stretched_by_pillow() -> None:
    boxes, landmarks = faces()
    found = cut_faces(picture(), boxes, landmarks, FaceCrop("clipped-box", 224, 0.1))
    # The first box is 60 x 89 by MTCNN's counting: 6 and 8.5 pixels more on each side, fractions cut off.
    for face, (left, top, right, bottom) in zip(found, [(35, 22, 107, 128), (0, 140, 67, 240)], strict=True):
        part = Image.fromarray(picture()[top:bottom, left:right])
        np.testing.assert_array_equal(face, np.asarray(part.resize((224, 224), Image.Resampling.BILINEAR)))


@pytest.mark.parametrize("kind", ["aligned", "box", "clipped-box"])
def test_every_face_gets_a_crop_also_where_nothing_of_it_is_in_the_picture(kind: str) -> None:
    boxes = np.array([[-300, -300, -200, -200], [0, 0, 0, 0]], np.float32)
    landmarks = np.stack([ARCFACE_TEMPLATE_XY - 300, ARCFACE_TEMPLATE_XY * 0]).astype(np.float32)
    crop = FaceCrop(kind, 64, 0.1)  # type: ignore[arg-type]
    assert cut_faces(picture(), boxes, landmarks, crop).shape == (2, 64, 64, 3)
    assert not cut_faces(picture(), boxes, landmarks, crop)[0].any()
    assert cut_faces(picture(), boxes[:0], landmarks[:0], crop).shape == (0, 64, 64, 3)
    assert cut_faces(np.zeros((1, 1, 3), np.uint8), boxes, landmarks, crop).shape == (2, 64, 64, 3)


def test_a_crop_is_brought_to_the_side_of_the_network() -> None:
    crop = picture()[:112, :112]
    assert resized(crop, 112) is crop
    assert resized(crop, 224).shape == (224, 224, 3)
    assert abs(int(resized(np.full((112, 112, 3), 77, np.uint8), 56).max()) - 77) == 0


@pytest.mark.parametrize("wrong", [("round", 112, 0.0), ("box", 8, 0.0), ("box", 10**6, 0.0), ("box", 112, 1.5),
                                   ("box", 112, float("nan")), ("box", "112", 0.0)])  # fmt: skip
def test_what_cannot_be_cut_is_refused(wrong: tuple[str, int, float]) -> None:
    with pytest.raises(ConfigError):
        FaceCrop(*wrong)  # type: ignore[arg-type]
