"""The first layer of a network, taken out of its graph: the compiled part of the package computes it in half the time.

Where OpenVINO computes it, it takes a third of the time of P- and of R-Net and a fifth of that of O-Net.
"""

from typing import Any, Final

import numpy as np

from annotator.native import FIRST_LAYER_DEPTHS, FIRST_LAYER_POOLS, FirstLayer
from annotator.runtime.quiet import forbid_telemetry
from annotator.types import F32

forbid_telemetry()
import openvino  # noqa: E402 - only now
import openvino.opset14 as ops  # noqa: E402

_CHAIN: Final = ("Multiply", "Add", "Transpose", "Convolution", "Add", "PRelu", "MaxPool")
"""What such a layer is in a converted graph, from the network's input on."""

_PLAIN_CONVOLUTION: Final = {"strides": [1, 1], "dilations": [1, 1], "pads_begin": [0, 0], "pads_end": [0, 0]}


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
    multiply, add, _, convolution, bias, activation, pooling = chain
    kernel = _constant(convolution)  # channel, colour, row, column
    plain, pooled = convolution.get_attributes(), pooling.get_attributes()
    side = pooled["kernel"][0]
    is_known = (
        kernel.shape == (len(kernel), 3, 3, 3)
        and len(kernel) in FIRST_LAYER_DEPTHS
        and _constant(multiply).size == _constant(add).size == 1
        and all(list(plain[name]) == value for name, value in _PLAIN_CONVOLUTION.items())
        and side in FIRST_LAYER_POOLS
        and list(pooled["kernel"]) == [side, side]
        and list(pooled["strides"]) == [2, 2]
        and pooled["auto_pad"] == "same_upper"
        and (side == 2 or _is_even(model.get_parameters()[0].get_partial_shape()))
    )
    if not is_known:
        return None
    layer = FirstLayer(
        kernel.transpose(2, 3, 1, 0),
        _constant(bias).reshape(-1),
        _constant(activation).reshape(-1),
        scale=_constant(multiply).item(),
        shift=_constant(add).item(),
        pool=side,
    )
    _begin_behind(model, pooling, depth=len(kernel))
    return layer


def _is_even(shape: openvino.PartialShape) -> bool:
    """Say whether pictures have one size, of even sides: of odd ones, windows of three pixels begin too early."""
    return all(shape[side].is_static and shape[side].get_length() % 2 == 0 for side in (1, 2))


def _chain(model: openvino.Model) -> list[Any] | None:
    """Return the operations of the first layer, if the graph begins with them and with nothing beside."""
    (node,) = model.get_parameters()
    chain = []
    for kind in _CHAIN:
        targets = list(node.output(0).get_target_inputs())
        if len(targets) != 1 or targets[0].get_node().get_type_name() != kind:
            return None
        node = targets[0].get_node()
        chain.append(node)
    return chain


def _constant(node: Any) -> F32:  # noqa: ANN401 - OpenVINO has no types
    """Return the constant that a node combines its input with."""
    found = [one.get_source_output().get_node() for one in node.inputs()]
    (constant,) = [one for one in found if one.get_type_name() == "Constant"]
    return np.array(constant.data, np.float32)


def _begin_behind(model: openvino.Model, node: Any, *, depth: int) -> None:  # noqa: ANN401 - as above
    (before,) = model.get_parameters()
    height, width = node.output(0).get_partial_shape()[2], node.output(0).get_partial_shape()[3]
    shape = openvino.PartialShape([openvino.Dimension(), height, width, openvino.Dimension(depth)])
    parameter = ops.parameter(shape, np.float32)
    channels_first = ops.transpose(parameter, ops.constant([0, 3, 1, 2]))
    for target in node.output(0).get_target_inputs():
        target.replace_source_output(channels_first.output(0))
    model.add_parameters([parameter])
    model.remove_parameter(before)
    model.validate_nodes_and_infer_types()
