import numpy as np
import pytest

from annotator.errors import InputError
from annotator.recognition.crops import stretched
from annotator.types import F32, U8
from trainer.giphy.faces import DETECTION, crop_xyxy, cut_faces


def release_crop(det: list[float], width: int, height: int) -> list[int]:
    """Return the crop by the release's formula, from MTCNN's own box, which counts from 1."""
    margin_y, margin_x = int((det[3] - det[1]) * 0.2), int((det[2] - det[0]) * 0.2)
    edges = [max(det[0] - margin_x / 2, 0), max(det[1] - margin_y / 2, 0)]
    edges += [min(det[2] + margin_x / 2, width), min(det[3] + margin_y / 2, height)]
    return [int(edge) for edge in edges]


def test_a_crop_is_that_of_the_release_to_the_pixel() -> None:
    random = np.random.default_rng(0)
    for _ in range(500):
        det = np.concatenate([random.uniform(-20, 150, 2), random.uniform(170, 400, 2)]).astype(np.float32)
        ours = det - np.array([1, 1, 0, 0], np.float32)  # half-open, counted from 0
        det = ours + np.array([1, 1, 0, 0], np.float32)
        assert list(crop_xyxy(ours, (300, 350))) == release_crop([float(edge) for edge in det], 350, 300)


def test_a_crop_has_a_tenth_more_on_each_side_and_stays_in_the_frame() -> None:
    assert crop_xyxy(np.array([99, 199, 200, 300], np.float32), (1000, 1000)) == (90, 190, 210, 310)
    assert crop_xyxy(np.array([-1, 2, 100, 99], np.float32), (100, 90)) == (0, 0, 90, 100)


def test_a_box_outside_its_frame_is_an_error_that_says_so() -> None:
    with pytest.raises(InputError, match="outside its frame of 90 x 100"):
        crop_xyxy(np.array([200, 20, 240, 60], np.float32), (100, 90))


def test_faces_are_cut_in_the_order_of_their_boxes() -> None:
    frame = np.arange(60 * 80 * 3, dtype=np.uint32).astype(np.uint8).reshape(60, 80, 3)
    boxes = np.array([[9, 9, 30, 30], [39, 19, 60, 50]], np.float32)
    first, second = cut_faces(frame, boxes)
    np.testing.assert_array_equal(first, frame[8:32, 8:32])
    np.testing.assert_array_equal(second, frame[17:53, 38:62])
    assert cut_faces(frame, np.zeros((0, 4), np.float32)) == []


def triangle(length: int, wanted: int) -> F32:
    """Return (wanted, length), the weights of a bilinear stretch; what shrinks is averaged over more pixels."""
    scale = length / wanted
    reach = max(scale, 1.0)
    centres = (np.arange(wanted) + 0.5) * scale
    distance = np.abs(np.arange(length) + 0.5 - centres[:, None]) / reach
    weights = np.maximum(1 - distance, 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize("shape", [(50, 90), (224, 224), (600, 301), (1, 1), (3, 1000)])
def test_a_crop_is_stretched_bilinearly_whatever_its_proportions(shape: tuple[int, int]) -> None:
    crop: U8 = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    rows, columns = triangle(shape[0], 224), triangle(shape[1], 224)
    wanted = np.moveaxis(rows @ np.moveaxis(crop.astype(np.float32), 2, 0) @ columns.T, 0, 2)
    found = stretched(crop, 224)
    assert found.shape == (224, 224, 3)
    assert np.abs(found - wanted).max() <= 1.01  # whole numbers after each of the two passes


def test_the_smallest_face_is_a_fifth_of_the_shorter_side() -> None:
    assert DETECTION.min_face_of(500, 400) == 80
    assert DETECTION.min_face_of(50, 50) == 12
