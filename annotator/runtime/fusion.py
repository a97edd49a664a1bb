"""Rewrites what Keras's OpenVINO back end exports into what OpenVINO runs fast; the values stay the same.

Keras writes a PReLU as ``relu(x) - alpha * relu(-x)``, and wraps every convolution in two transpositions between its
own channels-last order and OpenVINO's channels-first order. Both keep OpenVINO from fusing bias and activation into
the convolution: P-Net runs at 13 to 17 megapixels a second and core as exported, at 20 to 23 when rewritten.
A graph that holds none of these patterns passes unchanged.

What OpenVINO does to any graph before it compiles it is done here, too, once and for all: left to each compilation, a
scale that is multiplied into the weights of a convolution makes a copy of them, which stays in memory beside the
file's. Outputs are the same to the last bit.
"""

from typing import Any, Final, TypeAlias

import numpy as np
from openvino import Model, opset13
from openvino._offline_transformations import apply_moc_transformations
from openvino.passes import ConstantFolding, Manager

_TO_LAST: Final = (0, 2, 3, 1)
"""The transposition from channels-first to channels-last."""

_TO_FIRST: Final = (0, 3, 1, 2)
"""The transposition back."""

_SWAPPED: Final = (0, 3, 2, 1)
"""The exchange of two axes by which Keras brings the channels to where a batch normalisation wants them, and back."""

_RANK: Final = 4

_Node: TypeAlias = Any
"""A node, output or constant of OpenVINO, which has no types here."""


def tidy(model: Model) -> Model:
    """Rewrite a model in place.

    Args:
        model: as Keras exports it.

    Returns:
        The same model: PReLUs are one operation, batch normalisations are part of their convolutions, and element-wise
        operations stand in channels-first order right behind them.

    """
    _fold_constants(model)
    for rewrite in (_drop_conversion, _join_prelu, _open_batch_norm, _sink_transposition):
        for node in model.get_ordered_ops():
            rewrite(node)
        model.validate_nodes_and_infer_types()
    apply_moc_transformations(model, cf=True)
    return model


def _fold_constants(model: Model) -> None:
    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(model)


def _source(node: _Node, index: int) -> _Node:
    return node.input_value(index).get_node()


def _is(node: _Node, kind: str) -> bool:
    return str(node.get_type_name()) == kind


def _drop_conversion(node: _Node) -> None:
    if _is(node, "Convert") and node.input_value(0).get_element_type() == node.output(0).get_element_type():
        node.output(0).replace(node.input_value(0))


def _join_prelu(node: _Node) -> None:
    """Replace ``Add(Relu(x), Multiply(c, Relu(Negative(x))))``, where c is minus the slope, by one PRelu."""
    if not _is(node, "Add"):
        return
    for positive, negative in ((0, 1), (1, 0)):
        relu, product = _source(node, positive), _source(node, negative)
        if not (_is(relu, "Relu") and _is(product, "Multiply")):
            continue
        for constant, rest in ((0, 1), (1, 0)):
            slope, mirrored = _source(product, constant), _source(product, rest)
            if not (_is(slope, "Constant") and _is(mirrored, "Relu") and _is(_source(mirrored, 0), "Negative")):
                continue
            if _source(mirrored, 0).input_value(0) == relu.input_value(0):
                joined = opset13.prelu(relu.input_value(0), opset13.constant(-np.asarray(slope.get_data())))
                node.output(0).replace(joined.output(0))
                return


def _open_batch_norm(node: _Node) -> None:
    """Replace a batch normalisation between two swaps of the axes 1 and 3 by a product and a sum without swaps."""
    if _order(node) != _SWAPPED or not _is(_source(node, 0), "BatchNormInference"):
        return
    norm = _source(node, 0)
    before = _source(norm, 0)
    if _order(before) != _SWAPPED or not all(_is(_source(norm, index), "Constant") for index in range(1, 5)):
        return
    gamma, beta, mean, variance = (np.asarray(_source(norm, index).get_data(), np.float64) for index in range(1, 5))
    scale = gamma / np.sqrt(variance + norm.get_attributes()["epsilon"])
    shift = beta - mean * scale
    scaled = opset13.multiply(before.input_value(0), opset13.constant(scale.astype(np.float32).reshape(1, 1, 1, -1)))
    shifted = opset13.add(scaled, opset13.constant(shift.astype(np.float32).reshape(1, 1, 1, -1)))
    node.output(0).replace(shifted.output(0))


def _order(node: _Node) -> tuple[int, ...] | None:
    """Return the axis order of a transposition; None if the node is none."""
    if _is(node, "Transpose") and _is(_source(node, 1), "Constant"):
        return tuple(int(axis) for axis in _source(node, 1).get_data())
    return None


def _sink_transposition(node: _Node) -> None:
    """Move a transposition to channels-last from before an operation to behind it; two that undo each other vanish."""
    if node.get_input_size() == 0 or _order(_source(node, 0)) != _TO_LAST:
        return
    data = _source(node, 0).input_value(0)
    if _order(node) == _TO_FIRST:
        node.output(0).replace(data)
        return
    moved = _moved(node, data)
    if moved is not None:
        node.output(0).replace(opset13.transpose(moved, opset13.constant(np.array(_TO_LAST))).output(0))


def _moved(node: _Node, data: _Node) -> _Node | None:
    """Return the operation on channels-first data, or None where it cannot be moved."""
    if not all(_is(_source(node, index), "Constant") for index in range(1, node.get_input_size())):
        return None
    constants = [np.asarray(_source(node, index).get_data()) for index in range(1, node.get_input_size())]
    kind = str(node.get_type_name())
    if kind == "PRelu":
        slope = constants[0].reshape(-1)
        channels = int(node.get_output_partial_shape(0)[3].get_length())
        return opset13.prelu(data, opset13.constant(slope)) if slope.size == channels else None
    if kind in {"Add", "Subtract", "Multiply"}:
        operation = getattr(opset13, kind.lower())
        return operation(data, opset13.constant(_channels_first(constants[0])))
    if kind == "Pad" and node.get_attributes()["pad_mode"] == "constant":
        begin, end = (values[list(_TO_FIRST)] for values in constants[:2])
        value = opset13.constant(constants[2]) if len(constants) > 2 else None
        return opset13.pad(data, opset13.constant(begin), opset13.constant(end), "constant", value)
    return None


def _channels_first(constant: _Node) -> _Node:
    """Transpose a constant that is broadcast against channels-last data."""
    full = constant.reshape((1,) * (_RANK - constant.ndim) + constant.shape)
    return np.ascontiguousarray(full.transpose(_TO_FIRST))
