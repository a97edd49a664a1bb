"""A large picture goes through the cascade in several rounds, so that it takes bounded memory."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from annotator.detection import MtcnnDetector, detector, proposal

ROUND_OF_CANVASES = 3
ROUND_OF_CROPS = 20
"""Small enough for several rounds of each network, which end within a frame and with less than a batch."""


@pytest.fixture(scope="module")
def crowd(shared_data: Path) -> list[Any]:
    """Frames of a film with many faces, 960 x 540."""
    film = cv2.VideoCapture(str(shared_data / "clips" / "crowd_dinner.mp4"))
    frames = []
    for number in (0, 50, 100):
        film.set(cv2.CAP_PROP_POS_FRAMES, number)
        _, frame = film.read()
        frames.append(np.ascontiguousarray(cv2.resize(frame, (960, 540), interpolation=cv2.INTER_AREA)[..., ::-1]))
    film.release()
    return frames


@pytest.mark.shared
def test_rounds_change_no_face(cpu_engine: Any, crowd: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    finder = MtcnnDetector(cpu_engine)
    at_once = finder.detect(crowd)
    assert sum(map(len, at_once)) >= 12
    monkeypatch.setattr(proposal, "MAX_DRAWN", ROUND_OF_CANVASES)
    monkeypatch.setattr(detector, "MAX_CROPS", ROUND_OF_CROPS)
    for one, other in zip(at_once, finder.detect(crowd), strict=True):
        np.testing.assert_array_equal(one.boxes_xyxy, other.boxes_xyxy)
        np.testing.assert_array_equal(one.scores, other.scores)
        np.testing.assert_array_equal(one.landmarks_xy, other.landmarks_xy)
