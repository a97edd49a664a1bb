"""The file of SFace is checked by its digest and read into Keras's axis order."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from annotator.errors import ConfigError, ModelError
from annotator.networks.sface import (
    NETWORK_ID,
    checked_file,
    packaged_file,
    read_sface_weights,
    sface_definition,
)


def test_the_packaged_file_is_the_pinned_one() -> None:
    path, digest, network_id = checked_file()
    assert path == packaged_file()
    assert digest == "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"
    assert network_id == NETWORK_ID


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    changed = tmp_path / "sface.onnx"
    changed.write_bytes(packaged_file().read_bytes()[:-1] + b"\0")
    with pytest.raises(ModelError, match="not one of the two known SFace files"):
        sface_definition(changed)


def test_a_missing_file_is_a_mistake_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no SFace file"):
        sface_definition(tmp_path / "none.onnx")


def test_an_oversized_file_is_refused_without_being_hashed(tmp_path: Path) -> None:
    huge = tmp_path / "huge.onnx"
    with huge.open("wb") as file:
        file.truncate(80 * 1024 * 1024)
    with pytest.raises(ModelError, match="too large"):
        checked_file(huge)


def test_the_weights_are_float32_and_as_many_as_the_paper_says() -> None:
    weights = read_sface_weights()
    assert all(array.dtype == np.float32 for array in weights.values())
    assert sum(name.endswith("conv2d/kernel") for name in weights) == 27
    assert weights["conv_1_conv2d/kernel"].shape == (3, 3, 3, 32)
    assert weights["conv_2_dw_conv2d/kernel"].shape == (3, 3, 32, 1)
    assert weights["pre_fc1/kernel"].shape == (7, 7, 1024, 128)
    assert all(np.isfinite(array).all() for array in weights.values())


def test_eight_bit_blocks_become_what_onnx_says() -> None:
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415 - beside the check that onnx is there

    graph = onnx.load(str(packaged_file())).graph
    wanted = "conv_4_conv2d_weight_reshaped"
    nodes = [node for node in graph.node if node.output[0] in {wanted, wanted.replace("reshaped", "dequantized")}]
    tensors = [item for item in graph.initializer if any(item.name in node.input for node in nodes)]
    output = onnx.helper.make_tensor_value_info(wanted, onnx.TensorProto.FLOAT, None)
    small = onnx.helper.make_graph(nodes, "weight", [], [output], tensors)
    model = onnx.helper.make_model(small, opset_imports=[onnx.helper.make_opsetid("", 21)])
    (expected,) = ReferenceEvaluator(model).run(None, {})
    np.testing.assert_array_equal(read_sface_weights()["conv_4_conv2d/kernel"], expected.transpose(2, 3, 1, 0))
