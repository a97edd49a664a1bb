"""A fit that is stopped and killed at random steps ends with the very numbers of an unbroken one."""

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.networks import resnet
from annotator.types import F32
from tests.integration.trainer.fitting.conftest import Bench, small_experiment
from tests.optional import import_optional
from trainer.experiment import ArcFace, CentreLoss, CrossEntropy, Experiment, Network, Schedule

EventAccumulator = import_optional("tensorboard.backend.event_processing.event_accumulator").EventAccumulator


class _Killed(BaseException):
    """Ends a process's part of a run where it is, without a checkpoint, as SIGKILL does."""


def curves(logs: Path) -> dict[str, list[tuple[int, float]]]:
    """The points of the curves as TensorBoard reads them; how fast it went is another matter."""
    board = EventAccumulator(str(logs)).Reload()
    tags = set(board.Tags()["scalars"]) - {"images_per_s"}
    return {tag: [(point.step, point.value) for point in board.Scalars(tag)] for tag in tags}


def interrupt(bench: Bench, experiment: Experiment, *, times: int, seed: int) -> None:
    """Fit in parts, each of which is stopped, or killed, after a random number of steps; then to the end."""
    generator = random.Random(seed)  # noqa: S311 - which step is no secret
    for _ in range(times):
        with suppress(_Killed):
            end = ending_after(generator.randint(1, 4), kills=generator.random() < 0.5)
            if bench.fit(experiment, is_enough=end).is_whole:
                return
    assert bench.fit(experiment).is_whole


def ending_after(steps: int, *, kills: bool) -> Callable[[int], bool]:
    def is_enough(done: int) -> bool:
        if kills and done >= steps:
            raise _Killed
        return done >= steps

    return is_enough


def assert_the_same_when_interrupted(bench: Bench, experiment: Experiment, *, times: int) -> None:
    unbroken = bench.fit(experiment)
    state, points = bench.state(), curves(bench.places.folder / "logs")
    history = (bench.places.folder / "history.csv").read_bytes()
    bench.forget()

    interrupt(bench, experiment, times=times, seed=times)

    assert len(unbroken.results) > 1
    assert_equal(bench.state(), state)
    assert curves(bench.places.folder / "logs") == points
    assert (bench.places.folder / "history.csv").read_bytes() == history


def assert_equal(given: dict[str, F32], expected: dict[str, F32]) -> None:
    assert given.keys() == expected.keys()
    assert [name for name in expected if not np.array_equal(given[name], expected[name])] == []


@pytest.mark.parametrize(
    ("times", "changes"),
    [
        (10, {"loss": CentreLoss(centres="trained")}),
        (3, {"loss": CentreLoss(centres="running")}),
        (3, {"loss": CrossEntropy()}),
        (3, {"loss": ArcFace(), "network": Network("sface-head", embedding_size=None, head="cosine")}),
        (3, {"precision": "bfloat16"}),
        (3, {"precision": "float16"}),
        (3, {"schedule": Schedule(epochs=9, batch=8, learning_rate=1e-9, patience_epochs=2, save_every_steps=2)}),
    ],
    ids=["trained", "running", "entropy", "arcface", "bfloat16", "float16", "early-stopping"],
)
def test_a_head_that_is_interrupted_has_the_weights_and_curves_of_an_unbroken_run(
    bench: Bench, times: int, changes: dict[str, Any]
) -> None:
    assert_the_same_when_interrupted(bench, small_experiment(**changes), times=times)


@pytest.mark.slow
def test_a_network_of_convolutions_that_is_interrupted_has_the_weights_of_an_unbroken_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One block each of two stages instead of 3 to 6 of four: the same kinds of layers, in a sixth of the time.
    monkeypatch.setattr(resnet, "_STAGES", tuple((width, 1) for width, _ in resnet._STAGES[:2]))
    experiment = small_experiment(
        network=Network("resnet50-half", embedding_size=16, side_px=16),
        schedule=Schedule(epochs=2, batch=8, learning_rate=0.001, log_every_steps=1, save_every_steps=1),
    )

    assert_the_same_when_interrupted(bench, experiment, times=2)
