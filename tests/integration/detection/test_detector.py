"""The cascade on pictures: batches, edge sizes, weights, memory."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino
import pytest
from skimage.data import astronaut

from annotator.detection import DetectionParams, MtcnnDetector
from annotator.runtime import Engine
from annotator.runtime.batches import SMALL
from annotator.types import FaceDetections
from tests.det_files import write_det_files

MAX_BOX_DIFFERENCE_PX = 0.01
"""Between two runs in batches of other composition: float32 rounding."""

ASTRONAUT_BOX = (178, 62, 270, 175)
"""Her face in the picture, by eye."""


@pytest.fixture(scope="module")
def portrait() -> Any:
    return np.ascontiguousarray(astronaut())


@pytest.fixture(scope="module")
def mixed_frames(portrait: Any) -> list[Any]:
    """Frames as several media bring them, with and without faces."""
    grey = np.full((90, 160, 3), 128, np.uint8)
    small = cv2.resize(portrait, (200, 200), interpolation=cv2.INTER_AREA)
    wide = np.concatenate([portrait, portrait[:, ::-1]], axis=1)
    return [portrait, np.zeros((1, 1, 3), np.uint8), small, grey, wide, portrait[::2, ::2], small[:, ::-1]]


def assert_same_faces(one: FaceDetections, other: FaceDetections) -> None:
    assert len(one) == len(other)
    np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, rtol=0, atol=MAX_BOX_DIFFERENCE_PX)
    np.testing.assert_allclose(one.landmarks_xy, other.landmarks_xy, rtol=0, atol=MAX_BOX_DIFFERENCE_PX)
    np.testing.assert_allclose(one.scores, other.scores, rtol=0, atol=1e-4)


def test_the_face_of_a_portrait_is_found_with_its_landmarks_in_order(detector: MtcnnDetector, portrait: Any) -> None:
    (faces,) = detector.detect([portrait])
    assert faces.scores[0] > 0.99
    np.testing.assert_allclose(faces.boxes_xyxy[0], ASTRONAUT_BOX, atol=12)
    left_eye, right_eye, nose, left_mouth, right_mouth = faces.landmarks_xy[0]
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_a_batch_of_mixed_sizes_gives_each_frame_what_it_gets_alone(
    detector: MtcnnDetector, mixed_frames: list[Any]
) -> None:
    together = detector.detect(mixed_frames)
    assert [len(faces) > 0 for faces in together] == [True, False, True, False, True, True, True]
    assert len(together[4]) == 2
    for frame, faces in zip(mixed_frames, together, strict=True):
        assert_same_faces(faces, detector.detect([frame])[0])


def test_the_order_of_frames_is_the_order_of_results(detector: MtcnnDetector, mixed_frames: list[Any]) -> None:
    forward, backward = detector.detect(mixed_frames), detector.detect(mixed_frames[::-1])
    for one, other in zip(forward, backward[::-1], strict=True):
        assert_same_faces(one, other)


def test_frames_beyond_a_chunk_give_the_same(
    detector: MtcnnDetector, mixed_frames: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = detector.detect(mixed_frames)
    monkeypatch.setattr(detector, "_batches", replace(SMALL, chunk_pixels=1))
    for one, other in zip(whole, detector.detect(mixed_frames), strict=True):
        assert_same_faces(one, other)


def test_no_frames_give_no_results(detector: MtcnnDetector) -> None:
    assert detector.detect([]) == []
    assert detector.detect_clips([]) == []
    assert detector.detect_clips([[], []]) == [[], []]


def pan(portrait: Any, count: int) -> list[Any]:
    """Frames of a camera that moves slowly across the picture."""
    return [np.ascontiguousarray(portrait[:300, 2 * n : 2 * n + 400]) for n in range(count)]


def test_a_clip_is_followed_between_searched_frames(
    detector: MtcnnDetector, portrait: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = pan(portrait, 7)
    alone = detector.detect(frames)
    searched: list[int] = []
    search = detector._search
    monkeypatch.setattr(detector, "_search", lambda some, each=map: searched.append(len(some)) or search(some, each))
    (found,) = detector.detect_clips([frames])
    assert sum(searched) == 2
    for one, other in zip(found, alone, strict=True):
        assert len(one) == len(other) == 1
        np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, atol=10)
        np.testing.assert_allclose(one.landmarks_xy, other.landmarks_xy, atol=4)


def test_a_clip_gets_the_same_whatever_else_is_searched_with_it(
    detector: MtcnnDetector, mixed_frames: list[Any], portrait: Any
) -> None:
    clips = [pan(portrait, 7), mixed_frames, [], pan(portrait, 3)]
    together = detector.detect_clips(clips)
    assert [len(clip) for clip in together] == [7, 7, 0, 3]
    for clip, found in zip(clips, together, strict=True):
        for one, other in zip(found, detector.detect_clips([clip])[0], strict=True):
            assert_same_faces(one, other)


def test_a_clip_whose_frames_are_all_searched_gets_what_they_get_on_their_own(
    cpu_engine: Engine, detector: MtcnnDetector, portrait: Any
) -> None:
    frames = pan(portrait, 7)
    each = MtcnnDetector(cpu_engine, params=DetectionParams(search_every=1))
    for one, other in zip(each.detect_clips([frames])[0], detector.detect(frames), strict=True):
        assert_same_faces(one, other)


def test_the_first_look_in_low_precision_changes_nothing(
    cpu_engine: Engine, detector: MtcnnDetector, mixed_frames: list[Any]
) -> None:
    exact = MtcnnDetector(cpu_engine, params=DetectionParams(bf16_screen=False))
    has_bf16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert (detector._rnet.is_screened, exact._rnet.is_screened) == (has_bf16, False)
    for one, other in zip(detector.detect(mixed_frames), exact.detect(mixed_frames), strict=True):
        assert_same_faces(one, other)
    assert exact.spec() == detector.spec()


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (19, 19), (20, 20), (21, 500), (25, 23)])
def test_tiny_frames_have_no_face_and_no_error(detector: MtcnnDetector, shape: tuple[int, int]) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert [len(faces) for faces in detector.detect([frame])] == [0]


@pytest.mark.parametrize(
    "cut", [np.s_[:, 215:], np.s_[:, :250], np.s_[100:], np.s_[:165]], ids=["left", "right", "top", "bottom"]
)
def test_a_face_that_the_border_cuts_is_found_and_its_box_may_reach_beyond(
    detector: MtcnnDetector, portrait: Any, cut: Any
) -> None:
    (faces,) = detector.detect([portrait[cut]])
    assert len(faces) >= 1
    height, width = portrait[cut].shape[:2]
    x1, y1, x2, y2 = faces.boxes_xyxy[0]
    assert x2 > x1
    assert y2 > y1
    assert min(x1, y1, width - x2, height - y2) < 5


def test_the_smallest_face_to_find_may_be_a_part_of_the_shorter_side(cpu_engine: Engine, portrait: Any) -> None:
    relative = MtcnnDetector(cpu_engine, params=DetectionParams(min_face_fraction=0.5))
    assert len(relative.detect([portrait])[0]) == 0  # her face has 111 of 512 px
    relative = MtcnnDetector(cpu_engine, params=DetectionParams(min_face_fraction=0.1))
    assert len(relative.detect([portrait])[0]) == 1


@pytest.mark.parametrize(
    "frame",
    [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3)), np.zeros((0, 9, 3), np.uint8)],
)
def test_a_frame_of_another_kind_is_refused(detector: MtcnnDetector, frame: Any) -> None:
    with pytest.raises(TypeError, match=r"uint8 \(H, W, 3\)"):
        detector.detect([frame])


def test_several_threads_share_a_detector(detector: MtcnnDetector, mixed_frames: list[Any]) -> None:
    expected = detector.detect(mixed_frames)
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(detector.detect, [mixed_frames] * 6):
            for one, other in zip(found, expected, strict=True):
                assert_same_faces(one, other)


def test_weights_of_a_folder_in_the_original_layout_find_the_same_faces(
    cpu_engine: Engine, detector: MtcnnDetector, portrait: Any, tmp_path: Path
) -> None:
    write_det_files(tmp_path)
    other = MtcnnDetector(cpu_engine, weights_dir=tmp_path)
    (mine,), (theirs,) = detector.detect([portrait]), other.detect([portrait])
    np.testing.assert_array_equal(mine.boxes_xyxy, theirs.boxes_xyxy)
    assert other.spec() != detector.spec()


def test_the_spec_is_plain_json_and_tells_parameters_apart(cpu_engine: Engine, detector: MtcnnDetector) -> None:
    other = MtcnnDetector(cpu_engine, params=DetectionParams(min_face_px=21))
    assert json.loads(json.dumps(detector.spec())) == detector.spec()
    assert detector.spec() == MtcnnDetector(cpu_engine).spec()
    assert detector.spec() != other.spec()


MANY_LARGE_FRAMES = """
import resource, sys
from pathlib import Path
import numpy as np
from annotator.detection import MtcnnDetector
from annotator.runtime import create_engine
detector = MtcnnDetector(create_engine("cpu", threads=2, cache_dir=Path(sys.argv[1])))
frame = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
detector.detect([frame])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
detector.detect([frame] * 16)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
def test_many_large_frames_take_little_more_memory_than_one(network_cache: Path, detector: MtcnnDetector) -> None:
    del detector  # its networks are in the cache
    command = [sys.executable, "-c", MANY_LARGE_FRAMES, str(network_cache)]
    growth_mib = int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)
    assert growth_mib < 150
