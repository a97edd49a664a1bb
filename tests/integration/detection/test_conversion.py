"""The child process that converts a network, and the cache of what it made."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from annotator.errors import ConfigError, ModelError
from annotator.networks.mtcnn import mtcnn_networks
from annotator.networks.sface import sface_definition
from annotator.runtime import conversion
from annotator.runtime.openvino_engine import MAX_SHAPES, OpenvinoEngine

RUN_RNET = """
import sys
from pathlib import Path
import numpy as np
from annotator.networks.mtcnn import mtcnn_networks
from annotator.runtime import create_engine
runner = create_engine("cpu", threads=1, cache_dir=Path(sys.argv[1])).load(mtcnn_networks()["rnet"])
print(runner(np.full((1, 24, 24, 3), 100, np.float32))[0].tobytes().hex())
print([name for name in ("keras", "tensorflow", "joblib", "onnx") if name in sys.modules])
"""


def rnet_of_a_process(cache_dir: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", RUN_RNET, str(cache_dir)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def no_child(*_: Any, **__: Any) -> None:
    pytest.fail("a network that lies in the cache was converted again")


def test_two_processes_that_convert_at_once_both_get_the_network_and_neither_imports_keras(tmp_path: Path) -> None:
    children = [rnet_of_a_process(tmp_path) for _ in range(2)]
    outputs = [child.communicate(timeout=120) for child in children]
    assert [child.returncode for child in children] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert outputs[0][0].splitlines()[1] == "[]"
    assert len(list(tmp_path.glob("rnet-*"))) == 1
    assert list(tmp_path.glob(".converting-*")) == []


def test_a_network_in_the_cache_is_not_converted_again_and_its_weights_are_not_read(
    network_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = mtcnn_networks()["rnet"]
    conversion.converted([network], network_cache)
    monkeypatch.setattr(subprocess, "run", no_child)
    unread = replace(network, load_weights=no_child)
    assert conversion.converted([unread], network_cache)[0].is_file()


def test_several_networks_are_converted_by_one_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    run = subprocess.run

    def counted(*arguments: Any, **options: Any) -> Any:
        started.append(arguments)
        return run(*arguments, **options)

    monkeypatch.setattr(subprocess, "run", counted)
    networks = list(mtcnn_networks().values())
    assert [path.is_file() for path in conversion.converted(networks, tmp_path)] == [True] * 3
    assert len(started) == 1


def test_other_weights_or_another_definition_are_another_network_in_the_cache() -> None:
    network = mtcnn_networks()["rnet"]
    others = [
        replace(network, weights_digest="0" * 64),
        replace(network, build="annotator.networks.mtcnn:build_onet"),
        replace(network, input_shape_hwc=(25, 24, 3)),
    ]
    assert len({entry.digest for entry in (network, *others)}) == 4


def test_a_cached_file_that_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    network = mtcnn_networks()["rnet"]
    (path,) = conversion.converted([network], tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    runner = OpenvinoEngine(threads=1, cache_dir=tmp_path).load(network)
    assert runner(np.zeros((1, 24, 24, 3), np.float32))[0].shape == (1, 4)
    assert len(path.read_bytes()) > len(whole) // 2


def test_a_cached_file_with_a_flipped_bit_is_made_anew(tmp_path: Path) -> None:
    network = mtcnn_networks()["rnet"]
    (path,) = conversion.converted([network], tmp_path)
    weights = path.with_suffix(".bin")
    right = weights.read_bytes()
    weights.write_bytes(right[:1000] + bytes([right[1000] ^ 0x40]) + right[1001:])
    conversion.converted([network], tmp_path)
    assert weights.read_bytes() == right


def test_a_cache_folder_that_cannot_be_made_is_said_with_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="ANNOTATOR_CACHE_DIR"):
        conversion.converted([mtcnn_networks()["rnet"]], tmp_path / "file" / "networks")


def test_a_cache_folder_that_cannot_be_written_is_said_with_the_setting() -> None:
    nobodys = Path("/proc/self")  # a folder that not even root can put anything into
    with pytest.raises(ConfigError, match=r"/proc/self cannot be written: .*ANNOTATOR_CACHE_DIR"):
        conversion.converted([mtcnn_networks()["rnet"]], nobodys)


def test_a_network_that_cannot_be_put_into_its_place_is_said_with_the_setting(tmp_path: Path) -> None:
    network = mtcnn_networks()["rnet"]
    (tmp_path / f"rnet-{conversion._cache_key(network)}").write_text("in the way")
    with pytest.raises(ConfigError, match=r"cannot be written: .*ANNOTATOR_CACHE_DIR"):
        conversion.converted([network], tmp_path)
    assert list(tmp_path.glob(".converting-*")) == []


def test_a_definition_that_cannot_be_built_is_a_model_error_with_the_childs_last_words(tmp_path: Path) -> None:
    network = replace(mtcnn_networks()["rnet"], build="annotator.networks.mtcnn:build_nothing")
    with pytest.raises(ModelError, match="build_nothing"):
        conversion.converted([network], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_network_are_a_model_error(tmp_path: Path) -> None:
    networks = mtcnn_networks()
    network = replace(networks["rnet"], load_weights=networks["onet"].load_weights)
    with pytest.raises(ModelError, match="weights do not belong to"):
        conversion.converted([network], tmp_path)


def test_a_processor_without_bf16_computes_in_f32_and_says_so(network_cache: Path) -> None:
    class OldCore:
        def __init__(self, core: Any) -> None:
            self._core = core

        def get_property(self, device: str, name: str) -> Any:
            values = self._core.get_property(device, name)
            return [value for value in values if value != "BF16"] if name == "OPTIMIZATION_CAPABILITIES" else values

        def __getattr__(self, name: str) -> Any:
            return getattr(self._core, name)

    engine = OpenvinoEngine(threads=1, cache_dir=network_cache)
    engine._core = OldCore(engine._core)
    assert engine.load(mtcnn_networks()["rnet"], precision="bf16").precision == "f32"


def test_a_runner_forgets_the_shapes_that_are_unused_for_longest(network_cache: Path) -> None:
    runner = OpenvinoEngine(threads=1, cache_dir=network_cache).load(mtcnn_networks()["rnet"])
    for count in range(1, MAX_SHAPES + 3):
        runner(np.zeros((count, 24, 24, 3), np.float32))
    assert [shape[0] for shape in runner._runner._requests] == list(range(3, MAX_SHAPES + 3))


@pytest.mark.parametrize("name", ["rnet", "sface"])
def test_what_follows_a_convolution_is_in_its_weights_already(network_cache: Path, name: str) -> None:
    definition = sface_definition()[0] if name == "sface" else mtcnn_networks()[name]
    (path,) = conversion.converted([definition], network_cache)
    operations = openvino.Core().read_model(path).get_ordered_ops()
    convolutions = [operation for operation in operations if operation.get_type_name().endswith("Convolution")]
    assert len(convolutions) > 3
    followers = {
        target.get_node().get_type_name()
        for convolution in convolutions
        for target in convolution.output(0).get_target_inputs()
    }
    assert "Multiply" not in followers
