"""Converts a Keras definition into an OpenVINO file, in a child process, and keeps it by digest.

The parent (:func:`converted`) never imports Keras. The child is this same module, run by ``python -m``; it builds the
definition with Keras's OpenVINO back end, sets the weights, rewrites what Keras exports badly and writes the file.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from annotator.errors import ConfigError, ModelError
from annotator.runtime.kernels import wish_for_direct
from annotator.runtime.network import NetworkDefinition, build_model
from annotator.runtime.quiet import forbid_telemetry

TIMEOUT_S: Final = 300.0
"""A conversion takes about three seconds; a machine that swaps takes longer."""

MODEL_FILE: Final = "network.xml"

DIRECT_FILE: Final = "direct.xml"
"""The same graph, with direct convolutions; its weights are the other's."""

_JOBS_FILE: Final = "jobs.json"

_DIGEST_FILE: Final = "sha256"

_FORMAT: Final = "4"
"""Raise it when what stands in the files changes."""

_SAMPLE_SIDE: Final = 48
"""Height and width that stand for a free one while the graph is traced; any that the network accepts will do."""


def converted(networks: Sequence[NetworkDefinition], cache_dir: Path) -> list[Path]:
    """Return the OpenVINO files of networks; convert first those that the cache has not, in one child process.

    Each conversion works in a folder of its own, which appears under its final name by one rename: processes that
    convert the same network at once do the work twice and harm nothing. A digest stands beside the files, since
    OpenVINO reads flipped bits of the weights without complaint; files that do not match it are made anew.

    Args:
        networks: which ones.
        cache_dir: made if missing.

    Raises:
        ConfigError: the cache folder cannot be made or written.
        ModelError: the weights fail their checks, or the child fails; the message has its last words.

    """
    homes = [cache_dir / f"{network.name}-{_cache_key(network)}" for network in networks]
    files = [home / MODEL_FILE for home in homes]
    missing = [number for number, home in enumerate(homes) if not _is_sound(home)]
    if missing:
        with _needs(cache_dir, "made"):
            cache_dir.mkdir(parents=True, exist_ok=True)
        with _needs(cache_dir, "written"):
            scratch = tempfile.TemporaryDirectory(prefix=".converting-", dir=cache_dir)
        with scratch:
            made = Path(scratch.name)
            _run_child([networks[number] for number in missing], made)
            with _needs(cache_dir, "written"):
                for number in missing:
                    _publish(made / networks[number].name, homes[number])
    return files


@contextmanager
def _needs(cache_dir: Path, done: str) -> Iterator[None]:
    """Say with the remedy that the cache folder cannot be made, or written."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"the cache folder {cache_dir} cannot be {done}: {error.strerror}; set ANNOTATOR_CACHE_DIR to another"
        ) from error


def weights_of(graph: Path) -> Path:
    """Return the file of the weights of a converted network, of either graph."""
    return graph.with_name(MODEL_FILE).with_suffix(".bin")


def _is_sound(home: Path) -> bool:
    """Tell whether a converted network is there and is what was written."""
    try:
        return (home / _DIGEST_FILE).read_text() == _digest(home)
    except OSError:
        return False


def _digest(home: Path) -> str:
    digest = sha256()
    for file in (home / MODEL_FILE, home / DIRECT_FILE, weights_of(home / MODEL_FILE)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _cache_key(network: NetworkDefinition) -> str:
    parts = (_FORMAT, network.digest, version("keras"), version("openvino"), _source_digest())
    return sha256(" ".join(parts).encode()).hexdigest()[:16]


def _source_digest() -> str:
    """Digest of the code that rewrites the exported graph: a change of it makes new files."""
    code = [Path(__file__).with_name(name).read_bytes() for name in ("fusion.py", "kernels.py")]
    return sha256(b"".join(code)).hexdigest()


def _publish(made: Path, home: Path) -> None:
    (made / _DIGEST_FILE).write_text(_digest(made))
    if not _is_sound(home):
        shutil.rmtree(home, ignore_errors=True)
    try:
        made.rename(home)
    except OSError:
        if not _is_sound(home):
            raise  # it is not that another process was faster


def _run_child(networks: Sequence[NetworkDefinition], scratch: Path) -> None:
    """Convert into folders named like the networks, within ``scratch``."""
    jobs = []
    for network in networks:
        folder = scratch / network.name
        folder.mkdir()
        arrays: dict[str, Any] = dict(network.load_weights())
        np.savez(scratch / f"{network.name}.npz", **arrays)
        job = {"name": network.name, "build": network.build, "arguments": network.arguments}
        jobs.append({**job, "shape": network.input_shape_hwc})
    (scratch / _JOBS_FILE).write_text(json.dumps(jobs))
    # Keras reads a configuration of the user from KERAS_HOME, and writes one: it gets an empty folder.
    environment = {**os.environ, "KERAS_BACKEND": "openvino", "KERAS_HOME": str(scratch)}
    command = [sys.executable, "-m", __name__, str(scratch)]
    names = ", ".join(network.name for network in networks)
    try:
        child = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, errors="replace"
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"converting {names} took more than {TIMEOUT_S:.0f} s: try again") from error
    if child.returncode != 0:
        last_words = (child.stderr.strip().splitlines() or ["no message"])[-1]
        raise ModelError(f"the networks {names} cannot be converted for the CPU: {last_words}")


def _main() -> None:
    """Build, export and rewrite networks: what the child does."""
    forbid_telemetry()
    scratch = Path(sys.argv[1])
    for job in json.loads((scratch / _JOBS_FILE).read_text()):
        with np.load(scratch / f"{job['name']}.npz", allow_pickle=False) as archive:
            model = build_model(job["build"], dict(archive), job["arguments"])
        _write(model, job["shape"], scratch / job["name"] / MODEL_FILE)


def _write(model: Any, shape: list[int | None], output: Path) -> None:  # noqa: ANN401 - Keras has no types here
    import keras  # noqa: PLC0415 - only the child may import it
    import openvino  # noqa: PLC0415 - as above

    from annotator.runtime.fusion import tidy  # noqa: PLC0415 - as above

    traced = keras.InputSpec(shape=(None, *(length or _SAMPLE_SIDE for length in shape)))
    raw = output.parent.with_suffix(".xml")
    model.export(str(raw), format="openvino", input_signature=[traced], verbose=False)
    graph = openvino.Core().read_model(raw)
    graph.reshape([length or -1 for length in (None, *shape)])
    openvino.save_model(tidy(graph), output, compress_to_fp16=False)
    wish_for_direct(output, output.with_name(DIRECT_FILE))


if __name__ == "__main__":
    _main()
