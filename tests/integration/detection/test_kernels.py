"""The wish for direct convolutions: that OpenVINO follows it, and that it changes nothing but the time."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from annotator.networks.mtcnn import mtcnn_networks
from annotator.networks.sface import sface_definition
from annotator.runtime.conversion import DIRECT_FILE, converted, weights_of
from annotator.runtime.kernels import has_quick_direct
from annotator.runtime.network import NetworkDefinition
from annotator.runtime.openvino_engine import OpenvinoEngine

MAX_DIFFERENCES = {"rnet": 1e-5, "onet": 1e-5, "sface": 2e-5}
"""In parts of an output's largest; 1.1e-5 is the most that was seen, of SFace on a processor without AVX-512."""


def networks() -> dict[str, NetworkDefinition]:
    return {**mtcnn_networks(), "sface": sface_definition()[0]}


def run(graph: Path, batch: Any) -> tuple[list[Any], list[str]]:
    """Return the outputs, and which kernels the convolutions had."""
    core = openvino.Core()
    model = core.read_model(graph, weights_of(graph))
    model.reshape(list(batch.shape))
    settings = {"PERF_COUNT": True, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    outputs = [np.array(output) for output in request.infer({0: batch}).values()]
    kernels = [step.exec_type for step in request.get_profiling_info() if step.node_type == "Convolution"]
    return outputs, kernels


@pytest.mark.parametrize("name", ["rnet", "onet", "sface"])
def test_direct_convolutions_give_the_same(network_cache: Path, name: str) -> None:
    (chosen,) = converted([networks()[name]], network_cache)
    height, width, channels = networks()[name].input_shape_hwc
    batch = np.random.default_rng(0).uniform(0, 255, (8, height, width, channels)).astype(np.float32)
    expected, _ = run(chosen, batch)
    found, kernels = run(chosen.with_name(DIRECT_FILE), batch)
    assert len(kernels) > 3
    of_cpu = [openvino.Core().get_property("CPU", name) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
    assert not has_quick_direct(*of_cpu) or {kernel.startswith("jit_avx512") for kernel in kernels} == {True}
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=MAX_DIFFERENCES[name] * np.abs(other).max())


def test_networks_whose_layers_are_narrow_are_run_as_openvino_chooses() -> None:
    assert [name for name, network in networks().items() if network.direct_on_amd] == ["rnet", "onet", "sface"]


def test_only_processors_of_amd_with_avx512_are_taken_for_such() -> None:
    zen_4, zen_3, intel = (
        ("AMD EPYC 9R14 96-Core Processor", ["BF16", "WINOGRAD", "FP32", "INT8"]),
        ("AMD EPYC 7R13 Processor", ["FP32", "INT8"]),
        ("Intel(R) Xeon(R) Platinum 8488C", ["BF16", "WINOGRAD", "FP32", "INT8"]),
    )
    assert [has_quick_direct(*processor) for processor in (zen_4, zen_3, intel)] == [True, False, False]


def test_a_processor_of_amd_without_avx512_runs_what_openvino_chooses(network_cache: Path) -> None:
    graphs = []

    class Zen3:
        def get_property(self, _: str, name: str) -> Any:
            return {"FULL_DEVICE_NAME": "AMD EPYC 7R13 Processor", "OPTIMIZATION_CAPABILITIES": ["FP32", "INT8"]}[name]

        def read_model(self, graph: bytes, weights: openvino.Tensor) -> openvino.Model:
            graphs.append(graph)
            return openvino.Core().read_model(graph, weights)

    (chosen,) = converted([mtcnn_networks()["rnet"]], network_cache)
    engine = OpenvinoEngine(threads=1, cache_dir=network_cache)
    engine._core = Zen3()
    engine._read(mtcnn_networks()["rnet"], chosen, "f32")
    assert graphs == [chosen.read_bytes()]


def unnumbered(graph: bytes) -> bytes:
    """Return a graph without the numbers in its names, which tell what else the same child has converted."""
    return re.sub(rb'(names?="[A-Za-z]+_?)\d+', rb"\1", graph)


def test_a_direct_graph_that_was_changed_is_made_anew(tmp_path: Path, network_cache: Path) -> None:
    network = mtcnn_networks()["rnet"]
    (kept,) = converted([network], network_cache)
    copied = shutil.copytree(kept.parent, tmp_path / kept.parent.name)
    direct = copied / DIRECT_FILE
    written = direct.read_bytes()
    changed = written.replace(b"jit_avx512", b"ref_any")
    direct.write_bytes(changed)
    assert converted([network], tmp_path) == [copied / kept.name]
    assert unnumbered(direct.read_bytes()) == unnumbered(written) != unnumbered(changed)
