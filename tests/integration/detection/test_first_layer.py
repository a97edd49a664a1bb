"""Networks whose first layer the compiled part computes: which they are, and that their outputs stay."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino
import openvino.opset14 as ops
import pytest

from annotator.native import FirstLayer
from annotator.networks.mtcnn import mtcnn_networks
from annotator.networks.sface import sface_definition
from annotator.runtime.conversion import converted, weights_of
from annotator.runtime.first_layer import take_first_layer
from annotator.runtime.kernels import has_slow_first_layers
from annotator.runtime.openvino_engine import OpenvinoEngine

MAX_DIFFERENCE = 1e-5
"""In parts of an output's largest; see tests/contract/test_engines.py."""

needs_avx2 = pytest.mark.skipif(not FirstLayer.is_there(), reason="this processor has no AVX2, or is none of x86-64")


def read(graph: Path) -> openvino.Model:
    return openvino.Core().read_model(graph, weights_of(graph))


def run(model: openvino.Model, batch: Any) -> list[Any]:
    model.reshape(list(batch.shape))
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    return [np.array(output) for output in request.infer({0: batch}).values()]


@needs_avx2
@pytest.mark.parametrize("name", ["pnet", "rnet", "onet"])
def test_a_network_gives_the_same_without_its_first_layer_and_with_the_compiled_one(
    network_cache: Path, name: str
) -> None:
    network = mtcnn_networks()[name]
    (graph,) = converted([network], network_cache)
    height, width, channels = (
        length or side for length, side in zip(network.input_shape_hwc, (63, 90, 3), strict=True)
    )
    batch = np.random.default_rng(0).uniform(0, 255, (3, height, width, channels)).astype(np.float32)
    expected = run(read(graph), batch)
    model = read(graph)
    layer = take_first_layer(model)
    assert layer is not None
    assert "MaxPool" not in [node.get_type_name() for node in model.get_ordered_ops()][:5]
    seen = np.empty(layer.shape_of(batch.shape), np.float32)
    layer.into(seen, batch)
    found = run(model, seen)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=MAX_DIFFERENCE * np.abs(other).max())


@needs_avx2
def test_a_network_with_another_beginning_is_left_as_it_is(network_cache: Path) -> None:
    (graph,) = converted([sface_definition()[0]], network_cache)
    model = read(graph)
    names = [node.get_friendly_name() for node in model.get_ordered_ops()]
    assert take_first_layer(model) is None
    assert [node.get_friendly_name() for node in model.get_ordered_ops()] == names


def made(**changes: Any) -> openvino.Model:
    """Return a graph of one first layer and something behind it, with some changes."""
    given: dict[str, Any] = {
        "shape": [-1, 24, 24, 3],
        "side": 3,
        "strides": [1, 1],
        "pads": [0, 0],
        "depth": 10,
        "kernel": 3,
        "pool": 3,
        "pool_strides": [2, 2],
        "auto_pad": "same_upper",
        "is_seen_twice": False,
        **changes,
    }
    random, depth = np.random.default_rng(0), given["depth"]
    picture = ops.parameter(given["shape"], np.float32)
    one = np.ones((1, 1, 1, 1), np.float32)
    scaled = ops.add(ops.multiply(picture, ops.constant(one / 128)), ops.constant(-one))
    kernel = random.normal(size=(depth, 3, given["kernel"], given["kernel"])).astype(np.float32)
    turned = ops.transpose(scaled, ops.constant([0, 3, 1, 2]))
    found = ops.convolution(turned, ops.constant(kernel), given["strides"], given["pads"], given["pads"], [1, 1])
    found = ops.add(found, ops.constant(random.normal(size=(1, depth, 1, 1)).astype(np.float32)))
    active = ops.prelu(found, ops.constant(random.normal(size=depth).astype(np.float32)))
    pooled = ops.max_pool(
        active,
        given["pool_strides"],
        [1, 1],
        [0, 0],
        [0, 0],
        [given["pool"]] * 2,
        rounding_type="floor",
        auto_pad=given["auto_pad"],
    ).output(0)
    mean = ops.reduce_mean(pooled, ops.constant([2, 3]))
    if given["is_seen_twice"]:
        mean = ops.add(mean, ops.reduce_mean(active, ops.constant([2, 3])))
    return openvino.Model([mean], [picture])


@needs_avx2
@pytest.mark.parametrize("changes", [{}, {"pool": 2}, {"pool": 2, "shape": [-1, -1, -1, 3]}, {"depth": 32}])
def test_a_first_layer_of_the_known_kind_is_taken_out(changes: dict[str, Any]) -> None:
    batch = np.random.default_rng(1).uniform(0, 255, (2, 24, 24, 3)).astype(np.float32)
    (expected,) = run(made(**changes), batch)
    model = made(**changes)
    layer = take_first_layer(model)
    assert layer is not None
    seen = np.empty(layer.shape_of(batch.shape), np.float32)
    layer.into(seen, batch)
    (found,) = run(model, seen)
    np.testing.assert_allclose(found, expected, rtol=0, atol=MAX_DIFFERENCE * np.abs(expected).max())


@needs_avx2
@pytest.mark.parametrize(
    "changes",
    [
        {"strides": [2, 2]},
        {"pads": [1, 1]},
        {"depth": 8},
        {"depth": 40},
        {"kernel": 5},
        {"pool": 4},
        {"pool_strides": [1, 1]},
        {"auto_pad": "valid"},
        {"auto_pad": "same_lower"},
        {"shape": [-1, 25, 24, 3]},
        {"shape": [-1, -1, -1, 3]},
        {"is_seen_twice": True},
    ],
)
def test_a_first_layer_of_another_kind_stays(changes: dict[str, Any]) -> None:
    model = made(**changes)
    count = len(model.get_ordered_ops())
    assert take_first_layer(model) is None
    assert len(model.get_ordered_ops()) == count


@needs_avx2
def test_where_openvino_computes_them_slowly_the_engine_takes_out_those_of_the_cascade(network_cache: Path) -> None:
    engine = OpenvinoEngine(threads=1, cache_dir=network_cache)
    is_slow = has_slow_first_layers(engine._core.get_property("CPU", "FULL_DEVICE_NAME"))
    networks = [*mtcnn_networks().values(), sface_definition()[0]]
    read = [
        engine._read(network, path) for network, path in zip(networks, converted(networks, network_cache), strict=True)
    ]
    assert [one.first_layer is not None for one in read] == [is_slow, is_slow, is_slow, False]


def test_only_processors_of_amd_are_taken_for_slow() -> None:
    names = ("AMD EPYC 9R14 96-Core Processor", "AMD EPYC 7R13 Processor", "Intel(R) Xeon(R) Platinum 8488C")
    assert [has_slow_first_layers(name) for name in names] == [True, True, False]


@needs_avx2
def test_pictures_in_bytes_or_of_another_order_in_memory_are_read_too(network_cache: Path) -> None:
    runner = OpenvinoEngine(threads=1, cache_dir=network_cache).load(mtcnn_networks()["rnet"])
    batch = np.random.default_rng(0).integers(0, 256, (4, 24, 24, 3), np.uint8)
    expected = runner(batch.astype(np.float32))
    turned = np.asfortranarray(batch.astype(np.float32))
    for given in (batch, turned):
        for one, other in zip(runner(given), expected, strict=True):
            np.testing.assert_array_equal(one, other)
