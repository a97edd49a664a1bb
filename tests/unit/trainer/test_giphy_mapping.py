import io
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from annotator.errors import ModelError
from tests.giphy_files import state_shapes, zip_bytes
from trainer.giphy.checkpoint import Checkpoint, open_checkpoint
from trainer.giphy.mapping import check_names, read_network, variables


def empty_state(classes: int = 4) -> "OrderedDict[str, Any]":
    """Return a state of the release's shapes that holds one zero, said to be many: small in a file."""
    return OrderedDict(
        (name, np.zeros((), np.int64) if name.endswith("tracked") else np.broadcast_to(np.zeros(1, np.float32), shape))
        for name, shape in state_shapes(classes).items()
    )


def opened(state: "OrderedDict[str, Any]") -> Checkpoint:
    return open_checkpoint(io.BytesIO(zip_bytes({"model_state": state})))


def test_every_tensor_of_the_network_is_the_source_of_one_variable() -> None:
    names = [source.name for source in variables().values()]
    wanted = {name: shape for name, shape in state_shapes(4).items() if "fc2" not in name and "centers" not in name}
    assert {source.name: source.shape for source in variables().values()} == {
        name: shape for name, shape in wanted.items() if not name.endswith("tracked")
    }
    assert len(names) == len(set(names)) == 53 * 5 + 2  # 53 convolutions, each with a normalisation of four arrays
    assert variables()["layer4_0_downsample_1/moving_variance"].name == "model.stem.7.0.downsample.1.running_var"


def test_the_releases_structure_is_taken_with_and_without_counters() -> None:
    state = empty_state()
    check_names(opened(state), 4)
    check_names(opened(OrderedDict((name, held) for name, held in state.items() if not name.endswith("tracked"))), 4)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"model.stem.4.0.bn1.weight": None}, "lacks model.stem.4.0.bn1.weight"),
        ({"center_loss_criterion.centers": None}, "lacks center_loss_criterion.centers"),
        ({"model.fc3.weight": (3,)}, "has also model.fc3.weight"),
    ],
)
def test_another_network_is_refused(change: dict[str, tuple[int, ...] | None], what: str) -> None:
    state = empty_state()
    for name, shape in change.items():
        state.pop(name, None)
        if shape is not None:
            state[name] = np.zeros(shape, np.float32)
    with pytest.raises(ModelError, match=what):
        check_names(opened(state), 4)


def test_another_number_of_labels_than_classes_is_refused() -> None:
    with pytest.raises(ModelError, match=r"knows 4 classes and labels.csv names 5: give the labels.csv"):
        check_names(opened(empty_state()), 5)


def test_a_half_size_network_or_a_variance_below_zero_is_refused() -> None:
    state = empty_state()
    state["model.stem.1.running_var"] = np.broadcast_to(np.full(1, -1, np.float32), 64)
    with pytest.raises(ModelError, match="variance below zero"):
        read_network(opened(state))
    state["model.stem.0.weight"] = np.zeros((64, 3, 3, 3), np.float32)
    with pytest.raises(ModelError, match="must have the shape"):
        read_network(opened(state))
