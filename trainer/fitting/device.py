"""Makes TensorFlow ready: CPU or GPU by one switch, fixed threads, operations that give the same numbers twice."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from typing import Any, Final

from annotator.errors import ConfigError
from trainer.settings import Device

INTER_OP_THREADS: Final = 2
"""Operations that may run at a time; fixed, as is what each may use."""

_STDERR: Final = 2
"""The descriptor that native code writes to."""

_TELL: Final = "import sys; sys.stderr.buffer.write(sys.stdin.buffer.read())"
"""Reads until this process closes the pipe, or ends in whatever way, and shows it then."""

_TELL_TIMEOUT_S: Final = 10.0


def default_threads() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def greetings_held_back() -> Iterator[None]:
    """Hold back what is written to stderr, native code included; it is shown where the block fails.

    TensorFlow greets before its own log level counts: with notes on processors, and with an error of CUDA on each
    machine without a GPU. A process beside this one holds it, so that it is shown after a crash of native code, too.
    """
    if sys.stderr is None:  # nobody is told anything
        yield
        return
    sys.stderr.flush()
    shown = os.dup(_STDERR)
    held_back, writing = os.pipe()
    # In a session of its own Ctrl-C does not reach it.
    teller = subprocess.Popen([sys.executable, "-ISc", _TELL], stdin=held_back, start_new_session=True)
    os.close(held_back)
    os.dup2(writing, _STDERR)
    os.close(writing)
    try:
        yield
        sys.stderr.flush()
        teller.kill()
    finally:
        os.dup2(shown, _STDERR)  # closes the pipe: what is held back is told now, unless all went well
        os.close(shown)
        teller.wait(_TELL_TIMEOUT_S)


def prepare_tensorflow(device: Device, *, threads: int, seed: int) -> Any:  # noqa: ANN401 - a tf.distribute.Strategy
    """Import TensorFlow and choose the device; what it says of GPUs is shown where they are asked for.

    Args:
        device: ``"cpu"``, or ``"gpu"`` for all GPUs that ``CUDA_VISIBLE_DEVICES`` leaves.
        threads: that an operation may use on the CPU.
        seed: of new weights.

    Returns:
        The strategy under whose scope variables are made: over all GPUs where there are several.

    Raises:
        ConfigError: TensorFlow is not installed, or already runs in this process with other threads; Keras runs on
            another back end; or there is no GPU: never a silent CPU.

    """
    with greetings_held_back() if device == "cpu" else nullcontext():
        return _prepared(device, threads=threads, seed=seed)


@greetings_held_back()
def import_tensorflow() -> tuple[Any, Any]:
    """Import Keras and TensorFlow, and return them; threads and devices stay as they are.

    Raises:
        ConfigError: TensorFlow is not installed, or Keras runs on another back end.

    """
    return _imported()


def _prepared(device: Device, *, threads: int, seed: int) -> Any:  # noqa: ANN401 - as above
    if device == "gpu":
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # warnings say which GPUs are left out, and why
    keras, tf = _imported()
    _set_threads(tf, threads)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)
    gpus = tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise ConfigError("TensorFlow sees no GPU: check the NVIDIA driver, or set USE_GPU=false")
    try:
        if device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        for gpu in gpus if device == "gpu" else ():
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError as error:
        raise ConfigError("TensorFlow already runs in this process: its devices can no longer be set") from error
    if device == "gpu" and len(gpus) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def _imported() -> tuple[Any, Any]:
    if find_spec("tensorflow") is None:
        raise ConfigError("fitting needs TensorFlow: pip install 'celebrity-annotator[train]'")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # what it says later, of each kind of network
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras  # noqa: PLC0415 - takes seconds, and back end and log level must be set before
    import tensorflow as tf  # noqa: PLC0415 - as above

    if keras.backend.backend() != "tensorflow":
        raise ConfigError(f"Keras runs on {keras.backend.backend()} here: set KERAS_BACKEND=tensorflow")
    return keras, tf


def _set_threads(tf: Any, threads: int) -> None:  # noqa: ANN401 - TensorFlow has no types here
    threading = tf.config.threading
    try:
        if threading.get_intra_op_parallelism_threads() != threads:
            threading.set_intra_op_parallelism_threads(threads)
        if threading.get_inter_op_parallelism_threads() != INTER_OP_THREADS:
            threading.set_inter_op_parallelism_threads(INTER_OP_THREADS)
    except RuntimeError as error:
        raise ConfigError("TensorFlow already runs in this process: its threads can no longer be set") from error
