"""The engine of the GPU, and of training: TensorFlow, compiled by XLA.

It needs the extra ``[gpu]`` or ``[train]``. TensorFlow is imported when the engine is made, never on import.
"""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Final, Literal

import numpy as np

from annotator.errors import ConfigError
from annotator.runtime.batches import LARGE, Batches
from annotator.runtime.blas import keep_blas_to_one_thread
from annotator.runtime.halving import HalvingRunner, memory_errors_told, tells_of_memory
from annotator.runtime.network import NetworkDefinition, Pixels, Precision, Take, build_model
from annotator.runtime.sharing import shareable


class TensorflowEngine:
    """Runs networks with TensorFlow under XLA.

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
        keep_blas_to_one_thread()

    def load(self, network: NetworkDefinition, *, precision: Precision = "f32") -> HalvingRunner:
        """Build a network from its definition; see ``Engine``.

        Raises:
            ModelError: the weights fail their checks.
            DeviceMemoryError: the device has no memory left for them.

        """
        used: Precision = "f32" if precision == "f32" else "f16"
        weights = network.load_weights()
        no_room = f"the device has no memory for the network {network.name}: give it more, or let fewer programs use it"
        with (
            memory_errors_told(no_room, is_memory_error=self._tells_of_memory),
            self._tensorflow.device(self._device),
        ):
            model = build_model(network.build, weights, network.arguments)
            model = _in_float16(model) if used == "f16" else model
        runner = TensorflowRunner(self._tensorflow, model, self._device, precision=used)
        return HalvingRunner(runner, name=network.name, is_memory_error=self._tells_of_memory)

    def load_all(self, networks: Sequence[NetworkDefinition], *, precision: Precision = "f32") -> list[HalvingRunner]:
        """Build several networks; see ``Engine``."""
        return [self.load(network, precision=precision) for network in networks]

    def _tells_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, self._tensorflow.errors.ResourceExhaustedError) or tells_of_memory(error)


class TensorflowRunner:
    """One network; XLA compiles it once for each shape of batch, however many threads bring the first ones.

    The interpreter is free while a batch goes to the device, runs and comes back, so several threads keep copies and
    computing going at once. TensorFlow has one stream of a GPU for computing, and others for copies to it and from it:
    a batch is copied while another computes, but no two batches compute at the same time, so one must be large enough
    to fill the GPU. Its Python has no memory that a GPU reads by itself (pinned).

    Attributes:
        precision: what is really used.

    """

    def __init__(self, tensorflow: Any, model: Any, device: str, *, precision: Precision) -> None:  # noqa: ANN401 - TensorFlow has no types here
        """Take a built model, whose outputs differ in the length of their last axis only; nothing is compiled yet."""
        self.precision: Precision = precision
        self._tensorflow = tensorflow
        self._device = device
        self._ends = np.cumsum([output.shape[-1] for output in model.outputs])[:-1]

        def run(batch: Any) -> Any:  # noqa: ANN401 - as above
            outputs = model(tensorflow.cast(batch, tensorflow.float32), training=False)
            outputs = outputs if isinstance(outputs, (list, tuple)) else (outputs,)
            # Each array that is fetched is one more wait for the device, so all come as one.
            return tensorflow.concat([tensorflow.cast(output, tensorflow.float32) for output in outputs], axis=-1)

        self._run = tensorflow.function(run, jit_compile=True, autograph=False)

    def __call__(self, batch: Pixels, take: Take | None = None) -> tuple[Any, ...]:
        """Run the network; see ``Runner``."""
        here = self._tensorflow.experimental.dlpack.from_dlpack(shareable(batch).__dlpack__())
        with self._tensorflow.device(self._device):
            joined = self._run(self._tensorflow.identity(here))
        # Not numpy(), which copies once more what belongs to nobody else.
        outputs = tuple(np.split(joined.__array__(), self._ends, axis=-1))
        return outputs if take is None else take(outputs)


def _in_float16(model: Any) -> Any:  # noqa: ANN401 - Keras has no types here
    """Return a network again with convolutions in float16, which take nearly all of its time; the rest in float32.

    Not in bfloat16: a GPU's tensor cores take both at the same rate, and float16 has three more bits of mantissa. The
    lowest cosine of SFace's embeddings to those of float32, of 256 photographed faces, was 0.99998, and in bfloat16
    0.9985. float16 ends at 65,504, and no number in SFace was above 63, of faces, noise or black and white dots.

    The kernels are rounded here, once. What lies between two convolutions XLA makes one step of, so float32 costs
    little there, and batch normalisation keeps its digits. Each layer is told its precision: Keras's policy for all
    layers would be one for whatever else is built meanwhile.
    """
    import keras  # noqa: PLC0415 - only for this engine

    convolutions = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)

    def lowered(layer: Any) -> Any:  # noqa: ANN401 - as above
        dtype = "float16" if isinstance(layer, convolutions) else "float32"
        return type(layer).from_config({**layer.get_config(), "dtype": dtype})

    lower = keras.models.clone_model(model, clone_function=lowered)
    lower.set_weights(model.get_weights())
    return lower


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
