"""Which engine runs the networks."""

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from annotator.errors import ConfigError
from annotator.runtime.network import Engine

Device = Literal["auto", "cpu", "gpu"]

_NVIDIA_DEVICE: Final = Path("/dev/nvidiactl")
"""There where the NVIDIA driver is loaded; asking TensorFlow instead would cost its import, some seconds."""

_log = logging.getLogger(__name__)


def create_engine(device: Device, *, threads: int | None, cache_dir: Path) -> Engine:
    """Make the engine for a device.

    Args:
        device: ``"cpu"`` is OpenVINO, ``"gpu"`` is TensorFlow under XLA. ``"auto"`` takes the GPU where there is one
            and TensorFlow is installed, else the CPU, and logs a warning where a GPU stays unused.
        threads: how many threads a network may use on the CPU; by default all processors this process may use.
        cache_dir: folder for converted networks; made if missing. Several processes may share it.

    Raises:
        ConfigError: ``"gpu"`` without TensorFlow or without a GPU that it can use.

    """
    if device == "gpu":
        return _tensorflow(threads)
    if device == "auto" and _NVIDIA_DEVICE.exists():
        if find_spec("tensorflow") is None:
            _log.warning("a GPU is there but not used: install celebrity-annotator[gpu]")
        else:
            try:
                return _tensorflow(threads)
            except ConfigError as error:
                _log.warning("a GPU is there but not used: %s", error)
    from annotator.runtime.openvino_engine import OpenvinoEngine  # noqa: PLC0415 - heavy, and not for every engine

    return OpenvinoEngine(threads=threads, cache_dir=cache_dir)


def _tensorflow(threads: int | None) -> Engine:
    from annotator.runtime.tensorflow_engine import TensorflowEngine  # noqa: PLC0415 - heavy, and not for every engine

    return TensorflowEngine(device="gpu", threads=threads)
