"""How busy an NVIDIA GPU is, as nvidia-smi tells it."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

EVERY_MS: Final = 100


@contextmanager
def watched_gpu(device: str) -> Iterator[dict[str, Any]]:
    """Note what nvidia-smi says of a GPU during a block; nothing on processors.

    Yields:
        What is filled when the block ends: ``gpu_busy``, the mean of ``utilization.gpu``, 0 to 1: the share of the
        time in which a kernel ran, however few of the GPU's cores it used; ``gpu_mib``, the largest memory in use.

    """
    busy: dict[str, Any] = {}
    program = shutil.which("nvidia-smi")
    if device == "cpu" or program is None:
        yield busy
        return
    query = [program, "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits", "-lms", str(EVERY_MS)]
    with subprocess.Popen(query, stdout=subprocess.PIPE, text=True) as watcher:
        try:
            yield busy
        finally:
            watcher.terminate()
            said, _ = watcher.communicate()
    lines = [line.split(",") for line in said.splitlines() if line.count(",") == 1 and "N/A" not in line]
    if lines:
        busy["gpu_busy"] = round(float(np.mean([int(share) for share, _ in lines])) / 100, 2)
        busy["gpu_mib"] = max(int(used) for _, used in lines)


def gpu_name() -> str | None:
    """Return the name, driver and memory of the first GPU; None where nvidia-smi is not there."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()[0]
    name, driver, memory = said.split(", ")
    return f"{name} (driver {driver}, {memory})"
