"""The engine of the GPU, and of training: TensorFlow, compiled by XLA.

It needs the extra ``[gpu]`` or ``[train]``. TensorFlow is imported when the engine is made, never on import.
"""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Final, Literal

from annotator.errors import ConfigError
from annotator.runtime.batches import LARGE, Batches
from annotator.runtime.halving import HalvingRunner, memory_errors_told, tells_of_memory
from annotator.runtime.network import NetworkDefinition, Precision, build_model
from annotator.types import F32


class TensorflowEngine:
    """Runs networks with TensorFlow under XLA, in float32.

    Args:
        device: ``"gpu"``, or ``"cpu"`` for comparing the engines.
        threads: how many threads an operation may use on the CPU; by default as many as TensorFlow chooses.

    Attributes:
        lanes: how many threads may bring batches: they are cut out on the CPU, by one thread each.
        batches: how much it should get at once; on the CPU, too, which stands in for a GPU there.

    Raises:
        ConfigError: TensorFlow is not installed, Keras already runs on another back end in this process, or no GPU
            can be used; never a silent CPU.

    """

    name: Final = "tensorflow"

    def __init__(self, *, device: Literal["cpu", "gpu"], threads: int | None = None) -> None:
        """Import TensorFlow and look for the device."""
        self._tensorflow = _import_tensorflow()
        config = self._tensorflow.config
        if threads is not None:
            _set_threads(config, threads)
        # The tensor cores' 10-bit mantissa would make a GPU answer differently from a CPU.
        config.experimental.enable_tensor_float_32_execution(False)
        if device == "gpu" and not config.list_physical_devices("GPU"):
            raise ConfigError("TensorFlow sees no GPU: check the NVIDIA driver, or ask for the device cpu")
        for gpu in config.list_physical_devices("GPU") if device == "gpu" else ():
            _let_memory_grow(config, gpu)
        self._device = f"/{device.upper()}:0"
        self.lanes = threads or len(os.sched_getaffinity(0))
        self.batches: Batches = LARGE

    def load(self, network: NetworkDefinition, *, precision: Precision = "f32") -> HalvingRunner:
        """Build a network from its definition; always in f32, whatever the precision asked for.

        Raises:
            ModelError: the weights fail their checks.
            DeviceMemoryError: the device has no memory left for them.

        """
        del precision  # the runner says that it is f32
        weights = network.load_weights()
        no_room = f"the device has no memory for the network {network.name}: give it more, or let fewer programs use it"
        with (
            memory_errors_told(no_room, is_memory_error=self._tells_of_memory),
            self._tensorflow.device(self._device),
        ):
            model = build_model(network.build, weights, network.arguments)
        runner = TensorflowRunner(self._tensorflow, model, self._device)
        return HalvingRunner(runner, name=network.name, is_memory_error=self._tells_of_memory)

    def load_all(self, networks: Sequence[NetworkDefinition], *, precision: Precision = "f32") -> list[HalvingRunner]:
        """Build several networks; see ``Engine``."""
        return [self.load(network, precision=precision) for network in networks]

    def _tells_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, self._tensorflow.errors.ResourceExhaustedError) or tells_of_memory(error)


class TensorflowRunner:
    """One network; XLA compiles it once for each shape of batch, however many threads bring the first ones.

    The interpreter is free while a batch goes to the device, runs and comes back, so several threads keep copies and
    computing going at once. TensorFlow's Python has no memory that a GPU reads by itself (pinned), and copies what it
    is given: of each batch there is one copy too many.

    Attributes:
        precision: ``"f32"`` always.

    """

    def __init__(self, tensorflow: Any, model: Any, device: str) -> None:  # noqa: ANN401 - TensorFlow has no types here
        """Take a built model; nothing is compiled yet."""
        self.precision: Precision = "f32"
        self._tensorflow = tensorflow
        self._device = device

        def run(batch: Any) -> Any:  # noqa: ANN401 - as above
            return model(batch, training=False)

        self._run = tensorflow.function(run, jit_compile=True, autograph=False)

    def __call__(self, batch: F32) -> tuple[F32, ...]:
        """Run the network; see ``Runner``."""
        with self._tensorflow.device(self._device):
            outputs = self._run(self._tensorflow.constant(batch, self._tensorflow.float32))
        outputs = outputs if isinstance(outputs, (list, tuple)) else (outputs,)
        return tuple(output.numpy() for output in outputs)  # a copy already


def _import_tensorflow() -> Any:  # noqa: ANN401 - as above
    if find_spec("tensorflow") is None:
        raise ConfigError("running on a GPU needs TensorFlow: pip install 'celebrity-annotator[gpu]'")
    # TensorFlow shows its TLS functions to all that is loaded later: a libpq that comes after it would take them for
    # OpenSSL's, and crash at the first encrypted connection. So it comes first.
    import psycopg2  # noqa: F401, PLC0415

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its banner on stderr says nothing of use
    if os.environ.setdefault("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise ConfigError("the TensorFlow engine needs KERAS_BACKEND=tensorflow: remove KERAS_BACKEND")
    import keras  # noqa: PLC0415 - only for this engine
    import tensorflow as tf  # noqa: PLC0415 - as above

    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            f"Keras already runs on {keras.backend.backend()} in this process, and the TensorFlow engine needs it on "
            "tensorflow: set KERAS_BACKEND=tensorflow"
        )
    return tf


def _set_threads(config: Any, threads: int) -> None:  # noqa: ANN401 - as above
    try:
        config.threading.set_intra_op_parallelism_threads(threads)
    except RuntimeError as error:
        raise ConfigError("TensorFlow already runs in this process: its threads can no longer be set") from error


def _let_memory_grow(config: Any, gpu: Any) -> None:  # noqa: ANN401 - as above
    try:
        config.experimental.set_memory_growth(gpu, True)
    except RuntimeError as error:
        raise ConfigError("TensorFlow already runs in this process: its memory can no longer be set") from error
