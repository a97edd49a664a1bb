"""Both engines keep one contract and give the same outputs, for every network that is defined."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest

from annotator.errors import ConfigError, DeviceMemoryError
from annotator.networks.mtcnn import mtcnn_networks
from annotator.networks.sface import sface_definition
from annotator.runtime import create_engine
from annotator.runtime.network import Engine, NetworkDefinition
from annotator.runtime.openvino_engine import OpenvinoEngine
from tests.optional import import_optional

MAX_DIFFERENCE = 1e-5
"""Of two engines, in parts of a network's largest output: 4e-7 is usual in P-, R- and O-Net, 5e-6 in SFace."""

FREE_SIDE_PX = 64

BATCH = 3
"""Or 1, in all tests: TensorFlow compiles a network anew for each size of batch, and SFace takes seconds for that."""

DEFINITIONS = {**mtcnn_networks(), "sface": sface_definition()[0]}


def pictures(network: NetworkDefinition, count: int, seed: int = 0) -> Any:
    shape = [length or FREE_SIDE_PX for length in network.input_shape_hwc]
    return np.random.default_rng(seed).uniform(0, 255, (count, *shape)).astype(np.float32)


@pytest.fixture(scope="session")
def engines(network_cache: Path) -> dict[str, Engine]:
    import_optional("tensorflow")
    from annotator.runtime.tensorflow_engine import TensorflowEngine  # noqa: PLC0415 - it takes seconds

    return {
        "openvino": OpenvinoEngine(threads=2, cache_dir=network_cache),
        "tensorflow": TensorflowEngine(device="cpu"),
    }


