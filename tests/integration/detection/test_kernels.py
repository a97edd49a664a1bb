"""The wish for direct convolutions: that OpenVINO follows it, and that it changes nothing but the time."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from annotator.networks.mtcnn import mtcnn_networks
from annotator.networks.sface import sface_definition
from annotator.runtime.conversion import DIRECT_FILE, converted, weights_of
from annotator.runtime.kernels import is_amd
from annotator.runtime.network import NetworkDefinition

MAX_DIFFERENCE = 1e-5
"""In parts of an output's largest; see tests/contract/test_engines.py."""

has_avx512 = "avx512f" in Path("/proc/cpuinfo").read_text()


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
    assert not has_avx512 or {kernel.startswith("jit_avx512") for kernel in kernels} == {True}
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=MAX_DIFFERENCE * np.abs(other).max())


def test_networks_whose_layers_are_narrow_are_run_as_openvino_chooses() -> None:
    assert [name for name, network in networks().items() if network.direct_on_amd] == ["rnet", "onet", "sface"]


def test_only_processors_of_amd_are_taken_for_such() -> None:
    assert is_amd("AMD EPYC 9R14 96-Core Processor")
    assert not is_amd("Intel(R) Xeon(R) Platinum 8488C")


def test_a_direct_graph_that_was_changed_is_made_anew(tmp_path: Path) -> None:
    network = mtcnn_networks()["rnet"]
    (chosen,) = converted([network], tmp_path)
    direct = chosen.with_name(DIRECT_FILE)
    written = direct.read_bytes()
    direct.write_bytes(written.replace(b"jit_avx512", b"ref_any"))
    converted([network], tmp_path)
    assert direct.read_bytes() == written
