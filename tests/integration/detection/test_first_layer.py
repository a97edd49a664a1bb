"""Networks whose first layer the compiled part computes: which they are, and that their outputs stay."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import openvino.opset14 as ops
import pytest

from annotator.native import FirstLayer
from annotator.networks.mtcnn import mtcnn_networks
from annotator.networks.sface import sface_definition
from annotator.runtime import openvino_engine
from annotator.runtime.conversion import converted, weights_of
from annotator.runtime.first_layer import has_slow_first_layers, take_first_layer
from annotator.runtime.openvino_engine import OpenvinoEngine

MAX_DIFFERENCE = 1e-5
"""In parts of an output's largest; see tests/contract/test_engines.py."""

MAX_DIFFERENCE_BF16 = 0.05
"""Of two ways to bfloat16, which keeps eight bits: one of them has its first layer in float32."""

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
    (behind,) = model.inputs
    assert behind.partial_shape[3].get_length() == layer.shape_of(batch.shape)[3]
    kinds = [[node.get_type_name() for node in one.get_ordered_ops()] for one in (read(graph), model)]
    assert [kinds[1].count(kind) - kinds[0].count(kind) for kind in ("Convolution", "PRelu", "MaxPool")] == [-1, -1, -1]
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
        "order": [0, 3, 1, 2],
        "strides": [1, 1],
        "pads": [0, 0],
        "padded": "explicit",
        "depth": 10,
        "kernel": 3,
        "scales": 1,
        "slopes": None,
        "pool": 3,
        "pool_strides": [2, 2],
        "dilations": [1, 1],
        "auto_pad": "same_upper",
        "is_seen_twice": False,
        "has_places": False,
        "has_another_input": False,
        "is_half": False,
        **changes,
    }
    random, depth = np.random.default_rng(0), given["depth"]
    picture = ops.parameter(given["shape"], np.float32)
    one = np.ones((1, 1, 1, given["scales"]), np.float32)
    scaled = ops.add(ops.multiply(picture, ops.constant(one / 128)), ops.constant(-one))
    kernel = random.normal(size=(depth, 3, given["kernel"], given["kernel"])).astype(np.float32)
    weights = ops.constant(kernel)
    if given["is_half"]:
        weights = ops.convert(ops.constant(kernel.astype(np.float16)), "f32")
    turned = ops.transpose(scaled, ops.constant(given["order"]))
    pads = given["pads"]
    found = ops.convolution(turned, weights, given["strides"], pads, pads, [1, 1], auto_pad=given["padded"])
    found = ops.add(found, ops.constant(random.normal(size=(1, depth, 1, 1)).astype(np.float32)))
    active = ops.prelu(found, ops.constant(random.normal(size=given["slopes"] or depth).astype(np.float32)))
    pooled = ops.max_pool(
        active,
        given["pool_strides"],
        given["dilations"],
        [0, 0],
        [0, 0],
        [given["pool"]] * 2,
        rounding_type="floor",
        auto_pad=given["auto_pad"],
    )
    mean = ops.reduce_mean(pooled.output(0), ops.constant([2, 3]))
    if given["is_seen_twice"]:
        mean = ops.add(mean, ops.reduce_mean(active, ops.constant([2, 3])))
    if given["has_places"]:
        mean = ops.add(mean, ops.convert(ops.reduce_max(pooled.output(1), ops.constant([2, 3])), "f32"))
    inputs = [picture]
    if given["has_another_input"]:
        inputs.append(ops.parameter([1], np.float32))
        mean = ops.multiply(mean, inputs[1])
    return openvino.Model([mean], inputs)


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
        {"order": [0, 3, 2, 1]},
        {"padded": "same_upper", "pool": 2, "shape": [-1, -1, -1, 3]},
        {"dilations": [2, 2]},
        {"has_places": True},
        {"has_another_input": True},
        {"is_half": True},
        {"scales": 3},
        {"slopes": 1},
    ],
)
def test_a_first_layer_of_another_kind_stays(changes: dict[str, Any]) -> None:
    model = made(**changes)
    count = len(model.get_ordered_ops())
    assert take_first_layer(model) is None
    assert len(model.get_ordered_ops()) == count


@needs_avx2
def test_where_openvino_computes_them_slowly_the_engine_takes_out_those_of_the_cascade(
    network_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = [*mtcnn_networks().values(), sface_definition()[0]]
    for is_slow in (True, False):
        monkeypatch.setattr(openvino_engine, "has_slow_first_layers", lambda *_, it=is_slow: it)
        engine = OpenvinoEngine(threads=1, cache_dir=network_cache)
        paths = zip(networks, converted(networks, network_cache), strict=True)
        found = [engine._read(network, path, "f32").first_layer for network, path in paths]
        assert [one is not None for one in found] == [is_slow, is_slow, is_slow, False]


def test_only_processors_of_amd_in_float32_are_taken_for_slow() -> None:
    zen_4, zen_3, intel = (
        "AMD EPYC 9R14 96-Core Processor",
        "AMD EPYC 7R13 Processor",
        "Intel(R) Xeon(R) Platinum 8488C",
    )
    assert [has_slow_first_layers(name, "f32") for name in (zen_4, zen_3, intel)] == [True, True, False]
    assert not has_slow_first_layers(zen_4, "bf16")


@needs_avx2
@pytest.mark.parametrize("name", ["pnet", "rnet", "onet"])
@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_the_engine_gives_the_same_with_either(
    network_cache: Path, monkeypatch: pytest.MonkeyPatch, name: str, precision: Any
) -> None:
    network = mtcnn_networks()[name]
    height, width, _ = (length or 50 for length in network.input_shape_hwc)
    random = np.random.default_rng(0)
    batches = [random.integers(0, 256, (4, height, width, 3)).astype(np.float32) for _ in range(8)]
    runners = []
    for is_slow in (True, False):
        monkeypatch.setattr(openvino_engine, "has_slow_first_layers", lambda *_, it=is_slow: it)
        runners.append(OpenvinoEngine(threads=2, cache_dir=network_cache).load(network, precision=precision))
    split, whole = runners
    allowed = MAX_DIFFERENCE if split.precision == "f32" else MAX_DIFFERENCE_BF16
    with ThreadPoolExecutor(2) as pool:
        for mine, theirs in zip(pool.map(split, batches), map(whole, batches), strict=True):
            for one, other in zip(mine, theirs, strict=True):
                np.testing.assert_allclose(one, other, rtol=0, atol=allowed * np.abs(other).max())
    expected = split(batches[0])
    unaligned = np.frombuffer(b"?" + batches[0].tobytes(), np.float32, offset=1).reshape(batches[0].shape)
    for given in (batches[0].astype(np.uint8), np.asfortranarray(batches[0]), unaligned):
        for one, other in zip(split(given), expected, strict=True):
            np.testing.assert_array_equal(one, other)
