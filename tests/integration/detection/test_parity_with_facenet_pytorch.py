"""The same faces as facenet-pytorch 2.6.0, on whole photographs and on frames of clips.

What it finds stands in ``tests/data/expected_boxes.json``; ``benchmarks/peers/expected_boxes.py`` writes it.
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.detection import MtcnnDetector

ROOT = Path(__file__).resolve().parents[3]

SURE_SCORE = 0.95
MIN_IOU = 0.85
MIN_SHARE_FOUND = 0.99
MIN_SHARE_OF_OURS = 0.98

TYPICAL_BOX_DIFFERENCE_PX = 0.01
"""99 of 100 boxes are the same within this; the expected ones are rounded to it."""

pytestmark = [pytest.mark.shared, pytest.mark.slow]


def load_frames_module() -> Any:
    """Import benchmarks/peers/frames.py, which is a script's neighbour and no package."""
    spec = importlib.util.spec_from_file_location("peers_frames", ROOT / "benchmarks" / "peers" / "frames.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def expected() -> dict[tuple[str, int], Any]:
    held = json.loads((ROOT / "tests" / "data" / "expected_boxes.json").read_text())
    return {(entry["file"], entry["frame"]): entry for entry in held["frames"]}


@pytest.fixture(scope="module")
def frames(shared_data: Path) -> list[Any]:
    return list(load_frames_module().all_frames(shared_data))


@pytest.fixture(scope="module")
def overlaps(frames: list[Any], expected: Any, detector: MtcnnDetector) -> list[tuple[Any, Any, Any]]:
    """For each frame: their scores, the overlap of each of their boxes (row) with each of ours, the differences."""
    found = detector.detect([frame.pixels for frame in frames])
    result = []
    for frame, faces in zip(frames, found, strict=True):
        theirs = expected[frame.name, frame.index]["faces"]
        scores = np.array([face[1] for face in theirs])
        # They count pixels from 1 and the last one in; ours are half-open.
        boxes = np.array([face[0] for face in theirs]).reshape(-1, 4) - [1, 1, 0, 0]
        difference = np.abs(boxes[:, None] - faces.boxes_xyxy[None]).max(axis=2, initial=0)
        result.append((scores, iou(boxes, faces.boxes_xyxy), difference))
    return result


def iou(one: Any, other: Any) -> Any:
    sides = np.minimum(one[:, None, 2:], other[None, :, 2:]) - np.maximum(one[:, None, :2], other[None, :, :2])
    common = sides.clip(min=0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (one, other)]
    return common / (areas[0][:, None] + areas[1][None] - common)


def test_the_pictures_are_those_that_facenet_pytorch_saw(frames: list[Any], expected: Any) -> None:
    """If this fails alone, a decoder changed: write the expected boxes anew. The faces are another matter."""
    changed = [frame.name for frame in frames if expected[frame.name, frame.index]["pixels"] != frame.checksum]
    assert changed == []
    assert len(frames) == len(expected) >= 350


def test_its_sure_faces_are_found(overlaps: Any) -> None:
    found = [
        overlap[number].max(initial=0) >= MIN_IOU
        for scores, overlap, _ in overlaps
        for number in np.flatnonzero(scores >= SURE_SCORE)
    ]
    assert len(found) >= 400
    assert np.mean(found) >= MIN_SHARE_FOUND


def test_ours_are_its(overlaps: Any) -> None:
    known = [column.max(initial=0) >= MIN_IOU for _, overlap, _ in overlaps for column in overlap.T]
    assert len(known) >= 450
    assert np.mean(known) >= MIN_SHARE_OF_OURS


def test_boxes_differ_by_rounding_only(overlaps: Any) -> None:
    nearest = np.concatenate([difference.min(axis=1) for _, _, difference in overlaps if difference.size])
    assert np.quantile(nearest, 0.99) < TYPICAL_BOX_DIFFERENCE_PX
