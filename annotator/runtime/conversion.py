"""Converts a Keras definition into an OpenVINO file, in a child process, and keeps it by digest.

The parent (:func:`converted`) never imports Keras. The child is this same module, run by ``python -m``; it builds the
definition with Keras's OpenVINO back end, sets the weights, rewrites what Keras exports badly and writes the file.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from annotator.errors import ModelError
from annotator.runtime.network import NetworkDefinition, build_model

TIMEOUT_S: Final = 300.0
"""A conversion takes about three seconds; a machine that swaps takes longer."""

MODEL_FILE: Final = "network.xml"

_FORMAT: Final = "2"
"""Raise it when what stands in the files changes."""

_SAMPLE_SIDE: Final = 48
"""Height and width that stand for a free one while the graph is traced; any that the network accepts will do."""


def converted(network: NetworkDefinition, cache_dir: Path) -> Path:
    """Return the OpenVINO file of a network; convert it first if the cache has none.

    Each conversion works in a folder of its own, which appears under its final name by one rename: processes that
    convert the same network at once do the work twice and harm nothing.

    Args:
        network: which one.
        cache_dir: made if missing.

    Raises:
        ModelError: the weights fail their checks, or the child fails; the message has its last words.

    """
    home = cache_dir / f"{network.name}-{_cache_key(network)}"
    if not (home / MODEL_FILE).is_file():
        cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{network.name}-", dir=cache_dir) as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            _run_child(network, Path(scratch), made)
            _publish(made, home)
    return home / MODEL_FILE


def forget(model_file: Path) -> None:
    """Remove a converted network that cannot be read, so that it is converted anew."""
    shutil.rmtree(model_file.parent, ignore_errors=True)


def _cache_key(network: NetworkDefinition) -> str:
    parts = (_FORMAT, network.digest, version("keras"), version("openvino"), _source_digest())
    return sha256(" ".join(parts).encode()).hexdigest()[:16]


def _source_digest() -> str:
    """Digest of the code that rewrites the exported graph: a change of it makes new files."""
    return sha256(Path(__file__).with_name("fusion.py").read_bytes()).hexdigest()


def _publish(made: Path, home: Path) -> None:
    try:
        made.rename(home)
    except OSError:
        if not (home / MODEL_FILE).is_file():
            raise  # it is not that another process was faster


def _run_child(network: NetworkDefinition, scratch: Path, made: Path) -> None:
    weights_file = scratch / "weights.npz"
    arrays: dict[str, Any] = dict(network.load_weights())
    np.savez(weights_file, **arrays)
    shape = ",".join(str(length or 0) for length in network.input_shape_hwc)
    command = [sys.executable, "-m", __name__, network.build, str(weights_file), shape, str(made / MODEL_FILE)]
    # Keras reads a configuration of the user from KERAS_HOME, and writes one: it gets an empty folder.
    environment = {**os.environ, "KERAS_BACKEND": "openvino", "KERAS_HOME": str(scratch)}
    try:
        child = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, errors="replace"
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"converting the network {network.name} took more than {TIMEOUT_S:.0f} s: try again"
        ) from error
    if child.returncode != 0 or not (made / MODEL_FILE).is_file():
        last_words = (child.stderr.strip().splitlines() or ["no message"])[-1]
        raise ModelError(f"the network {network.name} cannot be converted for the CPU: {last_words}")


def _main() -> None:
    """Build, export and rewrite one network: what the child does."""
    parser = argparse.ArgumentParser(description="Convert a Keras definition into an OpenVINO file.")
    parser.add_argument("build", help="module:function")
    parser.add_argument("weights", help="an .npz of layer/variable arrays")
    parser.add_argument("shape", help="height,width,channels; 0 is free")
    parser.add_argument("output", help="the .xml to write; its .bin is written beside it")
    arguments = parser.parse_args()
    import keras  # noqa: PLC0415 - only the child may import it
    import openvino  # noqa: PLC0415 - as above

    from annotator.runtime.fusion import tidy  # noqa: PLC0415 - as above

    with np.load(arguments.weights, allow_pickle=False) as archive:
        model = build_model(arguments.build, dict(archive))
    wanted = [int(length) or None for length in arguments.shape.split(",")]
    traced = keras.InputSpec(shape=(None, *(length or _SAMPLE_SIDE for length in wanted)))
    raw = str(Path(arguments.weights).with_name("raw.xml"))
    model.export(raw, format="openvino", input_signature=[traced], verbose=False)
    graph = openvino.Core().read_model(raw)
    graph.reshape([length or -1 for length in (None, *wanted)])
    openvino.save_model(tidy(graph), arguments.output, compress_to_fp16=False)


if __name__ == "__main__":
    _main()
