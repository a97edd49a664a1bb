"""The first layer of a network, taken out of its graph: the compiled part of the package computes it more quickly.

Where OpenVINO computes it, it takes a third of the time of P- and of R-Net and a fifth of that of O-Net; the compiled
part takes about half of that. A graph that begins otherwise is run as it is.
"""

from typing import Any, Final

import numpy as np

from annotator.native import FIRST_LAYER_DEPTHS, FIRST_LAYER_POOLS, FirstLayer
from annotator.runtime.network import Precision
from annotator.runtime.quiet import forbid_telemetry
from annotator.types import F32

forbid_telemetry()
import openvino  # noqa: E402 - only now
import openvino.opset14 as ops  # noqa: E402

_CHAIN: Final = ("Multiply", "Add", "Transpose", "Convolution", "Add", "PRelu", "MaxPool")
"""What such a layer is in a converted graph, from the network's input on."""

_CHANNELS_FIRST: Final = [0, 3, 1, 2]

_CONVOLUTION: Final = {"strides": [1, 1], "dilations": [1, 1], "pads_begin": [0, 0], "pads_end": [0, 0]}
_UNPADDED: Final = ("explicit", "valid")
_POOLING: Final = {"strides": [2, 2], "dilations": [1, 1], "auto_pad": "same_upper"}


def has_slow_first_layers(device_name: str, precision: Precision) -> bool:
    """Tell whether OpenVINO computes the first layers of the cascade more slowly than the compiled part.

    Measured on AMD's Zen 3, in float32. In bfloat16 it computes twice as fast, which the compiled part does not; and
    processors of others were not measured.

    Args:
        device_name: OpenVINO's full name of the processor.
        precision: that the network is run in.

    """
    return device_name.startswith("AMD") and precision == "f32"


def take_first_layer(model: openvino.Model) -> FirstLayer | None:
    """Take the first layer out of a graph, which then begins behind it, with f32 (N, h, w, channels).

    Args:
        model: is changed where its first layer is one that the compiled part has.

    Returns:
        None where it is another, or where the processor is one that the compiled part is not made for.

    """
    chain = _chain(model)
    if chain is None or not FirstLayer.is_there():
        return None
    multiply, add, transpose, convolution, bias, activation, pooling = chain
    scale, shift, order, kernel, biases, slopes = (
        _constant(node) for node in (multiply, add, transpose, convolution, bias, activation)
    )
    if scale is None or shift is None or order is None or kernel is None or biases is None or slopes is None:
        return None
    depth, plain, pooled = len(kernel), convolution.get_attributes(), pooling.get_attributes()
    is_known = (
        scale.size == shift.size == 1
        and order.tolist() == _CHANNELS_FIRST
        and depth in FIRST_LAYER_DEPTHS
        and (kernel.shape, biases.shape, slopes.shape) == ((depth, 3, 3, 3), (1, depth, 1, 1), (depth,))
        and _has(plain, _CONVOLUTION)
        and plain["auto_pad"] in _UNPADDED
        and _has(pooled, _POOLING)
        and list(pooled["kernel"]) in [[side, side] for side in FIRST_LAYER_POOLS]
        and (pooled["kernel"][0] == 2 or _is_even(model.get_parameters()[0].get_partial_shape()))
    )
    if not is_known:
        return None
    layer = FirstLayer(
        kernel.transpose(2, 3, 1, 0),
        biases.reshape(-1),
        slopes,
        scale=scale.item(),
        shift=shift.item(),
        pool=pooled["kernel"][0],
    )
    _begin_behind(model, pooling, depth=depth)
    return layer


def _chain(model: openvino.Model) -> list[Any] | None:
    """Return the operations of the first layer, if the graph begins with them and nothing goes by them."""
    parameters = model.get_parameters()
    if len(parameters) != 1 or parameters[0].get_element_type() != openvino.Type.f32:
        return None
    node, chain = parameters[0], []
    for kind in _CHAIN:
        targets = [target for output in node.outputs() for target in output.get_target_inputs()]
        if len(targets) != 1 or targets[0].get_node().get_type_name() != kind:
            return None
        if targets[0].get_index() != 0 and kind not in {"Multiply", "Add"}:
            return None
        node = targets[0].get_node()
        chain.append(node)
    ends = [output for output in node.outputs() if output.get_target_inputs()]
    return chain if [output.get_index() for output in ends] == [0] else None


def _constant(node: Any) -> F32 | None:  # noqa: ANN401 - OpenVINO has no types
    """Return the constant that a node combines its input with; None unless it is one of float32, or whole numbers."""
    found = [one.get_source_output().get_node() for one in node.inputs()]
    constants = [one for one in found if one.get_type_name() == "Constant"]
    if len(constants) != 1 or constants[0].data.dtype not in {
        np.dtype(np.float32),
        np.dtype(np.int32),
        np.dtype(np.int64),
    }:
        return None
    return np.array(constants[0].data, np.float32)


def _has(attributes: dict[str, Any], wanted: dict[str, Any]) -> bool:
    found = {name: attributes[name] for name in wanted}
    return {name: value if isinstance(value, str) else list(value) for name, value in found.items()} == wanted


def _is_even(shape: openvino.PartialShape) -> bool:
    """Say whether pictures have one size, of even sides: of odd ones, windows of three pixels begin too early."""
    return all(shape[side].is_static and shape[side].get_length() % 2 == 0 for side in (1, 2))


def _begin_behind(model: openvino.Model, node: Any, *, depth: int) -> None:  # noqa: ANN401 - as above
    (before,) = model.get_parameters()
    shape = node.output(0).get_partial_shape()
    behind = [openvino.Dimension(), shape[2], shape[3], openvino.Dimension(depth)]
    parameter = ops.parameter(openvino.PartialShape(behind), np.float32)
    channels_first = ops.transpose(parameter, ops.constant(_CHANNELS_FIRST))
    for target in node.output(0).get_target_inputs():
        target.replace_source_output(channels_first.output(0))
    model.add_parameters([parameter])
    model.remove_parameter(before)
    model.validate_nodes_and_infer_types()
