"""What use of time changes: how faces are compared, and how it is told."""

from typing import Any

import numpy as np
import pytest

from annotator.types import FaceDetections
from benchmarks.speed.our_time import shares
from benchmarks.speed.time_effect import effects, table

HERE, THERE = (0, 0, 10, 10), (50, 50, 60, 60)


def faces(*found: tuple[tuple[int, ...], float]) -> FaceDetections:
    boxes = np.array([box for box, _ in found], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score in found], np.float32)
    return FaceDetections(boxes, scores, np.zeros((len(found), 5, 2), np.float32))


def test_faces_that_are_found_lost_and_new_are_told_apart() -> None:
    alone = [[faces((HERE, 0.99), (THERE, 0.8)), faces((HERE, 0.95))]]
    followed = [[faces((HERE, 0.97)), faces((THERE, 0.99), (HERE, 0.9))]]
    assert shares(alone, followed) == pytest.approx(
        {"faces": 3, "sure_faces": 2, "found": 2 / 3, "sure_found": 1.0, "new": 1 / 3}
    )


def test_names_are_compared_with_those_of_a_search_of_every_frame() -> None:
    def side(*names: str) -> dict[str, Any]:
        return {"seconds": [2.0, 1.0, 4.0], "found": {"names": list(names), "tracks": 7}}

    sides = {"one in 1": side("a: Ada", "b: Bob"), "ours": side("b: Bob", "c: Cy")}
    found = {"faces": 100, "sure_faces": 80, "found": 0.975, "sure_found": 1.0, "new": 0.02, "searched": 0.4}
    effect = effects(sides, {"1": {**found, "searched": 1.0}, "5": found})
    assert [one["search_every"] for one in effect] == [1, 5]
    assert [(one["names_lost"], one["names_new"]) for one in effect] == [([], []), (["a: Ada"], ["c: Cy"])]
    told = table({"clips": 3, "frames": 1234, "effect": effect}).splitlines()
    assert "1,234 frames" in told[0]
    assert told[-1] == "| **5** | 40% | 2.0 s | 2 | 1 | 1 | 7 | 100.0% | 97.5% | 2.0% |"
    assert len({line.count("|") for line in told[2:]}) == 1