@pytest.fixture(scope="session")
def runners(engines: dict[str, Engine]) -> dict[tuple[str, str], Any]:
    return {
        (kind, name): runner
        for kind, engine in engines.items()
        for name, runner in zip(DEFINITIONS, engine.load_all(list(DEFINITIONS.values())), strict=True)
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", DEFINITIONS)
class TestEngines:
    def test_both_engines_give_the_same_outputs(self, runners: Any, name: str) -> None:
        batch = pictures(DEFINITIONS[name], BATCH)
        one, other = runners["openvino", name](batch), runners["tensorflow", name](batch)
        assert [output.shape for output in one] == [output.shape for output in other]
        for mine, theirs in zip(one, other, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=MAX_DIFFERENCE * np.abs(theirs).max())

    @pytest.mark.parametrize("kind", ["openvino", "tensorflow"])
    def test_a_picture_gets_the_same_outputs_in_any_batch(self, runners: Any, kind: str, name: str) -> None:
        run, batch = runners[kind, name], pictures(DEFINITIONS[name], BATCH)
        for together, alone in zip(run(batch), run(batch[1:2]), strict=True):
            np.testing.assert_allclose(together[1:2], alone, rtol=0, atol=MAX_DIFFERENCE * np.abs(together).max())

    @pytest.mark.parametrize("kind", ["openvino", "tensorflow"])
    def test_several_threads_get_the_outputs_of_their_own_pictures(self, runners: Any, kind: str, name: str) -> None:
        run = runners[kind, name]
        batches = [pictures(DEFINITIONS[name], 1, seed) for seed in range(8)]
        expected = [run(batch) for batch in batches]
        with ThreadPoolExecutor(4) as pool:
            for mine, theirs in zip(pool.map(run, batches), expected, strict=True):
                for one, other in zip(mine, theirs, strict=True):
                    np.testing.assert_allclose(one, other, rtol=0, atol=MAX_DIFFERENCE * np.abs(other).max())

    @pytest.mark.parametrize("kind", ["openvino", "tensorflow"])
    def test_outputs_are_float32_and_belong_to_the_caller(self, runners: Any, kind: str, name: str) -> None:
        run = runners[kind, name]
        first = run(pictures(DEFINITIONS[name], BATCH, 1))
        kept = [output.copy() for output in first]
        run(pictures(DEFINITIONS[name], BATCH, 2))
        for output, copy in zip(first, kept, strict=True):
            assert output.dtype == np.float32
            assert output.flags.writeable
            np.testing.assert_array_equal(output, copy)

    @pytest.mark.parametrize("kind", ["openvino", "tensorflow"])
    def test_a_runner_says_which_precision_it_really_uses(
        self, engines: Any, runners: Any, kind: str, name: str
    ) -> None:
        whole, half = runners[kind, name], engines[kind].load(DEFINITIONS[name], precision="bf16")
        assert whole.precision == "f32"
        batch = pictures(DEFINITIONS[name], 1)
        exact, other = whole(batch), half(batch)
        largest = max(np.abs(a - b).max() / np.abs(a).max() for a, b in zip(exact, other, strict=True))
        assert half.precision in {"openvino": {"f32", "bf16"}, "tensorflow": {"f16"}}[kind]
        assert (largest > 1e-4) == (half.precision != "f32")
        assert all(output.dtype == np.float32 for output in other)

    @pytest.mark.parametrize("kind", ["openvino", "tensorflow"])
    def test_whole_numbers_may_be_given_as_bytes(self, runners: Any, kind: str, name: str) -> None:
        run, batch = runners[kind, name], pictures(DEFINITIONS[name], BATCH).astype(np.uint8)
        for mine, theirs in zip(run(batch), run(batch.astype(np.float32)), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=MAX_DIFFERENCE * np.abs(theirs).max())

    @pytest.mark.parametrize("kind", ["openvino", "tensorflow"])
    def test_what_is_wanted_of_the_outputs_can_be_taken_without_copying_them_all(
        self, runners: Any, kind: str, name: str
    ) -> None:
        run, batch = runners[kind, name], pictures(DEFINITIONS[name], BATCH)
        taken = run(batch, lambda outputs: tuple(output[1:2].copy() for output in outputs))
        for mine, theirs in zip(taken, run(batch), strict=True):
            np.testing.assert_allclose(mine, theirs[1:2], rtol=0, atol=MAX_DIFFERENCE * np.abs(theirs).max())

    @pytest.mark.parametrize("kind", ["openvino", "tensorflow"])
    def test_what_goes_wrong_while_taking_leaves_the_network_as_it_was(
        self, runners: Any, kind: str, name: str
    ) -> None:
        run, batch = runners[kind, name], pictures(DEFINITIONS[name], BATCH)
        expected = run(batch)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                run(batch, lambda outputs: (len(outputs) // 0,))
        for mine, theirs in zip(run(batch), expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=MAX_DIFFERENCE * np.abs(theirs).max())

    @pytest.mark.parametrize("kind", ["openvino", "tensorflow"])
    def test_a_batch_of_before_is_not_written_to(self, runners: Any, kind: str, name: str) -> None:
        run, batch = runners[kind, name], pictures(DEFINITIONS[name], BATCH)
        kept = batch.copy()
        run(batch)
        run(pictures(DEFINITIONS[name], BATCH, 7).astype(np.uint8))
        np.testing.assert_array_equal(batch, kept)

    @pytest.mark.parametrize("kind", ["openvino", "tensorflow"])
    def test_a_batch_may_lie_anywhere_and_is_left_as_it_is(self, runners: Any, kind: str, name: str) -> None:
        run, batch = runners[kind, name], pictures(DEFINITIONS[name], BATCH)
        expected, kept = run(batch), batch.copy()
        read_only = batch.view()
        read_only.flags.writeable = False
        apart = np.repeat(batch, 2, axis=0)[::2]
        unaligned = np.zeros(batch.size + 1, np.float32)[1:].reshape(batch.shape)
        unaligned[...] = batch
        for given in (read_only, apart, unaligned):
            for mine, theirs in zip(run(given), expected, strict=True):
                np.testing.assert_allclose(mine, theirs, rtol=0, atol=MAX_DIFFERENCE * np.abs(theirs).max())
            np.testing.assert_array_equal(given, kept)


@pytest.mark.slow
def test_batches_of_several_threads_are_with_tensorflow_at_the_same_time(engines: Any, monkeypatch: Any) -> None:
    run = engines["tensorflow"].load(DEFINITIONS["rnet"])
    inside, both = run._runner._run, Barrier(2)

    def meet(tensor: Any) -> Any:
        both.wait(timeout=10)
        return inside(tensor)

    monkeypatch.setattr(run._runner, "_run", meet)
    with ThreadPoolExecutor(2) as pool:
        assert len(list(pool.map(run, [pictures(DEFINITIONS["rnet"], 2)] * 2))) == 2


@pytest.mark.slow
def test_asking_for_a_gpu_where_none_is_is_an_error_and_never_a_silent_cpu(tmp_path: Path) -> None:
    tensorflow = import_optional("tensorflow")
    if tensorflow.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigError, match="sees no GPU"):
        create_engine("gpu", threads=None, cache_dir=tmp_path)


@pytest.mark.slow
class TestMemory:
    """A batch that does not fit, in each engine: its own error of memory, raised where the engine would raise it."""

    def test_tensorflow_runs_in_halves_what_it_has_no_memory_for(self, engines: Any, monkeypatch: Any) -> None:
        import tensorflow as tf  # noqa: PLC0415 - it takes seconds

        run = engines["tensorflow"].load(DEFINITIONS["rnet"])
        batch = pictures(DEFINITIONS["rnet"], 6)
        expected = run(batch)
        inside, sizes = run._runner._run, []

        def small(tensor: Any) -> Any:
            sizes.append(int(tensor.shape[0]))
            if sizes[-1] > 2:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
            return inside(tensor)

        monkeypatch.setattr(run._runner, "_run", small)
        for mine, theirs in zip(run(batch), expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=MAX_DIFFERENCE * np.abs(theirs).max())
        assert sizes == [6, 3, 2, 2, 2, 2]
        sizes.clear()
        run(batch)
        assert sizes == [2, 2, 2]

    def test_a_network_that_has_no_room_on_the_device_is_refused_in_a_sentence(
        self, engines: Any, monkeypatch: Any
    ) -> None:
        import tensorflow as tf  # noqa: PLC0415 - it takes seconds

        def fail(*_: Any) -> None:
            raise tf.errors.InternalError(None, None, "cudaSetDevice() on GPU:0 failed. Status: out of memory")

        monkeypatch.setattr("annotator.runtime.tensorflow_engine.build_model", fail)
        with pytest.raises(DeviceMemoryError, match="no memory for the network rnet: give it more"):
            engines["tensorflow"].load(DEFINITIONS["rnet"])

    def test_openvino_runs_in_halves_what_it_has_no_memory_for(self, engines: Any, monkeypatch: Any) -> None:
        run = engines["openvino"].load(DEFINITIONS["rnet"])
        batch = pictures(DEFINITIONS["rnet"], 6)
        expected = run(batch)
        inside = run._runner._for_shape

        def small(shape: tuple[int, ...]) -> Any:
            if shape[0] > 2:
                raise RuntimeError(
                    "Exception from src/plugins/intel_cpu/src/memory.cpp: could not create a memory object"
                )
            return inside(shape)

        monkeypatch.setattr(run._runner, "_for_shape", small)
        for mine, theirs in zip(run(batch), expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=MAX_DIFFERENCE * np.abs(theirs).max())
