"""Weights to begin with: of another experiment, of Keras, or of a model bundle.

Nothing in them is executed, and what does not fit, such as a head for other people, stays new.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from annotator.errors import ConfigError, ModelError
from annotator.networks.embedder_file import read_embedder_file
from annotator.recognition.bundle import MANIFEST, load_bundle
from annotator.types import F32
from trainer.fitting.weights import KERAS_FILE, WEIGHTS_FILE, load_weights
from trainer.networks.build import BuiltNetwork

_SUFFIXES: Final = (".weights.h5", ".keras")


def begin_from(path: Path, built: BuiltNetwork) -> int:
    """Take the weights that fit; a frozen front stays the one that embeddings come from, whatever the file holds.

    Args:
        path: ``.weights.h5`` or ``.keras`` of a network of the same kind, a folder with one of them, or a model bundle
            that carries a network or a projection.
        built: gets the weights.

    Returns:
        How many variables were set.

    Raises:
        ConfigError: there is no such file.
        ModelError: the file is no such file, or nothing in it fits.

    """
    file = None if (path / MANIFEST).is_file() else _weights_file(path)
    is_whole = file is not None and file.suffix == ".keras"
    model = built.whole if is_whole else built.learning  # a front is built only where the file has one, too
    before = {id(variable): np.asarray(variable).copy() for variable in model.weights}
    if file is None:
        _take(model, _bundled_weights(path))
    else:
        load_weights(model, file, is_partial=True)
    learnt = {id(variable) for variable in built.learning.weights}
    changed = 0
    for variable in model.weights:
        old = before[id(variable)]
        if id(variable) not in learnt:
            variable.assign(old)
        elif not np.array_equal(old, np.asarray(variable)):
            changed += 1
    if changed == 0:
        raise ModelError(f"nothing in {path} fits this network: name weights of a network of the same kind")
    return changed


def _bundled_weights(folder: Path) -> Mapping[str, F32]:
    """Return the weights that a bundle carries, by ``layer/variable``."""
    bundle = load_bundle(folder)
    if bundle.network is not None:
        return read_embedder_file(bundle.network.path, bundle.network.spec, sha256=bundle.network.sha256)
    if bundle.projection is not None:
        return {"fc1/kernel": bundle.projection.weights[None, None], "fc1/bias": bundle.projection.bias}
    return {}


def _take(model: Any, weights: Mapping[str, F32]) -> None:  # noqa: ANN401 - a Keras model
    for layer in model.layers:
        for variable in layer.weights:
            array = weights.get(f"{layer.name}/{variable.name}")
            if array is not None and array.shape == tuple(variable.shape):
                variable.assign(array)


def _weights_file(path: Path) -> Path:
    if path.is_dir():
        found = [path / name for name in (WEIGHTS_FILE, KERAS_FILE) if (path / name).is_file()]
        found += sorted(file for suffix in _SUFFIXES for file in path.glob(f"*{suffix}"))
        if not found:
            raise ConfigError(f"there are no weights in {path}: name a file that ends in {' or '.join(_SUFFIXES)}")
        return found[0]
    if not path.is_file():
        raise ConfigError(f"there is no file {path}")
    if not path.name.endswith(_SUFFIXES):
        raise ModelError(f"{path} is not read: weights must end in {' or '.join(_SUFFIXES)}, which carry no code")
    return path
